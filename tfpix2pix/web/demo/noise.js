// z and the latent that a seed stands for: the numbers that tfpix2pix/models/noise.py draws with TensorFlow.
// @ts-check

// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];
// With this key TensorFlow makes the key and the counter of its numbers of a seed.
const SCRAMBLE = [0x3ec8f720, 0x02461e29];

// The streams of models/noise.py.
const INFERENCE = 3;
const LATENT = 64;

/** The upper half of the product of two unsigned numbers of 32 bits. @param {number} a @param {number} b */
function upperProduct(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  // No sum of these exceeds 32 bits.
  const low = a1 * b0 + ((a0 * b0) >>> 16);
  const middle = a0 * b1 + (low & 0xffff);
  return a1 * b1 + (low >>> 16) + (middle >>> 16);
}

/**
 * Four words of 32 bits, a function of key and counter.
 *
 * @param {ArrayLike<number>} key Two words. @param {ArrayLike<number>} counter Four.
 * @param {Uint32Array} into Where they go, from `at` on. @param {number} at
 */
function philox(key, counter, into, at) {
  let key0 = key[0], key1 = key[1];
  let c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (let round = 0; round < ROUNDS; round++) {
    const upper0 = upperProduct(MULTIPLIERS[0], c0), upper2 = upperProduct(MULTIPLIERS[1], c2);
    const lower0 = Math.imul(MULTIPLIERS[0], c0) >>> 0, lower2 = Math.imul(MULTIPLIERS[1], c2) >>> 0;
    c0 = (upper2 ^ c1 ^ key0) >>> 0;
    c1 = lower2;
    c2 = (upper0 ^ c3 ^ key1) >>> 0;
    c3 = lower0;
    key0 = (key0 + WEYL[0]) >>> 0;
    key1 = (key1 + WEYL[1]) >>> 0;
  }
  into[at] = c0;
  into[at + 1] = c1;
  into[at + 2] = c2;
  into[at + 3] = c3;
}

/** The two words of a whole number of 64 bits, the lower first. @param {bigint} value */
function halves(value) {
  const unsigned = BigInt.asUintN(64, value);
  return [Number(unsigned & 0xffffffffn), Number(unsigned >> 32n)];
}

/**
 * The first words of a seed, as TensorFlow's stateless functions have them.
 *
 * @param {[bigint, bigint]} seed @param {number} count
 */
function wordsOf(seed, count) {
  const mixed = new Uint32Array(4);
  philox(SCRAMBLE, seed.flatMap(halves), mixed, 0);
  const counter = new Uint32Array([0, 0, mixed[2], mixed[3]]);
  const words = new Uint32Array(4 * Math.ceil(count / 4));
  // The counter's first word is enough: no picture has 2^34 numbers.
  for (; 4 * counter[0] < count; counter[0]++) philox(mixed, counter, words, 4 * counter[0]);
  return words;
}

/**
 * `seed_of` of models/noise.py: the seed of one use at one position.
 *
 * @param {bigint} seed @param {number} stream @param {bigint} position
 * @returns {[bigint, bigint]}
 */
function seedOf(seed, stream, position) {
  const [lower, upper] = wordsOf([seed, BigInt(stream)], 2);
  return [BigInt(lower) | (BigInt(upper) << 32n), position];
}

/** A word as a number in [0, 1), of 23 bits. @param {number} word */
const uniform = (word) => (word & 0x7fffff) / 0x800000;

/**
 * A seed as the command line takes it: a whole number of 64 bits.
 *
 * @param {bigint|number|string} value
 * @returns {bigint}
 * @throws {Error} It is none, in a sentence.
 */
function seedNumber(value) {
  let seed;
  try {
    seed = BigInt(value);
  } catch {
    throw new Error(`seed ${value}: a whole number was expected`);
  }
  if (BigInt.asIntN(64, seed) !== seed) throw new Error(`seed ${value} does not fit in 64 bits`);
  return seed;
}

/**
 * The z of a picture: uniform in [0, 1), a function of both seeds alone.
 *
 * @param {bigint|number|string} runSeed `config.seed` of the run.
 * @param {bigint|number|string} seed Of the picture, as `tfpix2pix translate --seed` takes it.
 * @param {number} count Numbers: height * width * channels of z.
 */
export function drawNoise(runSeed, seed, count) {
  const words = wordsOf(seedOf(seedNumber(runSeed), INFERENCE, seedNumber(seed)), count);
  const z = new Float32Array(count);
  for (let i = 0; i < count; i++) z[i] = uniform(words[i]);
  return z;
}

/**
 * The latent of a picture: standard normal, a function of both seeds alone.
 *
 * @param {bigint|number|string} runSeed @param {bigint|number|string} seed As `drawNoise` takes them.
 * @param {number} size n.
 */
export function drawLatent(runSeed, seed, size) {
  const words = wordsOf(seedOf(seedNumber(runSeed), LATENT + INFERENCE, seedNumber(seed)), size + 1);
  const latent = new Float32Array(size + 1);
  for (let i = 0; i < size; i += 2) {
    // Box and Muller's transform; TensorFlow takes no logarithm of less than 1e-7.
    const radius = Math.sqrt(-2 * Math.log(Math.max(uniform(words[i]), 1e-7)));
    const angle = 2 * Math.PI * uniform(words[i + 1]);
    latent[i] = radius * Math.sin(angle);
    latent[i + 1] = radius * Math.cos(angle);
  }
  return latent.slice(0, size);
}

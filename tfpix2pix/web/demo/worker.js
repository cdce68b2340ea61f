// Runs a network beside the page, so that the page never stalls: engine.js starts it and asks, one thing at a time.
// @ts-check

import { drawLatent, drawNoise } from "./noise.js";
import { inputMaker, levelsApart, resultMaker } from "./pictures.js";

/**
 * @typedef {import("./pictures.js").Contract} Contract
 * @typedef {{data: Float32Array, shape: number[]}} Numbers
 * @typedef {{x: Numbers, z?: Numbers, latent?: Numbers, y: Numbers}} Proof
 *
 * @typedef {object} Start
 * @property {ArrayBuffer} script onnxruntime-web's module, its glue within.
 * @property {ArrayBuffer} wasm
 * @property {number} threads
 *
 * @typedef {object} Load
 * @property {Uint8Array} model The ONNX file.
 * @property {"webgpu"|"wasm"} engine
 * @property {Contract} contract
 * @property {number|string} seed Of the run.
 * @property {Proof} proof
 *
 * @typedef {object} Draw
 * @property {import("./pictures.js").Picture} picture
 * @property {bigint|number|string} seed
 * @property {boolean} noise
 * @property {number[]|null} latent In the place of the seed's.
 */

/** @type {any} onnxruntime-web */
let ort;

/** @type {Drawer|null} */
let drawer = null;

const CALLS = {
  /** @param {Start} start */
  async start({ script, wasm, threads }) {
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    ort = await import(url);
    // The address is not freed: threads are started from it.
    Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: threads });
    ort.env.logLevel = "error";
  },

  /** Returns by how many levels it misses the known result. @param {Load} load */
  async load({ model, engine, contract, seed, proof }) {
    await drawer?.session.release();
    drawer = null;
    const session = await ort.InferenceSession.create(model, { executionProviders: [engine], logSeverityLevel: 3 });
    drawer = new Drawer(session, contract, seed);
    const { y, ...inputs } = proof;
    return levelsApart(contract, await drawer.run(inputs), y.data);
  },

  /** @param {Draw} request */
  async draw(request) {
    if (!drawer) throw new Error("no network is loaded");
    return drawer.draw(request);
  },
};

/** One network. */
class Drawer {
  /** @param {any} session @param {Contract} contract @param {number|string} runSeed */
  constructor(session, contract, runSeed) {
    this.session = session;
    this.contract = contract;
    this.runSeed = runSeed;
    this.inputOf = inputMaker(contract);
    this.resultOf = resultMaker(contract);
    /** The last z, since one draws many strokes on one. */
    this.z = { of: "", data: new Float32Array() };
  }

  /** y of the inputs that the network takes. @param {{[name: string]: Numbers|undefined}} inputs */
  async run(inputs) {
    /** @type {{[name: string]: any}} */
    const feeds = {};
    for (const name of this.session.inputNames) {
      const given = inputs[name];
      if (!given) throw new Error(`the network takes ${name}, which its contract does not tell of`);
      feeds[name] = new ort.Tensor("float32", given.data, given.shape);
    }
    const { y } = await this.session.run(feeds);
    return /** @type {Float32Array|Uint8Array} */ (y.data);
  }

  /** @param {Draw} request */
  async draw({ picture, seed, noise, latent }) {
    const begin = performance.now();
    const { width, height } = picture;
    const made = said(() => {
      const { x, shape, missing } = this.inputOf(picture);
      return { x: { data: x, shape }, z: this.noiseOf(shape, seed, noise), latent: this.latentOf(seed, latent), missing };
    });
    const y = await this.run({ x: made.x, z: made.z, latent: made.latent });
    const data = this.resultOf(y, made.x.data, height, width, made.x.shape[2], made.missing);
    return { data, width, height, milliseconds: performance.now() - begin };
  }

  /** @param {number[]} shape Of x. @param {bigint|number|string} seed @param {boolean} noise */
  noiseOf([, height, width], seed, noise) {
    const { pixels_per_cell: factor, channels } = this.contract.noise;
    if (!factor || !channels) return undefined;
    const shape = [1, Math.floor(height / factor), Math.floor(width / factor), channels];
    const of = `${shape} ${noise ? seed : "none"}`;
    if (this.z.of !== of) {
      const count = shape.reduce((a, b) => a * b);
      // -1: no dropout.
      this.z = { of, data: noise ? drawNoise(this.runSeed, seed, count) : new Float32Array(count).fill(-1) };
    }
    return { data: this.z.data, shape };
  }

  /** @param {bigint|number|string} seed @param {number[]|null} given */
  latentOf(seed, given) {
    const size = this.contract.latent?.size ?? 0;
    if (!size) return undefined;
    if (given && (given.length !== size || !given.every(Number.isFinite)))
      throw new Error(`a latent of ${given.length} numbers, where ${size} finite ones were expected`);
    return { data: given ? Float32Array.from(given) : drawLatent(this.runSeed, seed, size), shape: [1, size] };
  }
}

/** What is wrong with a request, and not with the engine. */
class Refused extends Error {}

/** @template T @param {() => T} make @returns {T} */
function said(make) {
  try {
    return make();
  } catch (error) {
    throw error instanceof RangeError ? error : new Refused(error instanceof Error ? error.message : String(error));
  }
}

// One after the other: a network is not to go while it draws.
let last = Promise.resolve();
self.addEventListener("message", ({ data }) => (last = last.then(() => answer(data))));

/** @param {{id: number, call: string, given: any}} asked */
async function answer({ id, call, given }) {
  const post = /** @type {(message: any, transfer?: any) => void} */ (self.postMessage.bind(self));
  try {
    const value = /** @type {any} */ (await CALLS[/** @type {keyof typeof CALLS} */ (call)](given));
    post({ id, value }, value?.data ? [value.data.buffer] : []);
  } catch (error) {
    post({ id, failed: error instanceof Error ? error.message : String(error), refused: error instanceof Refused });
  }
}

// Pictures to what a network takes, and back, by the contract of its export: as inference/translator.py and
// data/spec.py do it. No document here, so that tests run it anywhere.
// @ts-check

import { lightness, paintLab } from "./cielab.js";

/**
 * @typedef {object} Side Of a contract: x or y.
 * @property {string[]} channels What each of them means.
 * @property {string} [activation] Of y: "tanh", "softmax" (of each class) or "argmax" (class numbers).
 * @property {{dtype: string, low: number, high: number, what: string, scaling: string}} files
 *
 * @typedef {{name: string, color: [number, number, number], index: number|number[], void: boolean}} LabelClass
 *
 * @typedef {object} Contract What an export says of itself (`export.json`), as far as it is read here.
 * @property {Side} x
 * @property {Side} y
 * @property {{pixels_per_cell?: number, channels?: number}} noise Empty of both without z.
 * @property {{size: number}|null} [latent]
 * @property {"any"|[number, number]} image_size Height and width.
 * @property {number} size_multiple
 * @property {number} [least_size] Of the padded sides.
 * @property {string} direction
 * @property {string} [color_space] "rgb" or "lab".
 * @property {string} label_side "input", "target" or "".
 * @property {{name: string, classes: LabelClass[]}|null} palette
 * @property {{[name: string]: any}} config Of the run.
 *
 * @typedef {{data: Uint8ClampedArray, width: number, height: number}} Picture RGBA, as `ImageData` has it.
 */

const ONE_HOT = "a channel for each class"; // the contract's words
const COLOURS = ["grey", "red,green,blue", "grey,alpha", "red,green,blue,alpha"];
const UNKNOWN = -1;

/** @param {Contract} contract */
const isLab = (contract) => contract.color_space === "lab";
/** @param {Contract} contract */
const labelsIn = (contract) => contract.label_side === "input";
/** Whether y has classes and no picture. @param {Contract} contract */
const classesOut = (contract) => ["softmax", "argmax"].includes(contract.y.activation ?? "");

/**
 * Why a page cannot be drawn on for a network; empty where it can.
 *
 * @param {Contract} contract
 * @returns {string} "its inputs have 9 channels, and ..."
 */
export function whyNotDrawable(contract) {
  if (isLab(contract)) return "";
  const { x, y } = contract;
  const inputs = labelsIn(contract) ? "" : whyNoPicture("inputs", x);
  if (inputs) return inputs;
  if (!labelsIn(contract) && x.files.dtype === "uint16" && !(x.files.low === 0 && x.files.high === 65535))
    return `its inputs are 16-bit values from ${x.files.low} to ${x.files.high}, and a page draws 8 bits`;
  return contract.label_side === "target" ? "" : whyNoPicture("results", y);
}

/** @param {string} what @param {Side} side */
function whyNoPicture(what, { channels, files }) {
  if (files.dtype === "float32") return `its ${what} are 32-bit floats, and a page draws 8 bits`;
  if (COLOURS.includes(channels.join())) return "";
  return `its ${what} have ${channels.length} channels, and a page draws grey, RGB or labels`;
}

// === Sizes ===

/**
 * The size that a picture is padded to.
 *
 * @param {Contract} contract @param {number} height @param {number} width
 * @throws {Error} The network does not take it, in a sentence.
 */
export function paddedSize({ size_multiple: multiple, least_size: least = 1, image_size: fixed }, height, width) {
  const size = [height, width].map((side) => Math.ceil(side / multiple) * multiple);
  if (Math.min(...size) < least)
    throw new Error(
      `${width}x${height} pixels (width x height), and the network takes ${least} or more a side; take a larger picture`,
    );
  if (fixed !== "any" && (size[0] !== fixed[0] || size[1] !== fixed[1]))
    throw new Error(
      `${width}x${height} pixels (width x height), and this export takes ${fixed[1]}x${fixed[0]} only; resize the ` +
        "picture, or export with --image_size=any",
    );
  return size;
}

/**
 * Which rows of a picture are those of the padded one: at the end they go back, by reflection.
 *
 * @param {number} count Of the picture. @param {number} padded @param {boolean} repeat The last one instead.
 */
function paddedPlaces(count, padded, repeat) {
  const period = 2 * count - 2;
  return Int32Array.from({ length: padded }, (_, i) => {
    if (repeat) return Math.min(i, count - 1);
    return Math.min(i % period, period - (i % period));
  });
}

// === Inputs ===

/**
 * Makes inputs of pictures for one network.
 *
 * @param {Contract} contract Of a drawable one.
 * @returns {(picture: Picture) => {x: Float32Array, shape: number[], missing: Uint8Array|null}}
 *   x `[1, H, W, C]` padded; and of the picture itself which pixels have nothing measured (null: none).
 */
export function inputMaker(contract) {
  const channels = contract.x.channels.length;
  const ignored = valuesIgnored(contract, "input");
  const valuesOf = valueMaker(contract);
  return (picture) => {
    const { width, height } = picture;
    const [h, w] = paddedSize(contract, height, width);
    const missing = missingIn(picture, ignored);
    const values = valuesOf(picture, missing);
    if (missing) for (let i = 0; i < missing.length; i++) if (missing[i]) values.fill(0, channels * i, channels * (i + 1));
    if (h === height && w === width) return { x: values, shape: [1, h, w, channels], missing };
    const x = new Float32Array(h * w * channels);
    const repeat = Math.min(height, width) === 1; // nothing to reflect
    const columns = paddedPlaces(width, w, repeat);
    paddedPlaces(height, h, repeat).forEach((from, row) => {
      for (let column = 0; column < w; column++) {
        const at = channels * (from * width + columns[column]);
        for (let c = 0, to = channels * (row * w + column); c < channels; c++) x[to + c] = values[at + c];
      }
    });
    return { x, shape: [1, h, w, channels], missing };
  };
}

/**
 * The values in [-1, 1] of pictures, `[H, W, C]`.
 *
 * @param {Contract} contract
 * @returns {(picture: Picture, missing: Uint8Array|null) => Float32Array}
 */
function valueMaker(contract) {
  if (labelsIn(contract)) return labelValues(contract);
  if (isLab(contract))
    return (picture) => perPixel(picture, 1, (x, i, r, g, b) => (x[i] = lightness(r, g, b) / 50 - 1));
  const { channels, files } = contract.x;
  const level = levelsSeen(files);
  const withAlpha = channels.at(-1) === "alpha";
  const colours = channels.length - Number(withAlpha);
  return (picture) =>
    perPixel(
      picture,
      channels.length,
      (x, i, r, g, b, a) => {
        x[i] = level[colours === 1 ? lumaOf(r, g, b) : r];
        if (colours > 1) x[i + 1] = level[g];
        if (colours > 1) x[i + 2] = level[b];
        if (withAlpha) x[i + colours] = level[a];
      },
      withAlpha,
    );
}

/**
 * What a network sees of each level of 8 bits, in float32's steps.
 *
 * @param {Side["files"]} files
 */
function levelsSeen({ dtype, low, high }) {
  const full = dtype === "uint16" ? 65535 : 255;
  return Float32Array.from({ length: 256 }, (_, level) => {
    const value = Math.fround((level * full) / 255 - low);
    const scaled = Math.fround(value / Math.fround((high - low) / 2)) - 1;
    return Math.min(1, Math.max(-1, scaled));
  });
}

/** ITU-R 601, as Pillow has it. @param {number} r @param {number} g @param {number} b */
const lumaOf = (r, g, b) => (19595 * r + 38470 * g + 7471 * b + 0x8000) >>> 16;

/**
 * Fills an array with something of each pixel.
 *
 * @param {Picture} picture @param {number} channels
 * @param {(into: Float32Array, at: number, r: number, g: number, b: number, a: number) => void} fill
 * @param {boolean} [keepAlpha] Else the pixels are placed on white.
 */
function perPixel({ data }, channels, fill, keepAlpha = false) {
  const into = new Float32Array((data.length / 4) * channels);
  for (let i = 0, to = 0; i < data.length; i += 4, to += channels) {
    const a = data[i + 3];
    if (a === 255 || keepAlpha) fill(into, to, data[i], data[i + 1], data[i + 2], a);
    else fill(into, to, onWhite(data[i], a), onWhite(data[i + 1], a), onWhite(data[i + 2], a), 255);
  }
  return into;
}

/** @param {number} level @param {number} alpha */
const onWhite = (level, alpha) => Math.trunc((level * alpha + 255 * (255 - alpha) + 127) / 255);

// === Labels ===

/**
 * Gives the nearest class of colours, by squared distance; of equals the first.
 *
 * @param {Contract["palette"]} palette
 * @returns {(r: number, g: number, b: number) => number}
 */
function classFinder(palette) {
  const colours = (palette?.classes ?? []).map((label) => label.color);
  /** @type {Map<number, number>} */
  const known = new Map();
  // The neighbour's, as a rule.
  let last = -1, found = 0;
  return (r, g, b) => {
    const packed = (r << 16) | (g << 8) | b;
    if (packed === last) return found;
    last = packed;
    const before = known.get(packed);
    found = before ?? 0;
    if (before === undefined) {
      let least = Infinity;
      colours.forEach(([red, green, blue], k) => {
        const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
        if (distance < least) [least, found] = [distance, k];
      });
      known.set(packed, found);
    }
    return found;
  };
}

/** @param {Contract} contract */
function labelValues(contract) {
  const classes = contract.palette?.classes ?? [];
  const nearest = classFinder(contract.palette);
  /** @type {number[]} */
  const ofIndex = Array(256).fill(UNKNOWN); // index maps
  classes.forEach(({ index }, k) => [index].flat().forEach((value) => value < 256 && (ofIndex[value] = k)));
  const oneHot = contract.x.files.scaling === ONE_HOT;
  const channels = oneHot ? classes.length : 3;
  const seen = Float32Array.from(classes.flatMap(({ color }) => color), (level) => Math.fround(level / 127.5) - 1);
  /** @param {Picture} picture @param {Uint8Array|null} missing */
  return (picture, missing) => {
    const byIndex = isIndexMap(picture, missing);
    return perPixel(picture, channels, (x, at, r, g, b) => {
      const k = byIndex ? ofIndex[r] : nearest(r, g, b);
      if (oneHot) x[at + k] = 1;
      else for (let c = 0; c < 3; c++) x[at + c] = seen[3 * k + c];
    });
  };

  /**
   * Whether a picture without colour shows the numbers of classes, and not their colours.
   *
   * @param {Picture} picture @param {Uint8Array|null} missing
   */
  function isIndexMap({ data }, missing) {
    let painted = true; // in the palette's colours alone
    for (let i = 0; i < data.length; i += 4) {
      if (missing?.[i / 4]) continue;
      const [r, g, b, a] = data.subarray(i, i + 4);
      if (r !== g || r !== b || ofIndex[r] === UNKNOWN) return false;
      const level = onWhite(r, a);
      painted &&= classes[nearest(level, level, level)].color.every((value) => value === level);
    }
    return !painted;
  }
}

// === What is not measured ===

/**
 * The numbers that mean "nothing measured" in the files of a side.
 *
 * @param {Contract} contract @param {"input"|"target"} side Of this direction.
 * @returns {number[]}
 */
function valuesIgnored({ config, direction }, side) {
  const turned = direction !== config.direction;
  const name = (side === "input") !== turned ? "input_ignore" : "target_ignore";
  const words = String(config[name] ?? "").split(",");
  return words.filter((word) => /^\s*[-+\d.]/.test(word)).map(Number);
}

/**
 * Which pixels have nothing measured: all colours are one of those numbers.
 *
 * @param {Picture} picture @param {number[]} ignored
 */
function missingIn({ data }, ignored) {
  if (!ignored.length) return null;
  let some = false;
  const missing = new Uint8Array(data.length / 4);
  for (let i = 0; i < data.length; i += 4)
    if (ignored.includes(data[i]) && data[i] === data[i + 1] && data[i] === data[i + 2]) some = Boolean((missing[i / 4] = 1));
  return some ? missing : null;
}

/**
 * RGB where an input has nothing measured; null where labels have no class for that.
 *
 * @param {Contract} contract
 */
function nodataOf(contract) {
  if (contract.label_side === "target")
    return contract.palette?.classes.find((label) => label.void)?.color ?? null;
  const full = contract.y.files.dtype === "uint16" ? 65535 : 255;
  const fits = valuesIgnored(contract, "target").find((v) => Number.isInteger(v) && v >= 0 && v <= full) ?? 0;
  return Array(3).fill((fits * 255) / full);
}

// === Results ===

/**
 * Makes pictures of what one network gives.
 *
 * @param {Contract} contract Of a drawable one.
 * @returns {(y: ArrayLike<number>, x: Float32Array, height: number, width: number, columns: number,
 *   missing: Uint8Array|null) => Uint8ClampedArray} RGBA of the size of the picture, of `y` and `x` with rows of
 *   `columns` pixels.
 */
export function resultMaker(contract) {
  const paint = painter(contract);
  const nodata = nodataOf(contract);
  return (y, x, height, width, columns, missing) => {
    const data = new Uint8ClampedArray(4 * height * width); // rounds, halves to even
    for (let row = 0, to = 0; row < height; row++)
      for (let column = 0; column < width; column++, to += 4) {
        data[to + 3] = 255;
        if (missing?.[to / 4] && nodata) data.set(nodata, to);
        else paint(data, to, y, row * columns + column, x);
      }
    return data;
  };
}

/**
 * Paints one pixel of a result.
 *
 * @param {Contract} contract
 * @returns {(into: Uint8ClampedArray, to: number, y: ArrayLike<number>, pixel: number, x: Float32Array) => void}
 */
function painter(contract) {
  const { channels, activation, files } = contract.y;
  const count = channels.length;
  const ofClasses = Uint8Array.from(contract.palette?.classes.flatMap((label) => label.color) ?? []);
  if (classesOut(contract))
    return (into, to, y, pixel) => {
      let best = activation === "argmax" ? y[pixel] : 0;
      if (activation !== "argmax")
        for (let k = 1, at = pixel * count; k < count; k++) if (y[at + k] > y[at + best]) best = k;
      for (let c = 0; c < 3; c++) into[to + c] = ofClasses[3 * best + c];
    };
  if (isLab(contract))
    return (into, to, y, pixel, x) =>
      paintLab(into, to, (x[pixel] + 1) * 50, y[2 * pixel] * 110, y[2 * pixel + 1] * 110);
  // A part of 16 bits is shown from black to white; of 8 bits levels stay what they are.
  const [low, high] = files.dtype === "uint16" ? [0, 255] : [files.low, files.high];
  const [least, most] = [Math.ceil(low), Math.floor(high)];
  const half = (high - low) / 2;
  /** In float32's steps, which decide at halves. @param {number} value */
  const level = (value) =>
    Math.min(most, Math.max(least, Math.fround(Math.fround(Math.fround(value + 1) * half) + low)));
  const withAlpha = channels.at(-1) === "alpha";
  const isGrey = count - Number(withAlpha) === 1;
  return (into, to, y, pixel) => {
    const at = pixel * count;
    into[to] = level(y[at]);
    into[to + 1] = isGrey ? into[to] : level(y[at + 1]);
    into[to + 2] = isGrey ? into[to] : level(y[at + 2]);
    if (withAlpha) into[to + 3] = level(y[at + count - 1]);
  };
}

// === The self-check ===

/**
 * How far a result is from the known one, in levels of 8 bits: the largest difference; of class numbers 255 times the
 * share of pixels with another class. NaN is infinitely far.
 *
 * @param {Contract} contract @param {ArrayLike<number>} y @param {ArrayLike<number>} known
 */
export function levelsApart(contract, y, known) {
  if (y.length !== known.length) return Infinity;
  let most = 0, other = 0;
  for (let i = 0; i < y.length; i++) {
    const apart = Math.abs(y[i] - known[i]);
    if (!(apart <= most)) most = apart;
    if (apart) other++;
    if (Number.isNaN(apart)) return Infinity;
  }
  if (contract.y.activation === "argmax") return (255 * other) / y.length;
  return most * (classesOut(contract) ? 255 : 127.5);
}

// Between what is drawn (classes, levels of grey) and the colours that people and models see.
// @ts-check

/** @typedef {import("./drawing.js").Plane} Plane */
/** @typedef {[number, number, number]} Colour Red, green and blue, 0 to 255. */
/**
 * A class of a label palette, as the contract has it.
 * @typedef {object} Label
 * @property {string} name
 * @property {Colour} color
 * @property {boolean} [void] What no evaluation counts.
 */

/** The 256 levels of grey, for planes that hold those. */
export const GREYS = Array.from({ length: 256 }, (_, n) => /** @type {Colour} */ ([n, n, n]));

/** A plane's picture. @param {Plane} plane @param {Colour[]} colours By value. */
export function pictureOf({ width, height, data }, colours) {
  const pixels = new Uint8ClampedArray(4 * width * height);
  // One write of 32 bits for each pixel; which end they start at is the machine's.
  const words = new Uint32Array(pixels.buffer);
  const known = new Uint32Array(colours.map((colour) => wordOf(colour)));
  for (let i = 0; i < data.length; i++) words[i] = known[data[i]];
  return { width, height, data: pixels };
}

/** A colour's four bytes in memory, opaque. @param {Colour} colour */
function wordOf([red, green, blue]) {
  return new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer)[0];
}

/**
 * A picture as a plane: for each pixel the nearest of some colours.
 * @param {{width: number, height: number, data: Uint8ClampedArray}} picture
 * @param {Colour[]} colours
 * @returns {{plane: Plane, other: number}} And the share of pixels whose colour is none of them.
 */
export function planeOf({ width, height, data }, colours) {
  const words = new Uint32Array(data.buffer, data.byteOffset, width * height);
  /** @type {Map<number, {value: number, exact: boolean}>} */
  const known = new Map();
  const plane = { width, height, data: new Uint8Array(width * height) };
  let other = 0;
  for (let i = 0; i < words.length; i++) {
    let found = known.get(words[i]);
    if (!found) {
      const seen = /** @type {Colour} */ (Array.from(data.subarray(4 * i, 4 * i + 3)));
      found = nearestColour(seen, colours);
      known.set(words[i], found);
    }
    plane.data[i] = found.value;
    if (!found.exact) other++;
  }
  return { plane, other: other / words.length };
}

/** The place of the nearest colour. @param {Colour} seen @param {Colour[]} colours */
function nearestColour(seen, colours) {
  let value = 0;
  let least = Infinity;
  for (const [place, colour] of colours.entries()) {
    const distance = colour.reduce((sum, level, c) => sum + (level - seen[c]) ** 2, 0);
    if (distance < least) [value, least] = [place, distance];
  }
  return { value, exact: least === 0 };
}

/** A picture's brightness (Rec. 601, as Pillow's L), a level of grey for each pixel.
 * @param {{width: number, height: number, data: Uint8ClampedArray}} picture @returns {Plane} */
export function greyOf({ width, height, data }) {
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  }
  return { width, height, data: grey };
}

/** As CSS writes it. @param {Colour} colour */
export function cssOf(colour) {
  return `rgb(${colour.join(" ")})`;
}

/** Whether black reads better on a colour than white (WCAG's contrast). @param {Colour} colour */
export function isBright(colour) {
  const [red, green, blue] = colour.map((level) => {
    const share = level / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}

/** The commonest value of a plane: its ground. @param {Plane} plane */
export function groundOf({ data }) {
  const counts = new Array(256).fill(0);
  for (const value of data) counts[value]++;
  return counts.indexOf(Math.max(...counts));
}

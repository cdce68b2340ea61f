// A drawing as text that fits into the address of a page, and back.
// @ts-check

/**
 * What a link holds.
 * @typedef {object} Linked
 * @property {string} model
 * @property {string} seed A whole number of 64 bits.
 * @property {boolean} noise
 * @property {{seed: number, x: number, y: number}|null} walk Directions and place of the latent's pad.
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array<ArrayBuffer>} bytes One for each pixel, or three: red, green and blue.
 */

/** Characters; longer links are cut by too many programs that pass them on. */
export const LONGEST_LINK = 16000;
const MOST_LINKED = 4096 * 4096; // pixels
const MOST_PACKED = 1000 * LONGEST_LINK; // bytes: more cannot become so few characters
const LINK_FORMAT = 1;

const INSTEAD = "save the input as PNG and pass that on, or make it smaller or simpler";

/**
 * The text for the address, without the `#`.
 * @param {Linked} linked @returns {Promise<string>}
 * @throws {Error} It would be too long, or this browser cannot pack; one sentence.
 */
export async function linkTo({ bytes, width, height, model, seed, noise, walk }) {
  if (typeof CompressionStream === "undefined") {
    throw new Error("This browser cannot pack a drawing into a link; save the input as PNG and pass that on.");
  }
  if (bytes.length > MOST_PACKED) throw new Error(`This is too large for a link; ${INSTEAD}.`);
  const packed = await through(bytes, new CompressionStream("deflate-raw"));
  const head = new URLSearchParams({
    v: String(LINK_FORMAT), model, size: `${width}x${height}`, seed, noise: noise ? "1" : "0",
  });
  if (walk) head.set("walk", [walk.seed, walk.x, walk.y].join(","));
  const length = `${head}&d=`.length + Math.ceil((4 * packed.length) / 3);
  if (length > LONGEST_LINK) {
    const [found, most] = [length, LONGEST_LINK].map((n) => n.toLocaleString("en"));
    throw new Error(
      `A link to this would have ${found} characters, and many programs cut those of more than ${most}; ${INSTEAD}.`,
    );
  }
  return `${head}&d=${base64Of(packed)}`;
}

/**
 * What a link's text holds.
 * @param {string} text From the address; `#` may stand before it.
 * @returns {Promise<Linked|null>} None where it is no such link.
 * @throws {Error} It is damaged, or of a newer page; one sentence.
 */
export async function readLink(text) {
  const head = new URLSearchParams(text.replace(/^#/, ""));
  if (!head.has("d")) return null;
  if (Number(head.get("v")) > LINK_FORMAT) {
    throw new Error("The link comes from a newer version of this page; ask for the drawing as a picture.");
  }
  try {
    const size = /^(\d{1,5})x(\d{1,5})$/.exec(head.get("size") ?? "");
    const [width, height] = [Number(size?.[1]), Number(size?.[2])];
    const pixels = width * height;
    if (!(pixels > 0 && pixels <= MOST_LINKED)) throw new Error("no size");
    const packed = bytesOfBase64(head.get("d") ?? "");
    const bytes = await through(packed, new DecompressionStream("deflate-raw"), 3 * pixels);
    if (bytes.length !== pixels && bytes.length !== 3 * pixels) throw new Error("bytes are missing");
    const walk = (head.get("walk") ?? "").split(",").map(Number);
    return {
      model: head.get("model") ?? "",
      seed: String(BigInt.asIntN(64, BigInt(head.get("seed") ?? "0"))),
      noise: head.get("noise") !== "0",
      walk: walk.length === 3 && walk.every(Number.isFinite) ? { seed: walk[0], x: walk[1], y: walk[2] } : null,
      width, height, bytes,
    };
  } catch {
    throw new Error("The link is damaged (a part of it may be missing), so its drawing cannot be shown; ask for it again.");
  }
}

/** Bytes through one of the browser's streams. @param {Uint8Array<ArrayBuffer>} bytes
 * @param {GenericTransformStream} stream @param {number} [most] That may come out. */
async function through(bytes, stream, most = Infinity) {
  const reader = new Blob([bytes]).stream().pipeThrough(/** @type {any} */ (stream)).getReader();
  /** @type {Uint8Array[]} */
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = /** @type {ReadableStreamReadResult<Uint8Array>} */ (await reader.read());
    if (done) break;
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new Error("more bytes than pixels");
    }
    parts.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Base64 with the letters that addresses take. @param {Uint8Array} bytes */
function base64Of(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {string} text */
function bytesOfBase64(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

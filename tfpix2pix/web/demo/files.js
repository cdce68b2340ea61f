// Where the page's files come from: fetched from a server, or taken from scripts where there is none.
// @ts-check

/**
 * @typedef {object} Packed A file as scripts `PATH.0.js`, `PATH.1.js`, ..., which call
 *   `tfpix2pixPart(path, number, base64)`: browsers load scripts from a folder without a server, and nothing else.
 * @property {number} bytes Of the file itself.
 * @property {number} parts
 * @property {boolean} gzip Whether the parts together are compressed.
 *
 * @typedef {{file: string, shape: number[]}} TensorFile Raw float32, little-endian.
 *
 * @typedef {object} ModelEntry
 * @property {string} name
 * @property {string} title
 * @property {string} precision "float32", "float16" or "int8".
 * @property {string} file The ONNX file's path in the page's folder.
 * @property {number} bytes
 * @property {import("./pictures.js").Contract} contract
 * @property {number|string} seed `config.seed` of the run.
 * @property {{x: TensorFile, z?: TensorFile|null, latent?: TensorFile|null, y: TensorFile, tolerance: number}} proof
 *   What the network makes of known inputs, to that many levels of 8 bits.
 *
 * @typedef {object} ModelList models.json.
 * @property {number} version
 * @property {ModelEntry[]} models
 * @property {{[path: string]: Packed}} [packed] The files that are there as scripts; the others are fetched.
 *
 * @typedef {object} Site
 * @property {string} url Of the page's folder, with a / at the end.
 * @property {ModelList} list
 *
 * @typedef {(bytes: number) => void} OnBytes Told how many bytes more have arrived.
 */

const VERSION = 1;
const AT_A_TIME = 4; // scripts

/**
 * A page's folder.
 *
 * @param {string|{url: string, list: ModelList}} where Its URL; with the list where that is at hand already (a page
 *   without a server has it within).
 * @returns {Promise<Site>}
 * @throws {Error} There is none that can be used, in a sentence.
 */
export async function openSite(where) {
  const { url, list } = typeof where === "string" ? { url: where, list: undefined } : where;
  const folder = new URL("./", new URL(url, globalThis.document?.baseURI)).href;
  const found = list ?? JSON.parse(new TextDecoder().decode(await fetched(folder, "models.json")));
  if (found?.version !== VERSION || !Array.isArray(found.models))
    throw new Error("models.json is of another version than this page; write the page anew: tfpix2pix export --formats=web");
  return { url: folder, list: found };
}

/**
 * The bytes of a file of the page.
 *
 * @param {Site} site @param {string} path @param {OnBytes} [onBytes]
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {Error} It does not arrive, or not whole, in a sentence.
 */
export async function fileOf(site, path, onBytes = () => {}) {
  const packed = site.list.packed?.[path];
  if (!packed) return fetched(site.url, path, onBytes);
  const found = await unpacked(site.url, path, packed, onBytes);
  if (found.length !== packed.bytes) throw new Error(arrivedShort(path, found.length, packed.bytes));
  return found;
}

/** @param {string} folder @param {string} path @param {OnBytes} [onBytes] */
async function fetched(folder, path, onBytes) {
  if (folder.startsWith("file:"))
    throw new Error(
      `a browser does not read ${path} without a server; open the page by tfpix2pix demo, or write one that needs no ` +
        "server: tfpix2pix export --formats=web",
    );
  let response;
  try {
    response = await fetch(new URL(path, folder));
    if (response.ok) return await bytesOf(response, onBytes);
  } catch (error) {
    throw new Error(`${path} did not arrive (${reasonOf(error)}); is the server still there? Load the page again`);
  }
  throw new Error(`${path} did not arrive (${response.status} ${response.statusText}); is the page's folder whole?`);
}

/** @param {Response} response @param {OnBytes} [onBytes] */
async function bytesOf(response, onBytes) {
  if (!onBytes || !response.body) return new Uint8Array(await response.arrayBuffer());
  const reader = response.body.getReader();
  const parts = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    parts.push(read.value);
    onBytes(read.value.length);
  }
  return joinedBytes(parts);
}

/** @param {Uint8Array[]} parts */
function joinedBytes(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// === Files as scripts ===

/** @type {Map<string, string>} What scripts have brought, in base64. */
const brought = new Map();

/** @param {string} folder @param {string} path @param {Packed} packed @param {OnBytes} onBytes */
async function unpacked(folder, path, { bytes, parts, gzip }, onBytes) {
  Object.assign(globalThis, {
    /** @param {string} of @param {number} part @param {string} base64 */
    tfpix2pixPart: (of, part, base64) => brought.set(`${of}.${part}`, base64),
  });
  /** @type {Uint8Array[]} */
  const pieces = [];
  for (let first = 0; first < parts; first += AT_A_TIME) {
    const numbers = Array.from({ length: Math.min(AT_A_TIME, parts - first) }, (_, i) => first + i);
    const arriving = numbers.map(async (number) => {
      const piece = await pieceOf(folder, `${path}.${number}`);
      onBytes(bytes / parts);
      return piece;
    });
    pieces.push(...(await Promise.all(arriving)));
  }
  if (!gzip) return joinedBytes(pieces);
  const stream = new Blob(/** @type {BlobPart[]} */ (pieces)).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} folder @param {string} name */
async function pieceOf(folder, name) {
  const script = document.createElement("script");
  script.src = new URL(`${name}.js`, folder).href;
  await new Promise((done) => {
    script.onload = script.onerror = done;
    document.head.append(script);
  });
  script.remove();
  const base64 = brought.get(name);
  brought.delete(name);
  if (base64 === undefined) throw new Error(`${name}.js did not arrive; is the page's folder whole?`);
  return bytesOfBase64(base64);
}

/** @param {string} base64 */
function bytesOfBase64(base64) {
  const native = /** @type {any} */ (Uint8Array).fromBase64; // of 2025, and many times as fast
  if (native) return /** @type {Uint8Array<ArrayBuffer>} */ (native.call(Uint8Array, base64));
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// === What went wrong ===

/** @param {string} path @param {number} bytes @param {number} expected */
export const arrivedShort = (path, bytes, expected) =>
  `${path} arrived with ${bytes} bytes, and ${expected} were expected; load the page again, or copy its folder again`;

/** The first line of what an error says. @param {unknown} error */
export function reasonOf(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n")[0].slice(0, 200);
}

/** Whether there is not memory enough, from what an engine says. @param {unknown} error */
export function isMemory(error) {
  return /out of memory|\boom\b|bad_alloc|alloc\w*.*(fail|size)|(fail|could not|cannot).*alloc|enlarge memory|invalid (typed )?array (buffer )?length/i.test(
    error instanceof Error ? error.message : String(error),
  );
}

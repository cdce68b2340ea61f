// What draws for the page: a network and what runs it, WebGPU or WebAssembly, in a worker.
// @ts-check

import { arrivedShort, fileOf, isMemory, openSite, reasonOf } from "./files.js";
import { drawLatent } from "./noise.js";
import { whyNotDrawable } from "./pictures.js";
import { isolate, threadsHere, whyOneThread } from "./threads.js";

/**
 * @typedef {import("./files.js").ModelEntry} ModelEntry
 * @typedef {import("./files.js").ModelList} ModelList
 * @typedef {import("./files.js").Site} Site
 * @typedef {"webgpu"|"wasm"} Runner
 *
 * @typedef {object} Info What runs the network.
 * @property {Runner} engine
 * @property {number} threads Of WebAssembly; 1 with WebGPU.
 * @property {number} difference From the known result, in levels of 8 bits.
 * @property {string} note What runs it and why, in a sentence for the visitor.
 *
 * @typedef {object} Request
 * @property {ImageData|import("./pictures.js").Picture} picture Of any size that the network takes.
 * @property {bigint|number|string} seed As `tfpix2pix translate --seed` takes it.
 * @property {boolean} [noise] False: no dropout.
 * @property {number[]|null} [latent] In the place of the seed's.
 *
 * @typedef {object} Made
 * @property {ImageData} picture Of the same size.
 * @property {number} milliseconds From the picture to the picture.
 * @property {Info} info
 *
 * @typedef {(share: number, doing: string) => void} OnProgress 0 to 1, and what is being done, in a few words.
 *
 * @typedef {object} Options
 * @property {"auto"|Runner} [engine] "webgpu" also tries it where it is not expected to be of use.
 * @property {number} [threads]
 * @property {boolean} [isolate] False: the page is not loaded again to get threads.
 */

const FOLDER = "onnxruntime/";
// onnxruntime-web has a build for each; that of WebAssembly alone is half as large, and faster at it.
const RUNTIMES = {
  webgpu: { script: "ort.webgpu.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.asyncify.wasm", bytes: 26.9e6 },
  wasm: { script: "ort.wasm.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.wasm", bytes: 14.3e6 },
};
const WORKER = "worker.js";
// Addresses of 32 bits, and the file is there twice while it is loaded.
const MOST_BYTES = 2 ** 31;
// The least program of WebAssembly with vectors of 128 bits, of which browsers without them say that it is none.
const VECTORS = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const PATIENCE = 20; // seconds for WebGPU's first picture; where it takes longer, WebAssembly is quicker
const CHECKING = 0.9; // the share of the progress that files are

/**
 * Opens what draws for a page.
 *
 * @param {string|{url: string, list: ModelList}} where The page's folder, see `openSite`.
 * @param {Options} [options]
 * @returns {Promise<Engine>} Never, where the page is being loaded again to get threads.
 * @throws {Error} What is missing, in a sentence.
 */
export async function openEngine(where, options = {}) {
  const site = await openSite(where);
  if (options.isolate !== false && (await isolate(site.url))) await new Promise(() => {});
  return new Engine(site, options);
}

/** Draws with one network at a time; made by `openEngine`. */
class Engine {
  /** @type {Beside|null} */
  #beside = null;
  /** @type {{entry: ModelEntry, info: Info}|null} */
  #loaded = null;
  /** Of the newest call of `load`, whatever became of it. @type {Promise<any>} */
  #loading = Promise.resolve();
  #turn = 0;
  #isDrawing = false;
  /** The newest request that is not begun. @type {{request: Request, done: (made: Made|null) => void, fail: (e: unknown) => void}|null} */
  #waiting = null;
  /** Why WebGPU is not tried again, by network. @type {Map<string, string>} */
  #failed = new Map();
  #site;
  #options;

  /** @param {Site} site @param {Options} options */
  constructor(site, options) {
    this.#site = site;
    this.#options = options;
  }

  /** What the page has. */
  get models() {
    return this.#site.list.models;
  }

  /** A file of the page, such as an example. @param {string} path */
  file(path) {
    return fileOf(this.#site, path);
  }

  /**
   * Loads a network, and lets it make a known picture before anything else.
   *
   * @param {string} name Of `models`.
   * @param {OnProgress} [onProgress]
   * @returns {Promise<Info>}
   * @throws {Error} Why it cannot be drawn with, in a sentence; named "AbortError" where another was asked for meanwhile.
   */
  load(name, onProgress = () => {}) {
    const turn = ++this.#turn;
    this.#drop();
    const before = this.#loading;
    const loading = (async () => {
      await before.catch(() => {});
      this.#check(turn);
      const entry = this.models.find((each) => each.name === name);
      if (!entry) throw new Error(`no network "${name}"; there are ${this.models.map((each) => each.name).join(", ")}`);
      this.#loaded = null;
      let most = 0; // a second engine begins again, and what is told does not go back
      return this.#load(entry, turn, (share, doing) => onProgress((most = Math.max(most, share)), doing));
    })();
    this.#loading = loading;
    return loading;
  }

  /**
   * The picture that the network makes of one; of several requests while it is busy only the newest.
   *
   * @param {Request} request
   * @returns {Promise<Made|null>} Null where a newer request, or another network, came before.
   * @throws {Error} Why there is none, in a sentence.
   */
  draw(request) {
    return new Promise((done, fail) => {
      this.#drop();
      this.#waiting = { request, done, fail };
      this.#next();
    });
  }

  /** The latent that a seed stands for; empty for a network without. @param {bigint|number|string} seed */
  async latent(seed) {
    await this.#loading.catch(() => {});
    const { entry } = this.#thing();
    return Array.from(drawLatent(entry.seed, seed, entry.contract.latent?.size ?? 0));
  }

  /** Ends the worker; nothing can be drawn afterwards. */
  close() {
    this.#turn++;
    this.#drop();
    this.#end();
    this.#loaded = null;
  }

  #thing() {
    if (!this.#loaded) throw new Error("no network is loaded; choose one");
    return this.#loaded;
  }

  #drop() {
    this.#waiting?.done(null);
    this.#waiting = null;
  }

  #end() {
    this.#beside?.end();
    this.#beside = null;
  }

  /** @param {number} turn */
  #check(turn) {
    if (turn !== this.#turn) throw new DOMException("another network was asked for", "AbortError");
  }

  // === Loading ===

  /** @param {ModelEntry} entry @param {number} turn @param {OnProgress} onProgress @returns {Promise<Info>} */
  async #load(entry, turn, onProgress) {
    refuse(entry);
    const why = this.#failed.get(entry.name) ?? (await whyNotWebGPU(entry, this.#options.engine));
    if (!why) {
      const failed = await this.#try("webgpu", entry, turn, onProgress).catch((error) => {
        this.#check(turn);
        return `it failed (${reasonOf(error)})`;
      });
      if (typeof failed !== "string") return failed;
      this.#end();
      this.#failed.set(entry.name, failed);
      return this.#load(entry, turn, onProgress);
    }
    try {
      const info = await this.#try("wasm", entry, turn, onProgress, why);
      if (typeof info !== "string") return info;
      throw new Error(`this browser computes other pictures than it should (${info}), so none are shown; use another browser`);
    } catch (error) {
      this.#check(turn);
      this.#end();
      if (!isMemory(error)) throw error;
      throw new Error(`"${entry.title}" ${tooLarge(entry)}`);
    }
  }

  /**
   * @param {Runner} engine @param {ModelEntry} entry @param {number} turn @param {OnProgress} onProgress
   * @param {string} [why] Why it is not WebGPU.
   * @returns {Promise<Info|string>} Or how far it is from the known picture, where that is too far.
   */
  async #try(engine, entry, turn, onProgress, why = "") {
    const fresh = this.#beside?.engine !== engine;
    const runtime = RUNTIMES[engine];
    const total = entry.bytes + (fresh ? runtime.bytes : 0);
    let arrived = 0;
    const onBytes = (/** @type {number} */ bytes) => {
      arrived += bytes;
      if (turn === this.#turn) onProgress(CHECKING * Math.min(1, arrived / total), "loading");
    };
    onBytes(0);
    if (fresh) {
      this.#end();
      const [worker, script, wasm] = await Promise.all(
        [WORKER, FOLDER + runtime.script, FOLDER + runtime.wasm].map((path) => fileOf(this.#site, path, onBytes)),
      );
      this.#check(turn);
      const threads = engine === "wasm" ? (this.#options.threads ?? threadsHere()) : 1;
      this.#beside = new Beside(worker, engine, threads);
      await this.#beside.ask("start", { script: script.buffer, wasm: wasm.buffer, threads }, [script.buffer, wasm.buffer]);
    }
    const model = await fileOf(this.#site, entry.file, onBytes);
    if (model.length !== entry.bytes) throw new Error(arrivedShort(entry.file, model.length, entry.bytes));
    const proof = await this.#proof(entry);
    this.#check(turn);
    onProgress(CHECKING, "checking");
    const beside = /** @type {Beside} */ (this.#beside);
    const { contract, seed } = entry;
    const checked = beside.ask("load", { model, engine, contract, seed, proof }, [model.buffer]);
    const doubted = engine === "webgpu" && this.#options.engine !== "webgpu";
    const difference = await (doubted ? within(PATIENCE, checked) : checked);
    this.#check(turn);
    if (!(difference <= entry.proof.tolerance)) return `its picture is ${levels(difference)} off`;
    const { threads } = beside;
    const info = { engine, threads, difference, note: noteOf(engine, threads, difference, why) };
    this.#loaded = { entry, info };
    onProgress(1, "ready");
    return info;
  }

  /** The known inputs and the result. @param {ModelEntry} entry */
  async #proof({ proof }) {
    const { tolerance, ...files } = proof;
    const there = Object.entries(files).filter(([, file]) => file);
    const read = await Promise.all(
      there.map(async ([name, file]) => {
        const { file: path, shape } = /** @type {import("./files.js").TensorFile} */ (file);
        const bytes = await fileOf(this.#site, path);
        const expected = shape.reduce((a, b) => a * b, 4);
        if (bytes.length !== expected) throw new Error(arrivedShort(path, bytes.length, expected));
        return [name, { data: new Float32Array(bytes.buffer), shape }];
      }),
    );
    return Object.fromEntries(read);
  }

  // === Drawing ===

  async #next() {
    if (this.#isDrawing || !this.#waiting) return;
    this.#isDrawing = true;
    for (let loading; loading !== this.#loading; ) await (loading = this.#loading).catch(() => {});
    const waiting = this.#waiting; // the newest by now
    this.#waiting = null;
    try {
      if (waiting) waiting.done(await this.#draw(waiting.request));
    } catch (error) {
      waiting?.fail(error);
    }
    this.#isDrawing = false;
    this.#next();
  }

  /** @param {Request} request @returns {Promise<Made|null>} */
  async #draw({ picture: { data, width, height }, seed, noise = true, latent = null }) {
    const turn = this.#turn;
    const { entry, info } = this.#thing();
    // What is out of memory, or ended, is started anew.
    if (!this.#beside) await (this.#loading = this.#load(entry, turn, () => {}));
    const beside = /** @type {Beside|null} */ (this.#beside);
    if (!beside || turn !== this.#turn) return null;
    try {
      const made = await beside.ask("draw", { picture: { data, width, height }, seed, noise, latent });
      if (turn !== this.#turn) return null;
      const { milliseconds } = made;
      return { picture: new ImageData(made.data, width, height), milliseconds, info: this.#thing().info };
    } catch (error) {
      if (turn !== this.#turn) return null;
      if (error instanceof Refused) throw new Error(error.message);
      this.#end();
      if (info.engine === "webgpu" && beside.engine === "webgpu") {
        this.#failed.set(entry.name, `it failed while drawing (${reasonOf(error)})`);
        return this.#draw({ picture: { data, width, height }, seed, noise, latent });
      }
      if (isMemory(error))
        throw new Error(`${width}x${height} pixels do not fit into the memory of this browser; take a smaller picture`);
      throw new Error(`the network failed (${reasonOf(error)}); draw again, or load the page again`);
    }
  }
}

/** A request that cannot be, whatever runs the network. */
class Refused extends Error {}

/** The worker; see worker.js. */
class Beside {
  /** @type {Map<number, {done: (value: any) => void, fail: (error: Error) => void}>} */
  #asked = new Map();
  #count = 0;
  #worker;

  /** @param {Uint8Array<ArrayBuffer>} script @param {Runner} engine @param {number} threads */
  constructor(script, engine, threads) {
    this.engine = engine;
    this.threads = threads;
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    this.#worker = new Worker(url);
    this.#worker.onmessage = ({ data: { id, value, failed, refused } }) => {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (failed === undefined) asked?.done(value);
      else asked?.fail(refused ? new Refused(failed) : new Error(failed));
    };
    this.#worker.onerror = (event) => this.#fail(new Error(event.message || "its worker ended"));
  }

  /** @param {string} call Of worker.js. @param {object} given @param {Transferable[]} [transfer] */
  ask(call, given, transfer = []) {
    return new Promise((done, fail) => {
      const id = this.#count++;
      this.#asked.set(id, { done, fail });
      this.#worker.postMessage({ id, call, given }, transfer);
    });
  }

  end() {
    this.#worker.terminate();
    this.#fail(new Error("it was ended"));
  }

  /** @param {Error} error */
  #fail(error) {
    for (const { fail } of this.#asked.values()) fail(error);
    this.#asked.clear();
  }
}

// === What can be run, and by what ===

/** Refuses what no engine here can draw with. @param {ModelEntry} entry */
function refuse(entry) {
  const why = whyNotDrawable(entry.contract);
  if (why) throw new Error(`"${entry.title}" cannot be drawn with: ${why}; translate files by tfpix2pix translate instead`);
  if (typeof WebAssembly === "undefined")
    throw new Error("this browser has no WebAssembly, which runs the network; allow it, or use another browser");
  if (!WebAssembly.validate(Uint8Array.from(VECTORS)))
    throw new Error("the WebAssembly of this browser has no vectors (SIMD), which the network needs; use a newer browser");
  if (entry.bytes > MOST_BYTES) throw new Error(`"${entry.title}" ${tooLarge(entry)}`);
}

/** @param {ModelEntry} entry */
function tooLarge({ bytes, precision }) {
  const smaller = precision === "int8" ? "a smaller network" : "a smaller file: tfpix2pix export --quantize=int8";
  return `(${Math.ceil(bytes / 1e6)} MB) does not fit into the memory of this browser; close other pages, or take ${smaller}`;
}

/**
 * Why WebGPU is not tried; empty where it is.
 *
 * @param {ModelEntry} entry @param {Options["engine"]} wanted
 */
async function whyNotWebGPU({ precision }, wanted) {
  if (wanted === "wasm") return "it was not asked for";
  /** @type {any} */
  const gpu = /** @type {any} */ (navigator).gpu;
  if (!gpu) return isSecureContext ? "this browser has none" : "a page has it only by https, or from this machine";
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return "there is no graphics processor for it";
  if (wanted === "webgpu") return "";
  if (precision === "int8") return "8-bit files run on the processor";
  const emulated = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter;
  return emulated ? "its graphics processor is an emulated one" : "";
}

/** @template T @param {number} seconds @param {Promise<T>} promise @returns {Promise<T>} */
async function within(seconds, promise) {
  let timer = 0;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`it took more than ${seconds} seconds`)), 1000 * seconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** @param {Runner} engine @param {number} threads @param {number} difference @param {string} why */
function noteOf(engine, threads, difference, why) {
  const checked = `checked on a known picture (${levels(difference)} off)`;
  if (engine === "webgpu") return `WebGPU, ${checked}`;
  const one = threads > 1 ? "" : whyOneThread();
  const many = threads > 1 ? `${threads} threads` : "one thread";
  return `WebAssembly with ${many}, ${checked}; no WebGPU: ${why}${one && `; ${one}`}`;
}

/** @param {number} difference */
const levels = (difference) =>
  Number.isFinite(difference) ? `${difference < 0.005 ? 0 : difference.toPrecision(2)} levels of 255` : "no picture";

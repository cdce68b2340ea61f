// The page to draw on: what is drawn goes to the engine, and its picture comes back as one draws.
// @ts-check
import { Camera } from "./camera.js";
import { Noise, Walk } from "./chance.js";
import { planeOf } from "./colours.js";
import { byId, canvasById, inputOf, made, onClick, remembered, selectOf } from "./dom.js";
import { valueAt } from "./drawing.js";
import { Editor } from "./editor.js";
import { openEngine } from "./engine.js";
import { History } from "./history.js";
import { takePictures } from "./intake.js";
import { Keeping } from "./keeping.js";
import { listenToKeys } from "./keys.js";
import { readLink } from "./link.js";
import { blobOfData, openPicture, paintOn, sizeText } from "./media.js";
import { complain, murmur, tell, trying, uncomplain } from "./messages.js";
import { Output } from "./output.js";
import { Paper, sheetBytes } from "./sheet.js";
import { shortcutsOf } from "./shortcuts.js";
import { SizeCard } from "./sizecard.js";
import { firstSize, fixedSize, ownSize, refusedSize } from "./sizes.js";
import { Stage } from "./stage.js";
import { Toolbox } from "./toolbox.js";

/** @typedef {import("./sheet.js").Sheet} Sheet */
/** @typedef {import("./sheet.js").Kind} Kind */
/** @typedef {import("./sheet.js").Dimensions} Dimensions */
/** @typedef {import("./colours.js").Label} Label */
/** @typedef {import("./media.js").Picture} Picture */
/**
 * A model as models.json has it, as far as the page itself needs it.
 * @typedef {object} Model
 * @property {string} name
 * @property {string} title
 * @property {any} contract
 * @property {any} [proof]
 * @property {string[]} [examples]
 * @property {{classes: Label[]}|null} [labels]
 * @property {Kind} input
 */
/** What is drawn for all models of one kind and palette.
 * @typedef {{paper: Paper, history: History<Sheet>, begun: boolean}} Folio */

/** @type {Record<string, string>} */
const RUNNERS = { webgpu: "WebGPU", wasm: "WebAssembly" };
/** @type {Record<Kind, string>} */
const HELP = {
  labels: "Arrows move the pen, with Shift by one pixel. Enter sets it down and lifts it; with the rectangle, Enter takes a corner. 1 to 9 take a class.",
  lines: "Arrows move the pen, with Shift by one pixel. Enter sets it down and lifts it.",
  photo: "A photograph: open, paste or drop another one, or take one by camera.",
};

/** Everything on the page. */
export class Page {
  /** @param {Awaited<ReturnType<typeof openEngine>>} engine */
  constructor(engine) {
    this.engine = engine;
    this.models = /** @type {Model[]} */ (/** @type {unknown} */ (engine.models));
    this.model = this.models[0];
    /** @type {Model|null} What the engine has. */
    this.loaded = null;
    /** @type {Map<string, Folio>} */
    this.folios = new Map();
    /** @type {Sheet|null} What is half drawn, or passes by. */
    this.draft = null;
    this.examples = 0; // shown so far
    this.stage = new Stage({ input: () => this.picture, pinched: () => this.editor.cancel() });
    this.sizes = new SizeCard((size) => this.resize(size));
    this.failed = false; // whether the newest output could not be made
    this.drawing = canvasById("drawing");
    this.output = new Output(canvasById("result"), {
      shown: (drawn) => this.shown(drawn),
      failed: (why) => {
        this.failed = true;
        byId("output-frame").classList.add("stale");
        complain(`No output: ${why}`);
      },
      working: (is) => byId("output-frame").classList.toggle("working", is),
    });
    this.noise = new Noise(() => this.redraw(), murmur);
    this.walk = new Walk(() => this.redraw(), murmur);
    this.toolbox = new Toolbox(murmur);
    this.editor = this.openEditor();
    this.keeping = new Keeping(() => ({
      model: this.model.name, seed: this.noise.seed, input: this.picture, output: () => this.output.newest(),
      linked: () => this.linked(),
    }));
    this.camera = new Camera({
      taken: (picture) => this.show(picture, "The camera's picture"),
      frame: (picture) => this.passing(picture),
      ended: () => this.passed(),
    });
    this.listen();
  }

  openEditor() {
    return new Editor(this.drawing, byId("outline"), {
      plane: () => this.sheet.plane,
      tool: () => this.toolbox.tool,
      show: (plane) => this.preview(this.paper.of(plane)),
      keep: (plane, done) => this.keep(this.paper.of(plane), done),
      drop: () => this.preview(null),
      pick: (value) => this.toolbox.choose(value),
      nameOf: (value) => this.paper.nameOf(value),
      tell: murmur,
      pinching: () => this.stage.gestures.pinching,
      follow: ({ x, y }) => this.stage.follow((x + 0.5) / this.sheet.width, (y + 0.5) / this.sheet.height),
      over: (at) => this.nameInput(at),
    });
  }

  // === What is drawn ===

  /** Models of one kind and palette share what is drawn; one of one size has its own. @param {Model} model
   * @returns {Folio} */
  folioOf(model) {
    const classes = model.labels?.classes ?? [];
    const key = JSON.stringify([model.input, classes, fixedSize(model.contract)]);
    let folio = this.folios.get(key);
    if (!folio) {
      const paper = new Paper(model.input, classes);
      folio = { paper, history: new History(paper.blank(ownSize(model)), sheetBytes), begun: false };
      this.folios.set(key, folio);
    }
    return folio;
  }

  get folio() {
    return this.folioOf(this.model);
  }

  get paper() {
    return this.folio.paper;
  }

  get history() {
    return this.folio.history;
  }

  get sheet() {
    return this.history.state;
  }

  /** What is seen now, half drawn or not. */
  get picture() {
    return this.paper.pictureOf(this.draft ?? this.sheet);
  }

  /** @param {Sheet|null} draft */
  preview(draft) {
    this.draft = draft;
    this.redraw();
  }

  /** A new state of the drawing. @param {Sheet} sheet @param {string} done In words. */
  keep(sheet, done) {
    this.camera.interrupt();
    this.draft = null;
    this.history.push(sheet);
    this.noise.drawn();
    this.update();
    murmur(done);
  }

  undo() {
    this.camera.interrupt();
    if (this.editor.busy) this.editor.cancel();
    else if (this.history.undo()) murmur("Undone");
    else murmur("There is nothing to undo");
    this.update();
  }

  redo() {
    this.camera.interrupt();
    this.editor.cancel();
    murmur(this.history.redo() ? "Done again" : "There is nothing to do again");
    this.update();
  }

  clear() {
    this.editor.cancel();
    this.keep(this.paper.blank(this.sheet), "Cleared");
  }

  /** The next example: the model's own, or one that the page draws. */
  async example() {
    const number = this.examples++;
    const { model, paper } = this;
    const given = model.examples ?? [];
    if (!given.length) return paper.drawn(this.sheet, number);
    const path = given[number % given.length];
    const file = path.startsWith("data:") ? blobOfData(path) : new Blob([await this.engine.file(path)]);
    const source = await openPicture(file, "The example");
    return paper.from(source, firstSize(model, source)).sheet;
  }

  async showExample() {
    this.editor.cancel();
    const sheet = await this.example();
    this.keep(sheet, `Example ${this.examples}`);
  }

  /** A picture from outside. @param {Blob} file @param {string} name */
  async open(file, name) {
    await this.show(await openPicture(file, name), name);
  }

  /** @param {ImageBitmap} source @param {string} name */
  async show(source, name) {
    this.editor.cancel();
    const size = firstSize(this.model, source);
    const { sheet, other } = this.paper.from(source, size);
    this.stage.zoom(0);
    this.keep(sheet, `${name}: ${sizeText(size)} pixels`);
    const notes = [];
    if (size.width !== source.width || size.height !== source.height) {
      const why = fixedSize(this.model.contract) ? "this model takes no other size" : "its own size is under Size";
      notes.push(`${name} has ${sizeText(source)} pixels and is shown with ${sizeText(size)}; ${why}`);
    }
    if (other > 0.001) {
      const share = Math.max(0.1, 100 * other).toFixed(other < 0.1 ? 1 : 0);
      notes.push(`${share} % of the pixels of ${name} show no class of this model; each became the one with the nearest colour`);
    }
    if (notes.length) tell(`${notes.join(". ")}.`);
  }

  /** One of the camera's pictures, which goes as it came. @param {ImageBitmap} source */
  async passing(source) {
    this.preview(this.paper.from(source, this.sheet).sheet);
    await this.output.newest();
    if (this.failed) this.camera.stop();
  }

  /** The last of them stays. */
  passed() {
    const last = this.draft;
    if (last) this.keep({ ...last, source: null }, "The camera is off; its last picture stays");
  }

  /** @param {Dimensions} size */
  async resize(size) {
    const refused = refusedSize(this.model.contract, size);
    if (refused) throw new Error(refused);
    this.editor.cancel();
    const { width, height } = this.sheet;
    if (size.width === width && size.height === height) return;
    this.keep(await this.paper.resized(this.sheet, size), `${sizeText(size)} pixels`);
  }

  // === Models ===

  /** Shows a model, and what is drawn for it. @param {Model} model
   * @param {Sheet|null} [given] Something else. */
  async choose(model, given = null) {
    this.editor.cancel();
    this.camera.interrupt();
    const before = this.folio;
    this.model = model;
    byId("title").textContent = model.title;
    document.title = `${model.title} · tfpix2pix`;
    selectOf("model").value = model.name;
    uncomplain();
    this.output.use(null);
    this.output.forget();
    if (model !== this.loaded) {
      this.loaded = null;
      byId("engine").textContent = "Loading …";
      showProgress("Loading the model …", null);
    }
    this.noise.show(model.contract);
    this.walk.show(model.contract);
    const { folio } = this;
    if (given && folio.begun) folio.history.push(given);
    else if (!folio.begun) {
      folio.begun = true;
      const sheet = given ?? (await this.firstSheet(before).catch(complain));
      if (sheet) folio.history = new History(sheet, sheetBytes);
    }
    if (model !== this.model) return;
    const refused = refusedSize(model.contract, this.sheet);
    if (refused) this.history.push(await this.paper.resized(this.sheet, ownSize(model)));
    if (model !== this.model) return;
    this.update();
    if (model === this.loaded) this.output.use(this.engine);
    else await this.load(model);
  }

  /** What is drawn already, where the model takes it; else an example. @param {Folio} before */
  async firstSheet(before) {
    const words = [before.paper, this.paper].map(({ kind, labels }) => JSON.stringify([kind, labels]));
    const isOther = before !== this.folio;
    return isOther && words[0] === words[1] ? before.paper.resized(before.history.state, ownSize(this.model)) : this.example();
  }

  /** @param {Model} model */
  async load(model) {
    try {
      const info = await this.engine.load(model.name, (share, doing) => {
        const words = doing === "checking" ? "Checking it on a known picture …" : `Loading the model … ${Math.round(100 * share)} %`;
        showProgress(words, share);
      });
      if (model !== this.model) return;
      const threads = info.engine === "wasm" ? `, ${info.threads} thread${info.threads === 1 ? "" : "s"}` : "";
      byId("engine").textContent = `${RUNNERS[info.engine] ?? info.engine}${threads}`;
      byId("engine-note").textContent = `What runs the model: ${info.note}.`;
      this.greet(model);
      byId("progress").hidden = true;
      this.loaded = model;
      this.output.use(this.engine);
      this.redraw();
    } catch (error) {
      // Another model was chosen meanwhile, which says how it goes.
      if (model !== this.model || (error instanceof Error && error.name === "AbortError")) return;
      byId("engine").textContent = "No model";
      showProgress("No output: the model could not be loaded.", 0);
      complain(error);
    }
  }

  /** The model is ready; who is here for the first time is told what to do. @param {Model} model */
  greet({ title, input }) {
    if (remembered.get("greeted")) {
      murmur(`${title} is ready`);
      return;
    }
    remembered.set("greeted", "yes");
    tell(input === "photo" ? "Open a picture of yours, drop one, or take one by camera" : "Draw on the input: the output follows");
  }

  // === What is shown ===

  /** Everything that depends on the drawing. */
  update() {
    const { photo, plane } = this.sheet;
    const { contract } = this.model;
    byId("undo").toggleAttribute("disabled", !this.history.canUndo);
    byId("redo").toggleAttribute("disabled", !this.history.canRedo);
    byId("clear").toggleAttribute("disabled", !plane && !photo);
    this.toolbox.show(this.paper, contract.x.channels.length === 1, this.sheet);
    byId("invitation").hidden = Boolean(plane || photo);
    byId("drawing-help").textContent = HELP[this.model.input];
    this.drawing.setAttribute("role", plane ? "application" : "img");
    this.drawing.tabIndex = plane ? 0 : -1;
    this.drawing.setAttribute("aria-label", `Input, ${sizeText(this.sheet)} pixels`);
    this.nameInput(null);
    this.sizes.show(this.model, this.sheet);
    byId("live").hidden = this.model.input === "labels";
    this.stage.show(this.sheet, this.model.input);
    this.redraw();
  }

  /** Shows the drawing, and asks for its output. */
  redraw() {
    const { picture } = this;
    if (!picture) {
      const context = this.drawing.getContext("2d");
      this.drawing.width = this.sheet.width;
      this.drawing.height = this.sheet.height;
      context?.clearRect(0, 0, this.drawing.width, this.drawing.height);
      this.output.forget();
      byId("time").textContent = "";
      byId("output-told").textContent = "";
      return;
    }
    paintOn(this.drawing, picture);
    const { seed } = this.noise;
    this.output.ask({
      picture, seed, noise: this.noise.on, latent: (engine) => this.walk.latent(engine, seed),
    });
  }

  /** @param {{picture: Picture, milliseconds: number}} drawn */
  shown({ picture, milliseconds }) {
    if (this.failed) uncomplain();
    this.failed = false;
    byId("output-frame").classList.remove("stale");
    const canvas = canvasById("result");
    canvas.setAttribute("aria-label", `Output, ${sizeText(picture)} pixels`);
    byId("time").textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
    byId("output-told").textContent = this.outputWords;
    this.stage.paintBefore();
  }

  /** The drawing's size, and what is at a place of it. @param {import("./drawing.js").Point|null} at */
  nameInput(at) {
    const { plane } = this.sheet;
    const value = at && plane ? valueAt(this.draft?.plane ?? plane, at) : undefined;
    const name = value === undefined ? "" : `, ${this.paper.nameOf(value)} at ${at?.x}, ${at?.y}`;
    byId("input-told").textContent = `${sizeText(this.sheet)} pixels${name}`;
  }

  /** What of the output chance decided. */
  get outputWords() {
    return [this.noise.words, this.walk.words].filter(Boolean).join(", ");
  }

  /** Of a model that makes labels: names the class under the pointer. @param {PointerEvent} event */
  nameOutput({ clientX, clientY }) {
    const { palette, label_side: side } = this.model.contract;
    const { picture } = this.output;
    if (!palette || side !== "target" || !picture) return;
    const { left, top, width, height } = canvasById("result").getBoundingClientRect();
    const x = Math.floor(((clientX - left) / width) * picture.width);
    const y = Math.floor(((clientY - top) / height) * picture.height);
    if (Math.min(x, y) < 0 || x >= picture.width || y >= picture.height) return;
    const place = 4 * (y * picture.width + x);
    const pixel = { width: 1, height: 1, data: picture.data.slice(place, place + 4) };
    const { plane } = planeOf(pixel, palette.classes.map((/** @type {Label} */ label) => label.color));
    byId("output-told").textContent = palette.classes[plane.data[0]].name;
  }

  // === Links ===

  /** What a link to the drawing holds. */
  linked() {
    const { width, height } = this.sheet;
    const bytes = this.paper.bytesOf(this.sheet);
    return bytes && {
      model: this.model.name, seed: String(this.noise.seed), noise: inputOf("with-noise").checked,
      walk: this.walk.place, width, height, bytes: new Uint8Array(bytes),
    };
  }

  /** Shows what the page's address holds; else a model. */
  async openLink() {
    const linked = await readLink(location.hash);
    if (!linked) return false;
    const model = this.models.find(({ name }) => name === linked.model);
    if (!model) throw new Error(`The link is for the model "${linked.model}", which this page does not have.`);
    const sheet = this.folioOf(model).paper.ofBytes(linked, linked.bytes);
    this.noise.set(BigInt(linked.seed));
    inputOf("with-noise").checked = linked.noise;
    const { walk } = linked;
    this.walk.seed = walk?.seed ?? 1;
    this.walk.put(walk?.x ?? 0, walk?.y ?? 0);
    await this.choose(model, sheet);
    return true;
  }

  // === What one does ===

  listen() {
    onClick("undo", () => this.undo());
    onClick("redo", () => this.redo());
    onClick("clear", () => this.clear());
    onClick("example", () => trying(() => this.showExample()));
    onClick("engine", () => tell(byId("engine-note").textContent || "Nothing runs a model yet"));
    onClick("close-trouble", uncomplain);
    canvasById("result").addEventListener("pointermove", (event) => this.nameOutput(event));
    canvasById("result").addEventListener("pointerleave", () => (byId("output-told").textContent = this.outputWords));
    selectOf("model").addEventListener("change", () => {
      const model = this.models.find(({ name }) => name === selectOf("model").value);
      if (model) void this.choose(model);
    });
    window.addEventListener("resize", () => this.toolbox.update());
    window.addEventListener("hashchange", () => trying(() => this.openLink()));
    takePictures((file, name) => this.open(file, name));
    listenToKeys(shortcutsOf(this));
  }

  async start() {
    const choice = selectOf("model");
    choice.replaceChildren(...this.models.map(({ name, title }) => made("option", { value: name }, title)));
    byId("choosing").hidden = this.models.length < 2;
    document.body.classList.toggle("several", this.models.length > 1);
    /** @type {unknown} */
    let trouble = null;
    try {
      if (await this.openLink()) return;
    } catch (error) {
      trouble = error; // with a link that cannot be used the page begins as without one
    }
    const showing = this.choose(this.models[0]);
    if (trouble) complain(trouble);
    await showing;
  }
}

/** Over the output. @param {string} words @param {number|null} share That is done; null: nobody knows. */
function showProgress(words, share) {
  const bar = /** @type {HTMLProgressElement} */ (byId("progress").querySelector("progress"));
  byId("progress").hidden = false;
  byId("progress-told").textContent = words;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

async function begin() {
  // A page that is opened without a server has the list of its models within.
  const listed = document.getElementById("models")?.textContent;
  const list = listed ? JSON.parse(listed) : null;
  const url = location.href.replace(/[?#].*$/, "");
  const engine = await openEngine(list ? { url, list } : url);
  if (!engine.models.length) throw new Error("This page has no model; write it anew: tfpix2pix export --formats=web");
  await new Page(engine).start();
}

begin().catch((error) => {
  showProgress("No output: the page could not begin.", 0);
  byId("engine").textContent = "No model";
  complain(error);
});

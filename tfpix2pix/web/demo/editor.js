// Drawing by mouse, finger, pen and keyboard: turns what happens on the canvas into edits of a plane.
// @ts-check
import { copyOf, floodFill, paintRectangle, paintStroke, valueAt } from "./drawing.js";

/** @typedef {import("./drawing.js").Plane} Plane */
/** @typedef {import("./drawing.js").Point} Point */
/**
 * @typedef {object} Tool
 * @property {"rectangle"|"brush"|"fill"|"pick"|"pencil"|"eraser"} name
 * @property {number} value That it paints.
 * @property {number} erasing The value that a pen's other end paints.
 * @property {number} diameter Of brush, pencil and eraser, pixels.
 */
/**
 * What an editor asks of its page.
 * @typedef {object} Host
 * @property {() => Plane|null} plane What is drawn on; it is not changed. None: nothing is.
 * @property {() => Tool} tool
 * @property {(plane: Plane) => void} show A drawing that is not finished.
 * @property {(plane: Plane, done: string) => void} keep A finished one, and what was done.
 * @property {() => void} drop The unfinished one is given up.
 * @property {(value: number) => void} pick
 * @property {(value: number) => string} nameOf
 * @property {(text: string) => void} tell
 * @property {() => boolean} pinching Whether fingers move the view.
 * @property {(at: Point) => void} follow Brings a place into view.
 * @property {(at: Point|null) => void} over Where the pen is; none: elsewhere.
 */

const WORDS = {
  rectangle: "Rectangle of", brush: "Stroke of", fill: "Filled with", pencil: "Line of", eraser: "Erased to", pick: "",
};
const SAID_AFTER = 500; // milliseconds of rest, so that a screen reader hears where keys ended only

/** Makes a drawing of a canvas. */
export class Editor {
  /** @param {HTMLCanvasElement} canvas @param {HTMLElement} outline Where the tool would paint.
   * @param {Host} host */
  constructor(canvas, outline, host) {
    this.canvas = canvas;
    this.outline = outline;
    this.host = host;
    /** @type {{base: Plane, plane: Plane, tool: Tool, start: Point, last: Point, byKey: boolean}|null} */
    this.draft = null;
    /** @type {Point|null} Where the keyboard's pen is. */
    this.cursor = null;
    this.saying = 0;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("pointerleave", () => this.showOutline(null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.focused());
    canvas.addEventListener("blur", () => this.showOutline(null));
  }

  /** Whether something is half drawn. */
  get busy() {
    return this.draft !== null;
  }

  // === Edits ===

  /** @param {Point} at @param {Tool} tool @param {boolean} byKey */
  start(at, tool, byKey) {
    const base = this.host.plane();
    if (!base) return;
    if (tool.name === "pick") {
      const value = valueAt(base, at);
      if (value !== undefined) this.host.pick(value);
      return;
    }
    const plane = copyOf(base);
    if (tool.name === "fill") {
      floodFill(plane, at, tool.value);
      this.host.keep(plane, `${WORDS.fill} ${this.host.nameOf(tool.value)}`);
      return;
    }
    this.draft = { base, plane, tool, start: at, last: at, byKey };
    this.paintTo(at);
    this.host.show(plane);
  }

  /** @param {Point} at */
  paintTo(at) {
    const draft = this.draft;
    if (!draft) return;
    const { base, plane, tool, start, last } = draft;
    if (tool.name === "rectangle") {
      plane.data.set(base.data);
      paintRectangle(plane, start, at, tool.value);
    } else {
      paintStroke(plane, last, at, tool.diameter, tool.value);
    }
    draft.last = at;
  }

  finish() {
    if (!this.draft) return;
    const { plane, tool, start, last } = this.draft;
    this.draft = null;
    const size = tool.name === "rectangle" ? `, ${Math.abs(last.x - start.x) + 1} by ${Math.abs(last.y - start.y) + 1} pixels` : "";
    this.host.keep(plane, `${WORDS[tool.name]} ${this.host.nameOf(tool.value)}${size}`);
  }

  /** Gives up what is half drawn. */
  cancel() {
    if (!this.draft) return;
    this.draft = null;
    this.host.drop();
  }

  // === Pointers ===

  /** The pixel under a pointer. @param {{clientX: number, clientY: number}} event @returns {Point} */
  pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return {
      x: Math.floor(((clientX - left) / width) * this.canvas.width),
      y: Math.floor(((clientY - top) / height) * this.canvas.height),
    };
  }

  /** @param {PointerEvent} event */
  down(event) {
    const picks = event.button === 2 || (event.button === 0 && event.altKey);
    const erases = event.button === 5; // the other end of a pen
    if (event.button !== 0 && !picks && !erases) return;
    if (this.host.pinching() || !event.isPrimary) return;
    this.cancel();
    if (!this.host.plane()) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor = this.pointOf(event);
    const tool = { ...this.host.tool() };
    if (picks) tool.name = "pick";
    if (erases) tool.value = tool.erasing;
    this.start(this.cursor, tool, false);
  }

  /** @param {PointerEvent} event */
  moved(event) {
    const at = this.pointOf(event);
    if (event.pointerType !== "touch") this.showOutline(at);
    if (!this.draft || this.draft.byKey || !event.isPrimary) return;
    // Between two frames of the screen a pen has been in many places.
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) this.paintTo(this.pointOf(each));
    this.cursor = at;
    this.host.show(this.draft.plane);
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (!this.draft || this.draft.byKey || !event.isPrimary) return;
    this.paintTo(this.pointOf(event));
    this.finish();
  }

  // === Keys ===

  focused() {
    if (this.canvas.matches(":focus-visible")) this.moveCursor(0, 0);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.host.plane()) return;
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(this.canvas.width / 64));
    /** @type {Record<string, [number, number]>} */
    const moves = {
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    };
    if (event.key in moves) this.moveCursor(...moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.press();
    else if (event.key === "Escape" && this.busy) {
      this.cancel();
      this.host.tell("Given up");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} right @param {number} down Pixels. */
  moveCursor(right, down) {
    const { width, height } = this.canvas;
    const from = this.cursor ?? { x: width >> 1, y: height >> 1 };
    this.cursor = {
      x: Math.min(width - 1, Math.max(0, from.x + right)),
      y: Math.min(height - 1, Math.max(0, from.y + down)),
    };
    if (this.draft?.byKey) {
      this.paintTo(this.cursor);
      this.host.show(this.draft.plane);
    }
    this.host.follow(this.cursor);
    this.showOutline(this.cursor, true);
    clearTimeout(this.saying);
    this.saying = window.setTimeout(() => this.sayWhere(), SAID_AFTER);
  }

  sayWhere() {
    const plane = this.host.plane();
    if (!plane || !this.cursor) return;
    const value = valueAt(plane, this.cursor);
    if (value !== undefined) this.host.tell(`${this.cursor.x}, ${this.cursor.y}: ${this.host.nameOf(value)}`);
  }

  /** Sets the pen down, or lifts it. */
  press() {
    if (this.draft) {
      this.finish();
      return;
    }
    this.moveCursor(0, 0);
    clearTimeout(this.saying);
    const tool = { ...this.host.tool() };
    if (this.cursor) this.start(this.cursor, tool, true);
    if (this.draft) {
      this.host.tell(tool.name === "rectangle" ? "First corner; go to the other and press Enter" : "Pen down; Enter lifts it");
    }
  }

  // === What would be painted ===

  /** @param {Point|null} at @param {boolean} [byKey] */
  showOutline(at, byKey = false) {
    const plane = this.host.plane();
    this.host.over(plane && at);
    this.outline.hidden = !at || !plane;
    if (!at || !plane) return;
    const { name, diameter } = this.host.tool();
    const round = name === "brush" || name === "pencil" || name === "eraser";
    const across = round ? diameter : 1;
    const before = round ? Math.floor((diameter - 1) / 2) : 0;
    this.outline.className = `outline${round && across > 2 ? " round" : ""}${byKey ? " key" : ""}`;
    this.outline.style.left = `${(100 * (at.x - before)) / plane.width}%`;
    this.outline.style.top = `${(100 * (at.y - before)) / plane.height}%`;
    this.outline.style.width = `${(100 * across) / plane.width}%`;
    this.outline.style.height = `${(100 * across) / plane.height}%`;
  }
}

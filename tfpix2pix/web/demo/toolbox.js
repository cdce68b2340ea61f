// The tools beside the drawing: which one, how wide, in which class or shade.
// @ts-check
import { cssOf, isBright } from "./colours.js";
import { byId, inputOf, made } from "./dom.js";

/** @typedef {import("./editor.js").Tool} Tool */
/** @typedef {import("./sheet.js").Paper} Paper */

/** What each kind of input is drawn with; the first tool is taken at first. */
const TOOLS_OF = {
  labels: ["rectangle", "brush", "fill", "pick"],
  lines: ["pencil", "eraser"],
  photo: /** @type {string[]} */ ([]),
};
/** Widths at first, as shares of the picture's smaller side. */
const FIRST_WIDTHS = { brush: 1 / 20, pencil: 1 / 128, eraser: 1 / 14 };
const WIDEST = 1 / 3;

/** What is chosen in the page's tools. */
export class Toolbox {
  /** @param {(what: string) => void} say Told in words what was chosen by other ways than the tools themselves. */
  constructor(say) {
    this.say = say;
    /** @type {Paper|null} */
    this.paper = null;
    this.ground = 0;
    this.grey = false;
    this.value = 0;
    /** @type {Record<string, number>} Pixels, by tool. */
    this.widths = {};
    for (const radio of this.radios()) {
      radio.addEventListener("change", () => this.update());
    }
    inputOf("diameter").addEventListener("input", () => {
      this.widths[this.name] = inputOf("diameter").valueAsNumber;
      this.update();
    });
    inputOf("shade").addEventListener("input", () => {
      this.value = inputOf("shade").valueAsNumber;
      this.update();
    });
  }

  radios() {
    return /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("input[name=tool]")]);
  }

  /** For another model. @param {Paper} paper @param {boolean} grey Whether shades make a difference.
   * @param {{width: number, height: number}} size */
  show(paper, grey, size) {
    const isOther = paper !== this.paper;
    const isTurned = paper.ground !== this.ground; // white on black, or black on white
    this.paper = paper;
    this.ground = paper.ground;
    this.grey = grey;
    const least = Math.min(size.width, size.height);
    inputOf("diameter").max = String(Math.max(8, Math.round(least * WIDEST)));
    if (isOther) {
      for (const [name, share] of Object.entries(FIRST_WIDTHS)) {
        this.widths[name] = Math.max(1, Math.round(least * share));
      }
      const names = TOOLS_OF[paper.kind];
      for (const radio of this.radios()) {
        const label = /** @type {HTMLElement} */ (radio.closest("label"));
        label.hidden = !names.includes(radio.value);
        radio.checked = radio.value === names[0];
      }
      byId("demo").dataset.kind = paper.kind;
      byId("tool-row").hidden = paper.kind === "photo";
      this.showPalette(paper);
    }
    if (isOther || isTurned) this.value = paper.kind === "labels" ? firstClass(paper) : paper.ink;
    this.update();
  }

  /** @param {Paper} paper */
  showPalette(paper) {
    byId("palette-row").hidden = paper.kind !== "labels";
    const chips = paper.kind === "labels" ? paper.labels : [];
    byId("palette").replaceChildren(
      ...chips.map(({ name, color }, value) => {
        const radio = /** @type {HTMLInputElement} */ (made("input", { type: "radio", name: "class", value: String(value) }));
        radio.addEventListener("change", () => this.take(value));
        const swatch = made("i", { "aria-hidden": "true", class: isBright(color) ? "bright" : "" });
        swatch.style.background = cssOf(color);
        if (value < 10) swatch.append(String((value + 1) % 10));
        return made("label", { class: "chip", title: name }, radio, swatch, made("span", {}, name));
      }),
    );
  }

  /** Takes a class or a shade, and says so. @param {number} value */
  choose(value) {
    if (!this.paper || (this.paper.kind === "labels" && value >= this.paper.labels.length)) return;
    this.take(value);
    this.say(this.paper.nameOf(value));
  }

  /** @param {number} value */
  take(value) {
    this.value = value;
    // Who takes a class means to paint with it.
    if (this.name === "pick") this.use("rectangle");
    this.update();
  }

  /** @param {string} name @returns {boolean} Whether there is such a tool here. */
  use(name) {
    const radio = this.radios().find((each) => each.value === name && !each.closest("label")?.hidden);
    if (!radio) return false;
    radio.checked = true;
    this.update();
    return true;
  }

  /** @param {number} by Pixels, at least. */
  widen(by) {
    const slider = inputOf("diameter");
    if (!(this.name in FIRST_WIDTHS)) return;
    const step = Math.sign(by) * Math.max(1, Math.round(this.widths[this.name] / 8));
    this.widths[this.name] = Math.min(Number(slider.max), Math.max(1, this.widths[this.name] + step));
    this.update();
    this.say(`${this.widths[this.name]} pixels wide`);
  }

  get name() {
    return this.radios().find((radio) => radio.checked)?.value ?? "";
  }

  /** @returns {Tool} */
  get tool() {
    const name = /** @type {Tool["name"]} */ (this.name);
    const erasing = this.paper?.ground ?? 0;
    return { name, value: name === "eraser" ? erasing : this.value, erasing, diameter: this.widths[name] ?? 1 };
  }

  /** Shows what is chosen. */
  update() {
    const width = this.widths[this.name];
    byId("width-row").hidden = width === undefined;
    if (width !== undefined) inputOf("diameter").value = String(width);
    byId("diameter-told").textContent = String(width ?? "");
    byId("shade-row").hidden = !this.grey || this.name !== "pencil";
    inputOf("shade").value = String(this.value);
    byId("shade-told").textContent = String(this.value);
    const chosen = byId("palette").querySelector(`input[value="${this.value}"]`);
    if (!(chosen instanceof HTMLInputElement)) return;
    chosen.checked = true;
    reveal(/** @type {HTMLElement} */ (chosen.closest("label")), byId("palette"));
  }
}

/** Scrolls a list, and not the page, so that a part of it is seen. @param {HTMLElement} part @param {HTMLElement} list */
function reveal(part, list) {
  const [seen, whole] = [part.getBoundingClientRect(), list.getBoundingClientRect()];
  const over = (/** @type {number} */ low, /** @type {number} */ high) => (low < 0 ? low : Math.max(0, high));
  list.scrollLeft += over(seen.left - whole.left, seen.right - whole.right);
  list.scrollTop += over(seen.top - whole.top, seen.bottom - whole.bottom);
}

/** A class to begin with: one that shows on the ground. @param {Paper} paper */
function firstClass(paper) {
  const window = paper.labels.findIndex(({ name }) => name.toLowerCase() === "window");
  if (window >= 0) return window;
  return Math.max(0, paper.labels.findIndex((label, place) => !label.void && place !== paper.ground));
}

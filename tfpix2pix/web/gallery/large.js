// One pair, as large as the screen allows.
// @ts-check
import { arranged } from "./arranged.js";
import { element, figureOf, made, setPicture, setScores } from "./figures.js";
import { bestOf, columnsOf, headlineOf, pictureOf, written } from "./pairs.js";
import { handOn } from "../shared/hand.js";
import { moved, whole, zoomed } from "../shared/view.js";

/** @typedef {import("../shared/view.js").View} View */

const BETWEEN = 12; // pixels between pictures, as in the style
const STEP = 0.1; // of a frame, by a key
const BETTER = { higher: "higher is better", lower: "lower is better", "": "" };

export class Large {
  /**
   * @param {import("./pairs.js").Gallery} gallery
   * @param {{view: () => View, change: (view: View) => void, turn: (place: number) => void,
   *   close: () => void}} told `turn`: to the pair at a place of the order.
   */
  constructor(gallery, told) {
    this.gallery = gallery;
    this.told = told;
    this.columns = columnsOf(gallery);
    this.figures = this.columns.map((column) => figureOf(gallery, column));
    this.dialog = /** @type {HTMLDialogElement} */ (element("large"));
    this.pictures = element("large-pictures");
    this.pictures.append(...this.figures);
    this.place = 0;
    this.count = 0;
    element("previous").addEventListener("click", () => this.turn(-1));
    element("next").addEventListener("click", () => this.turn(1));
    element("close").addEventListener("click", () => told.close());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      told.close();
    });
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
    handOn(this.pictures, told.view, told.change, {
      wheel: "zooms",
      drag: "any",
      doubleClick: true,
      swiped: (step) => this.turn(step),
    });
    window.addEventListener("resize", () => this.arrange());
  }

  /** @param {number} step */
  turn(step) {
    const place = Math.min(Math.max(this.place + step, 0), this.count - 1);
    if (place !== this.place) this.told.turn(place);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { view, change } = this.told;
    /** @param {number} right @param {number} down */
    const pan = (right, down) => change(moved(view(), -right * STEP, -down * STEP));
    const near = view().scale > 1;
    /** @type {Record<string, (() => void)|undefined>} */
    const keys = {
      ArrowLeft: () => (event.shiftKey ? pan(-1, 0) : this.turn(-1)),
      ArrowRight: () => (event.shiftKey ? pan(1, 0) : this.turn(1)),
      ArrowUp: near ? () => pan(0, -1) : undefined,
      ArrowDown: near ? () => pan(0, 1) : undefined,
      Home: () => this.turn(-this.count),
      End: () => this.turn(this.count),
      "+": () => change(zoomed(view(), 1.5)),
      "=": () => change(zoomed(view(), 1.5)),
      "-": () => change(zoomed(view(), 1 / 1.5)),
      0: () => change(whole()),
    };
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /**
   * @param {number[]} order Places of the pairs that are shown. @param {number} index Which pair.
   * @param {import("./pairs.js").Shown} shown
   */
  show(order, index, shown) {
    const { gallery } = this;
    this.place = Math.max(0, order.indexOf(index));
    this.count = order.length;
    const where = `${gallery.unit} ${this.place + 1} of ${this.count}`;
    element("large-name").textContent = gallery.names[index];
    element("large-place").textContent = where;
    element("large-told").textContent = `${gallery.names[index]}, ${where}`;
    /** @type {HTMLButtonElement} */ (element("previous")).disabled = this.place === 0;
    /** @type {HTMLButtonElement} */ (element("next")).disabled = this.place + 1 >= this.count;
    const measures = headlineOf(gallery, shown);
    this.columns.forEach((column, i) => {
      const figure = this.figures[i];
      figure.hidden = shown.hidden.includes(column.key);
      setPicture(figure, gallery, column, index);
      setScores(figure, gallery, column, index, measures, shown.sort);
    });
    element("large-scores").replaceChildren(this.table(index));
    if (!this.dialog.open) {
      this.dialog.showModal();
      element("large-name").focus();
    }
    this.arrange();
    for (const next of [order[this.place + 1], order[this.place - 1]]) {
      if (next === undefined) continue;
      for (const column of this.columns) new Image().src = pictureOf(column.folder, next);
    }
  }

  get isOpen() {
    return this.dialog.open;
  }

  hide() {
    if (this.dialog.open) this.dialog.close();
  }

  /** Makes the pictures as large as there is room. */
  arrange() {
    if (!this.dialog.open) return;
    const visible = this.figures.filter((figure) => !figure.hidden);
    const caption = (/** @type {HTMLElement} */ figure) =>
      /** @type {HTMLElement} */ (figure.querySelector("figcaption")).offsetHeight;
    const below = Math.max(0, ...visible.map(caption)) + BETWEEN;
    const { clientWidth, offsetTop } = this.pictures;
    const height = this.dialog.clientHeight - offsetTop;
    const ratio = this.gallery.width / this.gallery.height;
    const best = arranged(visible.length, clientWidth, height, ratio, below, BETWEEN);
    // On a low screen pictures are scrolled to rather than tiny.
    const least = Math.min(160, clientWidth);
    this.pictures.style.setProperty("--side-by-side", String(best.columns));
    this.pictures.style.setProperty("--width", `${Math.max(best.width, least)}px`);
    const columns = Math.floor((clientWidth + BETWEEN) / (Math.max(best.width, least) + BETWEEN));
    if (columns < best.columns) {
      this.pictures.style.setProperty("--side-by-side", String(Math.max(1, columns)));
    }
    this.magnify();
  }

  /** Pixels stay pixels where they are enlarged. */
  magnify() {
    const frame = this.pictures.querySelector("figure:not([hidden]) .frame");
    const size = (frame?.clientWidth ?? 0) * this.told.view().scale;
    this.pictures.classList.toggle("magnified", size >= 2 * this.gallery.width);
    this.pictures.classList.toggle("near", this.told.view().scale > 1);
  }

  /** All scores of a pair. @param {number} index */
  table(index) {
    const { gallery } = this;
    const table = made("table", "scores-table");
    table.append(made("caption", "", "All scores of this pair"));
    const titles = ["", ...gallery.runs.map((run) => run.name)];
    const some = gallery.measures.some((measure) => measure.truth);
    if (some) titles.push("Target");
    titles.push("");
    const head = made("tr");
    for (const title of titles) {
      const cell = made(title ? "th" : "td", "", title);
      if (title) cell.setAttribute("scope", "col");
      head.append(cell);
    }
    const body = made("tbody");
    for (const measure of gallery.measures) {
      const row = made("tr");
      const heading = made("th", "", measure.title);
      heading.setAttribute("scope", "row");
      row.append(heading);
      const values = gallery.runs.map((run) => run.scores[measure.name]?.[index]);
      const best = bestOf(gallery, measure, values);
      values.forEach((value, run) => {
        const cell = made("td", best.includes(run) ? "best" : "");
        cell.textContent = measure.truth ? "" : written(value, measure);
        if (best.includes(run)) cell.append(made("span", "unseen", " (best)"));
        row.append(cell);
      });
      if (some) {
        const truth = measure.truth ? written(gallery.truth[measure.name]?.[index], measure) : "";
        row.append(made("td", "", truth));
      }
      row.append(made("td", "fine", BETTER[measure.better]));
      body.append(row);
    }
    const header = made("thead");
    header.append(head);
    table.append(header, body);
    return table;
  }
}

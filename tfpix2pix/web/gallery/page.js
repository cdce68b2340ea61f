// The page of a gallery: what is chosen, the list, the large view, and the link that holds it all.
// @ts-check
import { Cards } from "./cards.js";
import { element, made } from "./figures.js";
import { Large } from "./large.js";
import {
  NAME, choicesOf, columnsOf, endsOf, fromLink, keysOf, measureOf, orderOf, toLink,
} from "./pairs.js";
import { handOn } from "../shared/hand.js";
import { viewOfText, viewToText, whole, zoomed } from "../shared/view.js";

/** @typedef {import("./pairs.js").Gallery} Gallery */
/** @typedef {import("./pairs.js").Shown} Shown */
/** @typedef {import("../shared/view.js").View} View */

const WRITE = 200; // milliseconds: browsers refuse links that change more often

class Page {
  /** @param {Gallery} gallery */
  constructor(gallery) {
    this.gallery = gallery;
    this.keys = keysOf(gallery.names);
    this.shown = fromLink(gallery, location.hash);
    this.view = viewOfText(this.shown.zoom);
    this.timer = 0;
    this.closing = false;
    const hold = {
      view: () => this.view,
      change: (/** @type {View} */ view) => this.look(view),
    };
    this.cards = new Cards(element("cards"), gallery, (index) => this.open(index));
    this.large = new Large(gallery, {
      ...hold,
      turn: (place) => this.turn(place),
      close: () => this.close(),
    });
    handOn(element("cards"), hold.view, hold.change, { wheel: "scrolls", drag: "mouse" });
    /** @type {number[]} */
    this.order = [];
    this.tools();
    window.addEventListener("popstate", () => this.follow());
    this.render();
  }

  // === What is chosen ===

  tools() {
    const { gallery } = this;
    const sort = /** @type {HTMLSelectElement} */ (element("sort"));
    sort.append(new Option("the data set's order", ""), new Option("name", NAME));
    for (const measure of gallery.measures) sort.append(new Option(measure.title, measure.name));
    sort.addEventListener("change", () => this.change({ sort: sort.value, of: "0" }, true));
    const of = /** @type {HTMLSelectElement} */ (element("of"));
    of.addEventListener("change", () => this.change({ of: of.value }, true));
    const first = /** @type {HTMLSelectElement} */ (element("first"));
    first.addEventListener("change", () => this.change({ worst: first.value === "1" }, true));
    const find = /** @type {HTMLInputElement} */ (element("find"));
    find.addEventListener("input", () => this.change({ find: find.value }, true));
    element("tools").addEventListener("submit", (event) => event.preventDefault());
    element("clear").addEventListener("click", () => {
      this.change({ find: "" });
      find.focus();
    });
    const size = /** @type {HTMLInputElement} */ (element("size"));
    size.value = String(Math.min(Math.max(gallery.width, 96), 256));
    const resize = () => {
      element("cards").style.setProperty("--tile", `${size.value}px`);
      size.setAttribute("aria-valuetext", `${size.value} pixels wide`);
      this.cards.measure();
    };
    size.addEventListener("input", resize);
    resize();
    for (const column of columnsOf(gallery)) {
      const label = made("label");
      const box = /** @type {HTMLInputElement} */ (made("input"));
      box.type = "checkbox";
      box.dataset.column = column.key;
      box.addEventListener("change", () => this.hide(column.key, !box.checked));
      label.append(box, ` ${column.title}`);
      element("columns").append(label);
    }
    for (const button of document.querySelectorAll("[data-zoom]")) {
      const { zoom } = /** @type {HTMLElement} */ (button).dataset;
      button.addEventListener("click", () =>
        this.look(zoom === "0" ? whole() : zoomed(this.view, 2 ** Number(zoom))),
      );
    }
  }

  /** @param {string} key Of a column. @param {boolean} hidden */
  hide(key, hidden) {
    const rest = this.shown.hidden.filter((each) => each !== key);
    const all = columnsOf(this.gallery).length;
    if (hidden && rest.length + 1 === all) return this.render(); // one stays
    return this.change({ hidden: hidden ? [...rest, key] : rest });
  }

  /** @param {Partial<Shown>} what @param {boolean} [fromTop] Whether the list begins anew. */
  change(what, fromTop = false) {
    Object.assign(this.shown, what);
    this.render();
    this.write();
    const start = element("start"); // the tools themselves stay on the screen
    if (fromTop && start.getBoundingClientRect().top < 0) {
      start.scrollIntoView({ behavior: "instant" });
    }
  }

  render() {
    const { gallery, shown } = this;
    this.order = orderOf(gallery, shown);
    const measure = measureOf(gallery, shown.sort);
    const sort = /** @type {HTMLSelectElement} */ (element("sort"));
    sort.value = shown.sort;
    const choices = measure ? choicesOf(gallery, measure) : [];
    if (!choices.some((choice) => choice.of === shown.of)) shown.of = "0";
    const of = /** @type {HTMLSelectElement} */ (element("of"));
    of.replaceChildren(...choices.map((choice) => new Option(choice.title, choice.of)));
    of.value = shown.of;
    element("of-field").hidden = choices.length < 2;
    const first = /** @type {HTMLSelectElement} */ (element("first"));
    const ends = endsOf(gallery, shown);
    first.replaceChildren(...ends.map((end, i) => new Option(end, String(i))));
    first.value = shown.worst ? "1" : "0";
    const find = /** @type {HTMLInputElement} */ (element("find"));
    if (find.value !== shown.find) find.value = shown.find;
    for (const box of document.querySelectorAll("#columns input")) {
      const { column = "" } = /** @type {HTMLElement} */ (box).dataset;
      /** @type {HTMLInputElement} */ (box).checked = !shown.hidden.includes(column);
    }
    const all = gallery.names.length;
    const units = `${gallery.unit}s`;
    element("count").textContent =
      this.order.length === all
        ? `All ${all.toLocaleString("en")} ${units}`
        : `${this.order.length.toLocaleString("en")} of ${all.toLocaleString("en")} ${units}`;
    element("none").hidden = this.order.length > 0;
    element("what-none").textContent = shown.find;
    this.cards.show(this.order, { ...shown, pair: "" });
    this.showPair();
    this.draw();
  }

  // === One pair ===

  /** @param {number} index */
  open(index) {
    this.shown.pair = this.keys[index];
    history.scrollRestoration = "manual"; // back is where the last pair stands, not the first
    this.go(true);
    this.showPair();
  }

  /** To the pair at a place of the order. @param {number} place */
  turn(place) {
    this.shown.pair = this.keys[this.order[place]];
    this.showPair();
    this.write();
  }

  showPair() {
    const index = this.keys.indexOf(this.shown.pair);
    if (index < 0) {
      this.large.hide();
      return;
    }
    // A pair that is not among those that were found is shown among all.
    const order = this.order.includes(index)
      ? this.order
      : orderOf(this.gallery, { ...this.shown, find: "" });
    if (order !== this.order) this.order = order;
    this.large.show(order, index, this.shown);
  }

  close() {
    const index = this.keys.indexOf(this.shown.pair);
    this.shown.pair = "";
    clearTimeout(this.timer);
    this.closing = Boolean(history.state?.opened);
    if (this.closing) history.back();
    else this.go(false);
    this.large.hide();
    this.draw();
    if (this.order.includes(index)) this.cards.focus(index);
  }

  // === What all pictures show ===

  /** @param {View} view */
  look(view) {
    this.view = view;
    this.shown.zoom = viewToText(view);
    this.draw();
    this.write();
  }

  draw() {
    const { scale, x, y } = this.view;
    // The list follows when it is seen again: styling all of it costs more than a frame.
    const seen = this.large.isOpen ? ["large"] : ["large", "cards"];
    for (const { style } of seen.map(element)) {
      style.setProperty("--scale", String(scale));
      style.setProperty("--x", `${-100 * x}%`);
      style.setProperty("--y", `${-100 * y}%`);
    }
    for (const place of document.querySelectorAll(".zoom output")) {
      place.textContent = `${Math.round(100 * scale)} %`;
    }
    element("cards").classList.toggle("near", scale > 1);
    this.large.magnify();
  }

  // === The link ===

  /** Writes the link soon. */
  write() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.go(false), WRITE);
  }

  /** @param {boolean} opened Whether going back closes what is shown now. */
  go(opened) {
    clearTimeout(this.timer);
    const link = `#${toLink(this.gallery, this.shown)}`;
    if (link === (location.hash || "#")) return;
    const state = { opened: opened || (Boolean(this.shown.pair) && history.state?.opened) };
    if (opened) history.pushState(state, "", link);
    else history.replaceState(state, "", link === "#" ? location.pathname + location.search : link);
  }

  /** Shows what the link says, after going back or typing one. */
  follow() {
    history.scrollRestoration = "auto";
    if (this.closing) {
      this.closing = false;
      this.write(); // the zoom may be another by now
      return;
    }
    const { pair } = this.shown;
    this.shown = fromLink(this.gallery, location.hash);
    this.view = viewOfText(this.shown.zoom);
    this.render();
    const index = this.keys.indexOf(pair);
    if (pair && !this.shown.pair && this.order.includes(index)) this.cards.focus(index);
  }
}

new Page(JSON.parse(element("gallery").textContent ?? ""));

// The list of pairs. A card gets its pictures when it comes near the screen.
// @ts-check
import { figureOf, made, setPicture, setScores } from "./figures.js";
import { columnsOf, headlineOf, keysOf, measureOf, toLink, valueOf, written } from "./pairs.js";

/** @typedef {import("./pairs.js").Shown} Shown */

const NEAR = "1000px"; // from the screen
const GAP = 8; // pixels between pictures, as in the style
const LEAST = 72; // pixels: narrower pictures stand in several rows

/** How many pictures stand side by side. @param {number} columns @param {number} width Of a card, pixels. */
export function perRow(columns, width) {
  if ((width - GAP * (columns - 1)) / columns >= LEAST) return columns;
  const fit = Math.max(1, Math.floor((width + GAP) / (LEAST + GAP)));
  return Math.ceil(columns / Math.ceil(columns / fit));
}

export class Cards {
  /**
   * @param {HTMLElement} list @param {import("./pairs.js").Gallery} gallery
   * @param {(index: number) => void} open Told which pair is to be shown large.
   */
  constructor(list, gallery, open) {
    this.list = list;
    this.gallery = gallery;
    this.columns = columnsOf(gallery);
    this.links = keysOf(gallery.names).map((pair) => new URLSearchParams({ pair }).toString());
    this.link = ""; // what the links of all cards begin with
    /** @type {Shown|null} */
    this.shown = null;
    /** @type {Set<number>} Places of cards that have their pictures. */
    this.filled = new Set();
    this.cards = gallery.names.map((name, i) => this.card(name, i));
    list.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target : null;
      const card = /** @type {HTMLElement|null} */ (target?.closest(".card"));
      if (!card || !target?.closest("a, .frame")) return;
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser's own
      event.preventDefault();
      open(Number(card.dataset.place));
    });
    const near = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          near.unobserve(target);
          this.fill(Number(/** @type {HTMLElement} */ (target).dataset.place));
        }
        this.measure();
      },
      { rootMargin: NEAR },
    );
    for (const card of this.cards) near.observe(card);
    new ResizeObserver(() => this.measure()).observe(list);
  }

  /** @param {string} name @param {number} index */
  card(name, index) {
    const card = made("li", "card");
    card.dataset.place = String(index);
    const heading = made("h2");
    heading.append(made("a", "", name), made("span", "by"));
    card.append(heading, made("div", "pictures"));
    return card;
  }

  /** @param {number} index */
  fill(index) {
    const pictures = /** @type {HTMLElement} */ (this.cards[index].querySelector(".pictures"));
    for (const column of this.columns) {
      const figure = figureOf(this.gallery, column);
      setPicture(figure, this.gallery, column, index);
      pictures.append(figure);
    }
    this.filled.add(index);
    this.update(index);
  }

  /** Brings a card to what is shown now. @param {number} index */
  update(index) {
    const { gallery, shown } = this;
    const card = this.cards[index];
    if (!shown) return;
    const link = /** @type {HTMLAnchorElement} */ (card.querySelector("a"));
    link.href = this.link + this.links[index];
    /** @type {HTMLElement} */ (card.querySelector(".by")).textContent = this.by(index);
    if (!this.filled.has(index)) return;
    const measures = headlineOf(gallery, shown);
    const figures = /** @type {NodeListOf<HTMLElement>} */ (card.querySelectorAll("figure"));
    this.columns.forEach((column, i) => {
      figures[i].hidden = shown.hidden.includes(column.key);
      setScores(figures[i], gallery, column, index, measures, shown.sort);
    });
  }

  /** The value by which a pair is in its place, where no picture has it under it. @param {number} index */
  by(index) {
    const { gallery, shown } = this;
    const measure = shown && measureOf(gallery, shown.sort);
    if (!shown || !measure || /^\d+$/.test(shown.of)) return "";
    return `${measure.title} ${written(valueOf(gallery, shown, index), measure)}`;
  }

  /** @param {number[]} order @param {Shown} shown */
  show(order, shown) {
    this.shown = shown;
    const link = toLink(this.gallery, { ...shown, pair: "" });
    this.link = link ? `#${link}&` : "#";
    this.cards.forEach((_, i) => this.update(i));
    const cards = order.map((i) => this.cards[i]);
    const there = this.list.children;
    if (cards.length !== there.length || cards.some((card, i) => card !== there[i])) {
      this.list.replaceChildren(...cards);
    }
    const visible = this.columns.length - shown.hidden.length;
    this.list.style.setProperty("--columns", String(visible));
    this.measure();
  }

  /** How much room a card takes, so that those without pictures take as much. */
  measure() {
    const { list } = this;
    const first = this.cards.find((card, i) => this.filled.has(i) && card.isConnected);
    if (!first || !this.shown) return;
    const columns = this.columns.length - this.shown.hidden.length;
    list.style.setProperty("--per-row", String(perRow(columns, first.clientWidth)));
    const pictures = /** @type {HTMLElement} */ (first.querySelector(".pictures"));
    const height = pictures.getBoundingClientRect().bottom - first.getBoundingClientRect().top;
    if (height > 0) list.style.setProperty("--card", `${height}px`);
  }

  /** @param {number} index */
  focus(index) {
    const card = this.cards[index];
    card.scrollIntoView({ block: "nearest", behavior: "instant" });
    card.querySelector("a")?.focus({ preventScroll: true });
  }
}

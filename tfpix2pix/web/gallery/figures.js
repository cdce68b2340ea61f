// The pictures of a pair with their scores, for the list and for the large view.
// @ts-check
import { bestOf, pictureOf, written } from "./pairs.js";

/** @typedef {import("./pairs.js").Gallery} Gallery */
/** @typedef {import("./pairs.js").Column} Column */
/** @typedef {import("./pairs.js").Measure} Measure */

/** @param {string} id */
export const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} name @param {string} [className] @param {string} [text] */
export function made(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/** What a picture is, for those who do not see it. @param {Column} column @param {string} name Of the pair. */
const described = (column, name) =>
  column.run === null ? `${column.title} of ${name}` : `${name} by ${column.title}`;

/** The figure of a column, without scores. @param {Gallery} gallery @param {Column} column */
export function figureOf(gallery, column) {
  const figure = made("figure");
  figure.dataset.column = column.key;
  const image = /** @type {HTMLImageElement} */ (made("img"));
  image.width = gallery.width;
  image.height = gallery.height;
  image.decoding = "async";
  image.draggable = false;
  image.addEventListener("error", () => figure.classList.add("missing"));
  image.addEventListener("load", () => figure.classList.remove("missing"));
  const frame = made("div", "frame");
  frame.append(image);
  const caption = made("figcaption");
  caption.append(made("span", "title", column.title), made("span", "scores"));
  figure.append(frame, caption);
  return figure;
}

/** Puts a pair's picture into a figure. @param {HTMLElement} figure @param {Gallery} gallery @param {Column} column @param {number} index */
export function setPicture(figure, gallery, column, index) {
  const image = /** @type {HTMLImageElement} */ (figure.querySelector("img"));
  image.alt = described(column, gallery.names[index]);
  image.src = pictureOf(column.folder, index);
}

/** Puts the scores of some measures under a figure. @param {HTMLElement} figure @param {Gallery} gallery @param {Column} column @param {number} index @param {Measure[]} measures @param {string} sort The one that is stressed. */
export function setScores(figure, gallery, column, index, measures, sort) {
  const lines = measures.flatMap((measure) => {
    if (measure.truth ? column.key !== "target" : column.run === null) return [];
    const values = gallery.runs.map((run) => run.scores[measure.name]?.[index]);
    const value = column.run === null ? gallery.truth[measure.name]?.[index] : values[column.run];
    const line = made("span", measure.name === sort ? "score sorted" : "score");
    line.append(made("span", "measure", measure.title), " ");
    line.append(made("span", "value", written(value, measure)));
    if (column.run !== null && bestOf(gallery, measure, values).includes(column.run)) {
      line.classList.add("best");
      line.append(made("span", "unseen", " (best)"));
    }
    return [line];
  });
  /** @type {HTMLElement} */ (figure.querySelector(".scores")).replaceChildren(...lines);
}

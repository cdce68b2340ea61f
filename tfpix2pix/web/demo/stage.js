// The two frames: what part of the pictures they show, how large, and the output before or after.
// @ts-check
import { byId, canvasById, inputOf, onClick } from "./dom.js";
import { paintOn } from "./media.js";
import { murmur } from "./messages.js";
import { handOn } from "../shared/hand.js";
import { showing, whole, zoomed } from "../shared/view.js";

/** @typedef {import("./media.js").Picture} Picture */
/** @typedef {import("../shared/view.js").View} View */

const STEP = 1.5; // of the zoom's buttons
const SMOOTH_UNTIL = 6; // pixels of the screen for one of a picture; larger ones are shown as squares

/** Zoom and comparison, for both pictures alike. */
export class Stage {
  /** @param {{input: () => Picture|null, pinched: () => void}} host The input now; and what is told
   * when a second finger comes. */
  constructor(host) {
    this.host = host;
    this.view = whole();
    this.comparing = false;
    this.width = 1; // of the pictures, pixels
    this.flat = true; // whether the input's pixels have edges: classes and lines
    const seen = () => this.seen();
    const view = () => this.view;
    const look = (/** @type {View} */ to) => this.look(to);
    const { pinched } = host;
    this.gestures = handOn(byId("input-frame"), view, look, { wheel: "moves", drag: "middle", pinched });
    handOn(byId("output-frame"), view, look, { wheel: "moves", drag: "any" });
    onClick("zoom-in", () => this.zoom(STEP));
    onClick("zoom-out", () => this.zoom(1 / STEP));
    onClick("zoom-fit", () => this.zoom(0));
    onClick("compare", () => this.compare());
    inputOf("slider").addEventListener("input", seen);
    window.addEventListener("resize", seen);
  }

  get frames() {
    return /** @type {HTMLElement[]} */ ([byId("input-frame"), byId("output-frame")]);
  }

  /** For other pictures. @param {{width: number, height: number}} size @param {string} kind Of the input. */
  show({ width, height }, kind) {
    this.width = width;
    this.flat = kind !== "photo";
    for (const frame of this.frames) {
      frame.style.setProperty("--ratio", String(width / height));
      frame.dataset.kind = kind;
    }
    this.seen();
  }

  /** The view or the window has changed. */
  seen() {
    const { view, comparing } = this;
    for (const frame of this.frames) {
      const sheet = /** @type {HTMLElement} */ (frame.querySelector(".sheet"));
      sheet.style.transform = `scale(${view.scale}) translate(${-100 * view.x}%, ${-100 * view.y}%)`;
      frame.style.setProperty("--zoom", String(view.scale));
      frame.classList.toggle("zoomed", view.scale > 1);
    }
    byId("zoom-told").textContent = `${Math.round(100 * view.scale)} %`;
    const enlarged = (view.scale * byId("output-frame").clientWidth) / this.width;
    byId("output-frame").classList.toggle("squares", enlarged > SMOOTH_UNTIL);
    byId("input-frame").classList.toggle("squares", this.flat ? enlarged >= 1 : enlarged > SMOOTH_UNTIL);
    const share = inputOf("slider").valueAsNumber / 100;
    const edge = view.x + share / view.scale;
    canvasById("result").style.clipPath = comparing ? `inset(0 0 0 ${100 * edge}%)` : "";
    byId("edge").style.left = `${100 * share}%`;
  }

  /** @param {View} view */
  look(view) {
    this.view = view;
    this.seen();
  }

  /** @param {number} factor 0: the whole picture. */
  zoom(factor) {
    this.look(zoomed(this.view, factor));
  }

  /** Brings a place into view. @param {number} x Share of the picture. @param {number} y Likewise. */
  follow(x, y) {
    this.look(showing(this.view, x, y));
  }

  compare() {
    this.comparing = !this.comparing;
    byId("compare").setAttribute("aria-pressed", String(this.comparing));
    for (const id of ["slider", "edge", "before"]) byId(id).hidden = !this.comparing;
    this.paintBefore();
    this.seen();
    murmur(this.comparing ? "Before and after: the slider on the output shows more of the input" : "The output alone");
  }

  /** The input under the output, where they are compared. */
  paintBefore() {
    const input = this.comparing && this.host.input();
    if (input) paintOn(canvasById("before"), input);
  }
}

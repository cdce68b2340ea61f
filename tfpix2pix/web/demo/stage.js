// The two frames: what part of the pictures they show, how large, and the output before or after.
// @ts-check
import { byId, canvasById, inputOf, onClick } from "./dom.js";
import { paintOn } from "./media.js";
import { murmur } from "./messages.js";
import { View, followGestures } from "./view.js";

/** @typedef {import("./media.js").Picture} Picture */

const STEP = 1.5; // of the zoom's buttons
const SMOOTH_UNTIL = 6; // pixels of the screen for one of a picture; larger ones are shown as squares

/** Zoom and comparison, for both pictures alike. */
export class Stage {
  /** @param {{input: () => Picture|null, pinched: () => void}} host The input now; and what is told
   * when a second finger comes. */
  constructor(host) {
    this.host = host;
    this.view = new View();
    this.comparing = false;
    this.width = 1; // of the pictures, pixels
    this.flat = true; // whether the input's pixels have edges: classes and lines
    const seen = () => this.seen();
    this.gestures = followGestures(byId("input-frame"), this.view, seen, { onPinch: host.pinched });
    followGestures(byId("output-frame"), this.view, seen, { drag: true });
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
      sheet.style.transform = view.transform;
      frame.style.setProperty("--zoom", String(view.zoom));
      frame.classList.toggle("zoomed", view.zoom > 1);
    }
    byId("zoom-told").textContent = `${Math.round(100 * view.zoom)} %`;
    const enlarged = (view.zoom * byId("output-frame").clientWidth) / this.width;
    byId("output-frame").classList.toggle("squares", enlarged > SMOOTH_UNTIL);
    byId("input-frame").classList.toggle("squares", this.flat ? enlarged >= 1 : enlarged > SMOOTH_UNTIL);
    const share = inputOf("slider").valueAsNumber / 100;
    const edge = view.left + share / view.zoom;
    canvasById("result").style.clipPath = comparing ? `inset(0 0 0 ${100 * edge}%)` : "";
    byId("edge").style.left = `${100 * share}%`;
  }

  /** @param {number} factor 0: the whole picture. */
  zoom(factor) {
    this.view.zoomAt(factor);
    this.seen();
  }

  /** Brings a place into view. @param {number} x Share of the picture. @param {number} y Likewise. */
  follow(x, y) {
    this.view.show(x, y);
    this.seen();
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

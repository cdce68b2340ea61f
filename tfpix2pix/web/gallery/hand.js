// A hand on pictures: wheel, mouse, fingers. All pictures of an area move as one.
// @ts-check
import { moved, whole, zoomed } from "./view.js";

/** @typedef {import("./view.js").View} View */

const CLICK = 4; // pixels; a mouse that moves less is a click
const SWIPE = 50; // pixels

/**
 * @param {HTMLElement} area Its `.frame`s hold the pictures.
 * @param {() => View} now What is shown.
 * @param {(view: View) => void} change
 * @param {{alone: boolean, swiped?: (step: -1|1) => void}} ways `alone`: nothing but pictures is
 *   there, so a wheel and fingers are for them; else fingers scroll, and so does a wheel without Ctrl.
 */
export function handOn(area, now, change, { alone, swiped }) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let frame = new DOMRect();
  let start = { x: 0, y: 0 };
  let dragged = false;

  /** @param {Event} event */
  const frameOf = (event) => {
    const target = event.target instanceof Element ? event.target.closest(".frame") : null;
    return target?.getBoundingClientRect() ?? null;
  };
  /** A place of the screen as one of the frame. @param {number} x @param {number} y @returns {[number, number]} */
  const placeIn = (x, y) => [(x - frame.left) / frame.width, (y - frame.top) / frame.height];

  area.addEventListener(
    "wheel",
    (event) => {
      const over = frameOf(event);
      const meant = alone || event.ctrlKey || event.metaKey;
      if (!over || !meant || !event.deltaY) return;
      frame = over;
      const unit = [1, 16, 400][event.deltaMode] ?? 1;
      const speed = event.ctrlKey ? 0.01 : 0.002; // Ctrl: two fingers on a trackpad, in small steps
      const factor = Math.exp(-Math.max(-250, Math.min(250, event.deltaY * unit)) * speed);
      const view = zoomed(now(), factor, ...placeIn(event.clientX, event.clientY));
      if (view.scale === now().scale && !event.ctrlKey) return; // it may scroll
      event.preventDefault();
      change(view);
    },
    { passive: false },
  );

  area.addEventListener("pointerdown", (event) => {
    const over = frameOf(event);
    if (!over || event.button !== 0 || (event.pointerType !== "mouse" && !alone)) return;
    if (!down.size) {
      frame = over;
      start = { x: event.clientX, y: event.clientY };
      dragged = false;
    }
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });

  area.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const here = { x: event.clientX, y: event.clientY };
    if (!dragged && down.size === 1) {
      if (Math.hypot(here.x - start.x, here.y - start.y) < CLICK || now().scale === 1) return;
      area.setPointerCapture(event.pointerId);
    }
    dragged = true;
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, here);
    if (!other) {
      change(moved(now(), (here.x - before.x) / frame.width, (here.y - before.y) / frame.height));
      return;
    }
    const apart = Math.hypot(before.x - other.x, before.y - other.y);
    const factor = apart ? Math.hypot(here.x - other.x, here.y - other.y) / apart : 1;
    const middle = { x: (here.x + other.x) / 2, y: (here.y + other.y) / 2 };
    const view = zoomed(now(), factor, ...placeIn(middle.x, middle.y));
    const [right, below] = [here.x - before.x, here.y - before.y];
    change(moved(view, right / 2 / frame.width, below / 2 / frame.height));
  });

  /** @param {PointerEvent} event */
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    const [right, below] = [event.clientX - start.x, event.clientY - start.y];
    const far = Math.abs(right) > SWIPE && Math.abs(right) > 2 * Math.abs(below);
    if (event.type === "pointerup" && event.pointerType === "touch" && !dragged && far) {
      dragged = true;
      swiped?.(right < 0 ? 1 : -1);
    }
  };
  area.addEventListener("pointerup", up);
  area.addEventListener("pointercancel", up);
  area.addEventListener("dragstart", (event) => event.preventDefault());
  area.addEventListener(
    "click",
    (event) => {
      if (!dragged || !frameOf(event)) return;
      dragged = false;
      event.preventDefault();
      event.stopPropagation();
    },
    { capture: true },
  );
  area.addEventListener("dblclick", (event) => {
    if (!alone || !frameOf(event)) return;
    frame = /** @type {DOMRect} */ (frameOf(event));
    const [u, v] = placeIn(event.clientX, event.clientY);
    change(now().scale === 1 ? zoomed(now(), 4, u, v) : whole());
  });
}

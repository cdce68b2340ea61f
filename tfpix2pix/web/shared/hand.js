// A hand on pictures: wheel, mouse, fingers. All pictures of an area move as one.
// @ts-check
import { moved, whole, zoomed } from "./view.js";

/** @typedef {import("./view.js").View} View */

const CLICK = 4; // pixels; a mouse that moves less is a click
const SWIPE = 50; // pixels
const SPEED = 0.002; // of a wheel, for each pixel that it would scroll
const PINCH = 0.01; // the same with Ctrl: two fingers on a trackpad, in small steps
const NOTCH = 0.5; // what one step of a wheel does at most
const DOUBLE = 4; // times as large, by a double click

/**
 * @typedef {object} Ways
 * @property {"zooms"|"moves"|"scrolls"} wheel What it does without Ctrl: `zooms` the pictures, `moves` them
 *   where they are zoomed, or leaves the page to scroll. With Ctrl it always zooms.
 * @property {"any"|"mouse"|"middle"} drag What moves zoomed pictures: `any` pointer; a `mouse`, where fingers
 *   scroll the page; or the `middle` button, where the others draw. Two fingers zoom, but with `mouse`.
 * @property {boolean} [doubleClick] Whether it zooms.
 * @property {(step: -1|1) => void} [swiped] Told when a finger wipes over pictures that are seen whole.
 * @property {() => void} [pinched] Told when a second finger comes.
 */

/** On Linux the middle button pastes where it is let go. @param {Event} event */
const refuse = (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
};

/**
 * @param {HTMLElement} area Itself a `.frame` that holds a picture, or with several in it.
 * @param {() => View} now What is shown.
 * @param {(view: View) => void} change
 * @param {Ways} ways
 * @returns {{pinching: boolean}} Whether two fingers are, or were, on it since the last one left.
 */
export function handOn(area, now, change, { wheel, drag, doubleClick, swiped, pinched }) {
  const state = { pinching: false };
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
  /** By pixels of the screen. @param {View} view @param {number} right @param {number} below */
  const movedBy = (view, right, below) => moved(view, right / frame.width, below / frame.height);
  /** @param {PointerEvent} event */
  const counts = ({ pointerType, button }) => {
    if (drag === "middle") return pointerType === "touch" || button === 1;
    return (pointerType === "mouse" || drag === "any") && (button === 0 || button === 1);
  };

  area.addEventListener(
    "wheel",
    (event) => {
      const over = frameOf(event);
      if (!over) return;
      frame = over;
      const unit = [1, 16, 400][event.deltaMode] ?? 1;
      const pinches = event.ctrlKey || event.metaKey;
      const old = now();
      let view = old;
      if (pinches || wheel === "zooms") {
        const step = -event.deltaY * unit * (pinches ? PINCH : SPEED);
        const factor = Math.exp(Math.max(-NOTCH, Math.min(NOTCH, step)));
        view = zoomed(old, factor, ...placeIn(event.clientX, event.clientY));
      } else if (wheel === "moves") {
        view = movedBy(old, -event.deltaX * unit, -event.deltaY * unit);
      }
      const same = view.scale === old.scale && (wheel !== "moves" || old.scale === 1);
      if (same && !pinches) return; // the page may scroll
      event.preventDefault();
      change(view);
    },
    { passive: false },
  );

  area.addEventListener("pointerdown", (event) => {
    if (!down.size) dragged = false;
    const over = frameOf(event);
    if (!over || !counts(event) || event.target instanceof HTMLInputElement) return;
    if (event.button === 1) {
      event.preventDefault(); // it would scroll by itself
      window.addEventListener("paste", refuse, { capture: true });
    }
    if (!down.size) {
      frame = over;
      start = { x: event.clientX, y: event.clientY };
    }
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 2) {
      state.pinching = true;
      pinched?.();
    }
  });

  area.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    if (!event.buttons) {
      up(event); // it was let go elsewhere
      return;
    }
    const here = { x: event.clientX, y: event.clientY };
    const alone = down.size === 1;
    if (alone && drag === "middle" && !(event.buttons & 4)) return;
    if (!dragged && alone) {
      if (Math.hypot(here.x - start.x, here.y - start.y) < CLICK || now().scale === 1) return;
      area.setPointerCapture(event.pointerId);
    }
    dragged = true;
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, here);
    if (!other) {
      change(movedBy(now(), here.x - before.x, here.y - before.y));
      return;
    }
    const apart = Math.hypot(before.x - other.x, before.y - other.y);
    const factor = apart ? Math.hypot(here.x - other.x, here.y - other.y) / apart : 1;
    const view = zoomed(now(), factor, ...placeIn((here.x + other.x) / 2, (here.y + other.y) / 2));
    change(movedBy(view, (here.x - before.x) / 2, (here.y - before.y) / 2));
  });

  /** @param {PointerEvent} event */
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (!down.size) state.pinching = false;
    setTimeout(() => window.removeEventListener("paste", refuse, { capture: true }));
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
    if (!doubleClick || !frameOf(event)) return;
    frame = /** @type {DOMRect} */ (frameOf(event));
    const [u, v] = placeIn(event.clientX, event.clientY);
    change(now().scale === 1 ? zoomed(now(), DOUBLE, u, v) : whole());
  });
  return state;
}

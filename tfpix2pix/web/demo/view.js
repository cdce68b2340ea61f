// What part of a picture is seen, and how large: one view for the input and the output.
// @ts-check

/** How many times as large as it fits. */
export const LARGEST_ZOOM = 32;

/** In shares of the picture, so that frames of any size show the same part. */
export class View {
  constructor() {
    this.zoom = 1;
    this.left = 0;
    this.top = 0;
  }

  /** Turns the wheel, the fingers or the buttons: what is under a place stays under it.
   * @param {number} factor @param {number} x Of the frame, 0 to 1. @param {number} y Likewise. */
  zoomAt(factor, x = 0.5, y = 0.5) {
    const zoom = Math.min(LARGEST_ZOOM, Math.max(1, this.zoom * factor));
    const [left, top] = [this.left + x / this.zoom, this.top + y / this.zoom];
    this.zoom = zoom;
    this.moveTo(left - x / zoom, top - y / zoom);
  }

  /** Drags the picture by shares of the frame. @param {number} x @param {number} y */
  pan(x, y) {
    this.moveTo(this.left - x / this.zoom, this.top - y / this.zoom);
  }

  /** So that a place of the picture is seen, shares of it. @param {number} x @param {number} y */
  show(x, y) {
    const seen = 1 / this.zoom;
    this.moveTo(
      x < this.left || x > this.left + seen ? x - seen / 2 : this.left,
      y < this.top || y > this.top + seen ? y - seen / 2 : this.top,
    );
  }

  /** @param {number} left @param {number} top */
  moveTo(left, top) {
    const most = 1 - 1 / this.zoom;
    this.left = Math.min(most, Math.max(0, left));
    this.top = Math.min(most, Math.max(0, top));
  }

  /** As CSS writes it, for what fills its frame, with the origin at the top left. */
  get transform() {
    return `scale(${this.zoom}) translate(${-100 * this.left}%, ${-100 * this.top}%)`;
  }
}

/**
 * Lets wheel and fingers change a view; both frames of a page follow one.
 * @param {HTMLElement} frame @param {View} view @param {() => void} changed
 * @param {{drag?: boolean, onPinch?: () => void}} [more] `drag`: one pointer moves the picture too.
 * @returns {{pinching: boolean}} Whether two fingers are on it now.
 */
export function followGestures(frame, view, changed, { drag = false, onPinch } = {}) {
  const state = { pinching: false };
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();

  /** Of the frame, 0 to 1. @param {{clientX: number, clientY: number}} event */
  const placeOf = ({ clientX, clientY }) => {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height };
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    const ratio = frame.clientWidth / frame.clientHeight;
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot((a.x - b.x) * ratio, a.y - b.y) };
  };

  frame.addEventListener("pointerdown", (event) => {
    const moves = event.pointerType === "touch" || event.button === 1 || (drag && event.button === 0);
    if (!moves || (drag && event.target instanceof HTMLInputElement)) return;
    if (event.button === 1) event.preventDefault();
    fingers.set(event.pointerId, placeOf(event));
    if (fingers.size === 2) {
      state.pinching = true;
      onPinch?.();
    }
  });
  window.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = placeOf(event);
    if (fingers.size === 2) {
      const old = spread();
      fingers.set(event.pointerId, now);
      const found = spread();
      view.zoomAt(found.apart / Math.max(0.01, old.apart), old.x, old.y);
      view.pan(found.x - old.x, found.y - old.y);
      changed();
    } else if (fingers.size === 1 && (drag || event.buttons & 4)) {
      fingers.set(event.pointerId, now);
      view.pan(now.x - before.x, now.y - before.y);
      changed();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    window.addEventListener(end, (event) => {
      fingers.delete(/** @type {PointerEvent} */ (event).pointerId);
      if (!fingers.size) state.pinching = false;
    });
  }
  frame.addEventListener(
    "wheel",
    (event) => {
      const { x, y } = placeOf(event);
      if (event.ctrlKey) view.zoomAt(Math.exp(-event.deltaY / 200), x, y);
      else if (view.zoom > 1) view.pan(-event.deltaX / frame.clientWidth, -event.deltaY / frame.clientHeight);
      else return; // the page scrolls
      event.preventDefault();
      changed();
    },
    { passive: false },
  );
  return state;
}

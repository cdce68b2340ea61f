// One zoom and one place for all pictures of a page: no document here, so that tests run it anywhere.
// @ts-check

/**
 * @typedef {object} View
 * @property {number} scale 1 shows all of a picture.
 * @property {number} x The place in the picture, 0 to 1, that is at the left edge of its frame.
 * @property {number} y The same at the upper edge.
 */

export const LARGEST = 32;

/** @returns {View} */
export const whole = () => ({ scale: 1, x: 0, y: 0 });

/** @param {number} value @param {number} low @param {number} high */
const within = (value, low, high) => Math.min(Math.max(value, low), high);

/** The nearest view that shows nothing beyond the picture. @param {View} view @returns {View} */
export function clamped({ scale, x, y }) {
  const size = within(Number.isFinite(scale) ? scale : 1, 1, LARGEST);
  const most = 1 - 1 / size;
  return { scale: size, x: within(x || 0, 0, most), y: within(y || 0, 0, most) };
}

/**
 * Larger or smaller by a factor; what is at a place of the frame stays there.
 * @param {View} view @param {number} factor
 * @param {number} u Place in the frame, 0 (left) to 1. @param {number} v 0 (top) to 1.
 */
export function zoomed(view, factor, u = 0.5, v = 0.5) {
  const scale = within(view.scale * factor, 1, LARGEST);
  return clamped({
    scale,
    x: view.x + u / view.scale - u / scale,
    y: view.y + v / view.scale - v / scale,
  });
}

/** Moves the picture with a hand on it, by shares of the frame. @param {View} view @param {number} right @param {number} down */
export const moved = (view, right, down) =>
  clamped({ ...view, x: view.x - right / view.scale, y: view.y - down / view.scale });

/** Moved no more than it must, so that a place of the picture is seen. @param {View} view @param {number} x 0 to 1. @param {number} y Likewise. */
export function showing(view, x, y) {
  const seen = 1 / view.scale;
  /** @param {number} edge @param {number} place */
  const from = (edge, place) => (place < edge || place > edge + seen ? place - seen / 2 : edge);
  return clamped({ scale: view.scale, x: from(view.x, x), y: from(view.y, y) });
}

/** @param {View} view Text for a link; empty of the whole picture. */
export function viewToText({ scale, x, y }) {
  if (scale === 1) return "";
  return [scale, x, y].map((value) => Number(value.toFixed(4))).join(",");
}

/** @param {string} text @returns {View} */
export function viewOfText(text) {
  const [scale, x, y] = text.split(",").map(Number);
  return clamped({ scale: scale || 1, x, y });
}

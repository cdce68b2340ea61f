// A walk among the answers that a model with a latent has: two directions from where the seed stands.
// @ts-check

/** How far the pad reaches, in standard deviations of a latent's number. */
export const REACH = 3;

/**
 * Two directions at right angles, of length one.
 * @param {number[]} first Standard normal numbers. @param {number[]} second Likewise.
 * @returns {[number[], number[]]} The second is 0 where the latent has one number only.
 */
export function directionsOf(first, second) {
  const one = unit(first);
  const along = product(one, second);
  return [one, unit(second.map((n, i) => n - along * one[i]))];
}

/** @param {number[]} vector */
function unit(vector) {
  const length = Math.sqrt(product(vector, vector));
  return length > 1e-6 ? vector.map((n) => n / length) : vector.map(() => 0);
}

/** @param {number[]} a @param {number[]} b */
function product(a, b) {
  return a.reduce((sum, n, i) => sum + n * b[i], 0);
}

/**
 * The latent at a place of the pad; the middle, (0, 0), is where the seed stands.
 * @param {number[]} start @param {[number[], number[]]} directions
 * @param {number} x From -1 to 1. @param {number} y Likewise.
 */
export function walkedTo(start, [first, second], x, y) {
  return start.map((n, i) => n + REACH * (x * first[i] + y * second[i]));
}

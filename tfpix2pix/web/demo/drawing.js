// What tools do to a picture, pixel by pixel: no antialiasing, so every value is one that was asked for.
// @ts-check

/**
 * One number for each pixel: a class's place in the palette, or a level of grey.
 * @typedef {object} Plane
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array<ArrayBuffer>} data Row after row.
 */
/** @typedef {{x: number, y: number}} Point A pixel; whole numbers, which may lie outside. */

/** @param {number} width @param {number} height @param {number} [value] @returns {Plane} */
export function blankPlane(width, height, value = 0) {
  return { width, height, data: new Uint8Array(width * height).fill(value) };
}

/** @param {Plane} plane @returns {Plane} */
export function copyOf(plane) {
  return { ...plane, data: plane.data.slice() };
}

/** The value at a point; undefined outside. @param {Plane} plane @param {Point} at */
export function valueAt(plane, { x, y }) {
  return inside(plane, x, y) ? plane.data[y * plane.width + x] : undefined;
}

/** @param {Plane} plane @param {number} x @param {number} y */
function inside(plane, x, y) {
  return x >= 0 && y >= 0 && x < plane.width && y < plane.height;
}

/** One row's pixels from a column to another, both included. @param {Plane} plane @param {number} y
 * @param {number} from @param {number} to @param {number} value */
function paintRow(plane, y, from, to, value) {
  if (y < 0 || y >= plane.height) return;
  const first = Math.max(from, 0);
  const last = Math.min(to, plane.width - 1);
  if (first <= last) plane.data.fill(value, y * plane.width + first, y * plane.width + last + 1);
}

/** Paints the pixels between two corners, both included. @param {Plane} plane @param {Point} a
 * @param {Point} b @param {number} value */
export function paintRectangle(plane, a, b, value) {
  const last = Math.min(Math.max(a.y, b.y), plane.height - 1);
  for (let y = Math.max(Math.min(a.y, b.y), 0); y <= last; y++) {
    paintRow(plane, y, Math.min(a.x, b.x), Math.max(a.x, b.x), value);
  }
}

/** Paints with a round brush from one point to another. @param {Plane} plane @param {Point} from
 * @param {Point} to @param {number} diameter Pixels. @param {number} value */
export function paintStroke(plane, from, to, diameter, value) {
  const rows = discOf(diameter);
  const above = Math.floor((diameter - 1) / 2);
  for (const { x, y } of lineOf(from, to)) {
    for (const [row, half] of rows.entries()) {
      const left = x - above + half;
      paintRow(plane, y - above + row, left, left + diameter - 1 - 2 * half, value);
    }
  }
}

/** For each row of a disc, how many pixels at its left have their middle outside.
 * @param {number} diameter */
function discOf(diameter) {
  const radius = diameter / 2;
  return Array.from({ length: diameter }, (_, row) => {
    const distance = row + 0.5 - radius;
    const reach = Math.sqrt(radius * radius - distance * distance);
    return Math.max(0, Math.ceil(radius - reach - 0.5));
  });
}

/** The pixels of a line without gaps (Bresenham's). @param {Point} from @param {Point} to */
function* lineOf(from, to) {
  const wide = Math.abs(to.x - from.x);
  const high = Math.abs(to.y - from.y);
  const right = Math.sign(to.x - from.x);
  const down = Math.sign(to.y - from.y);
  let { x, y } = from;
  let error = wide - high;
  for (let steps = Math.max(wide, high); ; steps--) {
    yield { x, y };
    if (steps <= 0) return;
    const twice = 2 * error;
    if (twice > -high) {
      error -= high;
      x += right;
    }
    if (twice < wide) {
      error += wide;
      y += down;
    }
  }
}

/**
 * Fills the area of one value that a point lies in; its neighbours are left, right, above, below.
 * @param {Plane} plane @param {Point} at @param {number} value
 */
export function floodFill(plane, at, value) {
  const old = valueAt(plane, at);
  if (old === undefined || old === value) return;
  const { width, height, data } = plane;
  const waiting = [at.y * width + at.x];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (data[place] !== old) continue;
    const start = place - (place % width);
    let left = place;
    let right = place;
    while (left > start && data[left - 1] === old) left--;
    while (right < start + width - 1 && data[right + 1] === old) right++;
    data.fill(value, left, right + 1);
    for (const row of [start - width, start + width]) {
      if (row < 0 || row >= width * height) continue;
      for (let i = row + left - start; i <= row + right - start; i++) {
        // Of neighbours of one run, its first is enough.
        if (data[i] === old && (i === row + left - start || data[i - 1] !== old)) waiting.push(i);
      }
    }
  }
}

/** Of another size, by nearest neighbour, so that no value is new. @param {Plane} plane
 * @param {number} width @param {number} height @returns {Plane} */
export function resizedPlane(plane, width, height) {
  const made = blankPlane(width, height);
  const columns = Array.from({ length: width }, (_, x) => nearestPlace(x, width, plane.width));
  for (let y = 0, i = 0; y < height; y++) {
    const row = nearestPlace(y, height, plane.height) * plane.width;
    for (const column of columns) made.data[i++] = plane.data[row + column];
  }
  return made;
}

/** Which of `there` pixels lies under the middle of pixel i of `wanted`. @param {number} i
 * @param {number} wanted @param {number} there */
function nearestPlace(i, wanted, there) {
  return Math.min(there - 1, Math.floor(((i + 0.5) * there) / wanted));
}

/** Whether two planes show the same. @param {Plane} a @param {Plane} b */
export function samePlane(a, b) {
  return a.width === b.width && a.height === b.height && a.data.every((n, i) => n === b.data[i]);
}

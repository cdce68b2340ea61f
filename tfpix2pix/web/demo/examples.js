// Examples to start from, drawn from a seed, for models that bring none of their own.
// @ts-check
import { blankPlane, paintRectangle, paintStroke } from "./drawing.js";

/** @typedef {import("./drawing.js").Plane} Plane */
/** @typedef {import("./drawing.js").Point} Point */
/** @typedef {import("./colours.js").Label} Label */

/** Draws by chance; equal seeds give equal draws. */
class Dice {
  /** @param {number} seed */
  constructor(seed) {
    this.state = (seed * 2654435761 + 97) >>> 0;
  }

  /** From 0 to 1 (the generator is Mulberry32). */
  share() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** @param {number} low @param {number} high */
  between(low, high) {
    return low + (high - low) * this.share();
  }

  /** Of whole numbers, both ends included. @param {number} low @param {number} high */
  whole(low, high) {
    return low + Math.floor(this.share() * (high - low + 1));
  }

  /** @param {number} chance */
  happens(chance) {
    return this.share() < chance;
  }
}

/**
 * Paints classes by name on a plane, in shares of its width and height.
 * What the palette has no class for is left out.
 */
class Scene {
  /** @param {Label[]} labels @param {number} width @param {number} height */
  constructor(labels, width, height) {
    this.labels = labels;
    const ground = labels.findIndex((label) => !label.void);
    this.plane = blankPlane(width, height, Math.max(0, ground));
  }

  /** Classes whose names are one of some words, or have it, the first word first. @param {string} words */
  all(words) {
    for (const word of words.split("|")) {
      for (const fits of [(/** @type {string} */ name) => name === word, (/** @type {string} */ name) => name.includes(word)]) {
        const found = this.labels.flatMap(({ name }, place) => (fits(name.toLowerCase()) ? [place] : []));
        if (found.length) return found;
      }
    }
    return [];
  }

  /** One of them; -1: there is none. @param {string} words */
  find(words) {
    return this.all(words)[0] ?? -1;
  }

  /** @param {string|number} what Words for `find`, or a class. @param {number} left
   * @param {number} top @param {number} right @param {number} bottom */
  box(what, left, top, right, bottom) {
    const value = typeof what === "number" ? what : this.find(what);
    const { width, height } = this.plane;
    const a = { x: Math.round(left * width), y: Math.round(top * height) };
    const b = { x: Math.round(right * width) - 1, y: Math.round(bottom * height) - 1 };
    if (value >= 0 && a.x <= b.x && a.y <= b.y) paintRectangle(this.plane, a, b, value);
  }

  /** @param {string|number} what @param {number} x @param {number} y @param {number} diameter Of
   * the height. */
  disc(what, x, y, diameter) {
    const value = typeof what === "number" ? what : this.find(what);
    const { width, height } = this.plane;
    const at = { x: Math.round(x * width), y: Math.round(y * height) };
    if (value >= 0) paintStroke(this.plane, at, at, Math.max(1, Math.round(diameter * height)), value);
  }
}

/**
 * A label map: a house front or a street where the classes have such names, else shapes.
 * @param {Label[]} labels @param {number} width @param {number} height @param {number} seed
 * @returns {Plane}
 */
export function exampleOfLabels(labels, width, height, seed) {
  const dice = new Dice(seed);
  const scene = new Scene(labels, width, height);
  if (scene.find("road") >= 0 && scene.find("sky") >= 0) street(scene, dice);
  else if (scene.find("window") >= 0 && scene.find(WALLS.join("|")) >= 0) houseFront(scene, dice);
  else shapes(scene, dice);
  return scene.plane;
}

/** What walls are made of, by which a palette may tell them apart. */
const WALLS = ["facade", "wall", "plaster", "brick", "stone", "boards"];

/** @param {Scene} scene @param {Dice} dice */
function houseFront(scene, dice) {
  const [left, right] = [dice.between(0, 0.1), dice.between(0.9, 1)];
  const [top, bottom] = [dice.between(0.1, 0.18), dice.between(0.92, 0.97)];
  const floors = dice.whole(3, 5);
  const bays = dice.whole(3, 6);
  const [high, wide] = [(bottom - top) / (floors + 0.15), (right - left) / bays];
  const [tall, broad] = [dice.between(0.52, 0.66), dice.between(0.42, 0.56)];
  const [shutters, sills, cornices] = [dice.happens(0.35), dice.happens(0.7), dice.happens(0.6)];
  const walls = WALLS.flatMap((word) => scene.all(word));
  const roofs = scene.all("tiles").concat(scene.all("slates"));
  const [balconies, door] = [dice.whole(1, bays - 1), dice.whole(0, bays - 1)];
  const shops = dice.happens(0.4);
  scene.box("background|sky", 0, 0, 1, 1);
  scene.box("neighbour", 0, dice.between(0.2, 0.5), 1, bottom);
  scene.box("pavement", 0, bottom, 1, 1);
  scene.box(walls[dice.whole(0, walls.length - 1)], left, top, right, bottom);
  if (roofs.length) scene.box(roofs[dice.whole(0, roofs.length - 1)], left + 0.02, top - 0.08, right - 0.02, top);
  scene.box("molding|cornice", left, top, right, top + 0.03);
  for (let floor = 0; floor < floors; floor++) {
    const head = top + 0.04 + floor * high;
    const ground = floor === floors - 1;
    if (ground) scene.box("molding", left, head - 0.02, right, head + 0.005);
    for (let bay = 0; bay < bays; bay++) {
      const middle = left + (bay + 0.5) * wide;
      const [from, to] = [middle - (broad * wide) / 2, middle + (broad * wide) / 2];
      const [lintel, foot] = [head + 0.2 * high, head + (0.2 + tall) * high];
      if (ground && bay === door) scene.box("door", from, lintel, to, bottom);
      else if (ground && shops) shopFront(scene, middle - 0.44 * wide, lintel - 0.1 * high, middle + 0.44 * wide, bottom - 0.01);
      else {
        windowPane(scene, dice, from, lintel, to, foot);
        if (shutters) {
          scene.box("blind", from - 0.2 * wide, lintel, from, foot);
          scene.box("blind", to, lintel, to + 0.2 * wide, foot);
        }
        if (cornices) scene.box("cornice", from - 0.02, lintel - 0.06 * high, to + 0.02, lintel);
        if (sills) scene.box("sill", from - 0.015, foot, to + 0.015, foot + 0.06 * high);
        if (!ground && floor > 0 && bay === balconies) {
          scene.box("balcony", middle - 0.46 * wide, foot - 0.3 * high, middle + 0.46 * wide, foot + 0.08 * high);
        }
      }
    }
  }
  const [tree, car] = [dice.between(0, 1), dice.between(0.2, 0.8)];
  scene.disc("tree", tree, bottom - 0.16, 0.2);
  scene.box("tree", tree - 0.012, bottom - 0.1, tree + 0.012, bottom + 0.01);
  scene.box("car", car - 0.13, bottom - 0.05, car + 0.13, bottom + 0.015);
  scene.box("car", car - 0.08, bottom - 0.09, car + 0.07, bottom - 0.05);
}

/** With curtains, a frame and bars, where the palette has those. @param {Scene} scene @param {Dice} dice
 * @param {number} left @param {number} top @param {number} right @param {number} bottom */
function windowPane(scene, dice, left, top, right, bottom) {
  const [width, bar] = [right - left, 1 / 128];
  const lit = scene.find("lit window");
  const curtained = dice.happens(0.3);
  scene.box(lit >= 0 && dice.happens(0.1) ? lit : "window", left, top, right, bottom);
  if (curtained) {
    scene.box("curtain", left, top, left + 0.25 * width, bottom);
    scene.box("curtain", right - 0.25 * width, top, right, bottom);
  }
  for (const x of [left, (left + right - bar) / 2, right - bar]) scene.box("frame", x, top, x + bar, bottom);
  for (const y of [top, top + 0.35 * (bottom - top), bottom - bar]) scene.box("frame", left, y, right, y + bar);
}

/** @param {Scene} scene @param {number} left @param {number} top @param {number} right
 * @param {number} bottom */
function shopFront(scene, left, top, right, bottom) {
  const [width, height, bar] = [right - left, bottom - top, 1 / 128];
  scene.box("shop|window", left, top, right, bottom);
  for (const share of [0, 0.5, 1]) {
    const x = left + share * (width - bar);
    scene.box("frame", x, top, x + bar, bottom);
  }
  scene.box("sign", left, top, right, top + 0.19 * height);
  scene.box("awning", left, top + 0.17 * height, right, top + 0.42 * height);
}

/** @param {Scene} scene @param {Dice} dice */
function street(scene, dice) {
  const horizon = dice.between(0.42, 0.52);
  scene.box("sky", 0, 0, 1, 1);
  for (let x = 0; x < 1; ) {
    const wide = dice.between(0.12, 0.3);
    // Lower towards the middle, where the street goes away.
    const roof = horizon * (0.15 + 0.75 * (1 - Math.abs(2 * x + wide - 1)) * dice.between(0.7, 1));
    scene.box("building", x, roof, x + wide, horizon + 0.08);
    x += wide;
  }
  for (let i = 0; i < 3; i++) {
    const x = dice.share();
    const across = dice.between(0.12, 0.24);
    scene.disc("tree|vegetation", x, horizon - across / 3, across);
  }
  const { width, height } = scene.plane;
  const [first, road, pavement] = [
    Math.round(horizon * height), scene.find("road"), scene.find("sidewalk|pavement|terrain"),
  ];
  const middle = dice.between(0.42, 0.58);
  for (let y = first; y < height; y++) {
    const near = (y - first) / (height - first);
    const row = (/** @type {number} */ value, /** @type {number} */ half) => {
      const a = { x: Math.round((middle - half) * width), y };
      if (value >= 0) paintRectangle(scene.plane, a, { x: Math.round((middle + half) * width), y }, value);
    };
    row(pavement >= 0 ? pavement : road, 0.12 + 1.3 * near);
    row(road, 0.05 + 0.75 * near);
  }
  for (const side of [-1, 1]) {
    const near = dice.between(0.25, 0.6);
    const [x, foot] = [middle + side * (0.03 + 0.45 * near), horizon + near * (1 - horizon)];
    const wide = 0.06 + 0.2 * near;
    scene.box("car", x - wide / 2, foot - 0.62 * wide, x + wide / 2, foot);
    scene.box("car", x - 0.35 * wide, foot - 0.9 * wide, x + 0.35 * wide, foot - 0.6 * wide);
    const walker = dice.between(0.05, 0.95);
    scene.box("pole", walker, horizon - 0.3, walker + 0.012, horizon + 0.12);
    scene.box("pedestrian|person", walker + 0.04, horizon - 0.02, walker + 0.065, horizon + 0.1);
  }
}

/** One of each class, the first as ground. @param {Scene} scene @param {Dice} dice */
function shapes(scene, dice) {
  const others = scene.labels.flatMap((label, place) => (label.void ? [] : [place])).slice(1);
  const [band, ...rest] = others;
  if (band !== undefined) scene.box(band, 0, dice.between(0.5, 0.7), 1, 1);
  for (const [i, value] of rest.slice(0, 12).entries()) {
    const [x, y, across] = [dice.between(0.12, 0.88), dice.between(0.15, 0.85), dice.between(0.12, 0.26)];
    if (i % 2) scene.disc(value, x, y, across);
    else scene.box(value, x - across / 2, y - across * dice.between(0.3, 0.8), x + across / 2, y + across / 2);
  }
}

// === Lines ===

/** Curves through points of a square, 100 a side; `~` before a point turns a corner there. */
const FIGURES = {
  cat: [
    "30,38 27,12 46,27 ~46,27 54,27 ~54,27 73,12 70,38 ~70,38 76,58 64,76 50,80 36,76 24,58 30,38",
    "37,50 41,46 45,50 41,53 37,50", "55,50 59,46 63,50 59,53 55,50",
    "46,60 54,60 50,65 46,60", "50,65 46,71 40,70", "50,65 54,71 60,70",
    "32,63 14,59", "32,67 14,70", "68,63 86,59", "68,67 86,70",
  ],
  handbag: [
    "22,44 78,44 ~78,44 84,82 ~84,82 80,87 20,87 ~20,87 16,82 ~16,82 22,44",
    "33,44 35,22 50,14 65,22 67,44", "38,44 40,26 50,19 60,26 62,44",
    "20,55 50,66 80,55", "46,60 54,60 ~54,60 54,70 ~54,70 46,70 ~46,70 46,60",
  ],
  shoe: [
    "14,40 16,62 12,76 ~12,76 88,76 ~88,76 90,66 76,60 60,54 48,38 ~48,38 40,43 26,44 14,40",
    "12,76 11,82 ~11,82 87,82 ~87,82 88,76", "44,48 52,43", "50,54 58,48", "56,59 64,53",
    "72,60 68,68 72,76", "24,45 28,60 22,76",
  ],
};

/** The points of a smooth curve (Catmull and Rom's). @param {string} text */
function curveOf(text) {
  /** @type {Point[]} */
  const found = [];
  for (const part of text.split(" ~")) {
    const points = part.split(" ").map((point) => point.split(",").map(Number));
    for (let i = 0; i + 1 < points.length; i++) {
      const near = [i - 1, i, i + 1, i + 2].map((k) => points[Math.min(Math.max(k, 0), points.length - 1)]);
      for (let t = 0; t <= 1; t += 0.125) {
        const [x, y] = [0, 1].map((axis) => {
          const [a, b, c, d] = near.map((point) => point[axis]);
          return b + (t / 2) * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
        });
        found.push({ x, y });
      }
    }
  }
  return found;
}

/**
 * A line drawing: a cat, a handbag, a shoe, and again.
 * @param {number} width @param {number} height @param {number} seed
 * @param {number} ground Level of grey. @param {number} ink Level of grey.
 * @returns {Plane}
 */
export function exampleOfLines(width, height, seed, ground, ink) {
  const plane = blankPlane(width, height, ground);
  const figures = Object.values(FIGURES);
  const dice = new Dice(seed);
  const side = Math.min(width, height);
  const turned = dice.happens(0.5) ? -1 : 1;
  const stretched = 0.96 * dice.between(0.9, 1);
  const thick = Math.max(1, Math.round(side / 170));
  for (const curve of figures[seed % figures.length]) {
    /** @type {Point|null} */
    let last = null;
    for (const { x, y } of curveOf(curve)) {
      const point = {
        x: Math.round(width / 2 + ((turned * (x - 50)) / 100) * stretched * side),
        y: Math.round(height / 2 + ((y - 50) / 100) * side * 0.96),
      };
      paintStroke(plane, last ?? point, point, thick, ink);
      last = point;
    }
  }
  return plane;
}

// === A photograph's place ===

/**
 * A painted landscape, for models that take photographs.
 * @param {number} width @param {number} height @param {number} seed
 */
export function exampleOfPhoto(width, height, seed) {
  const dice = new Dice(seed);
  const mix = (/** @type {number[]} */ a, /** @type {number[]} */ b, /** @type {number} */ t) =>
    a.map((level, c) => level + (b[c] - level) * t);
  const warm = dice.share();
  const [zenith, haze] = [mix([58, 110, 190], [92, 80, 150], warm), mix([205, 225, 240], [250, 190, 140], warm)];
  const sun = { x: dice.between(0.2, 0.8), y: dice.between(0.18, 0.34) };
  const ridges = [0.5, 0.62, 0.76].map((level, i) => ({
    level, waves: [1, 2, 3, 4].map((n) => ({ n: n * dice.between(2, 4) * (i + 1), phase: dice.between(0, 6.3), high: 0.05 / n })),
    colour: mix(mix([52, 92, 60], haze, 0.75 - 0.36 * i), [40, 60, 20], 0.16 * i),
  }));
  const heights = ridges.map(({ level, waves }) =>
    Float32Array.from({ length: width }, (_, x) =>
      waves.reduce((y, { n, phase, high }) => y + high * Math.sin((n * x) / width + phase), level)));
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 4) {
      const [u, v] = [x / width, y / height];
      let colour = mix(zenith, haze, Math.min(1, v / 0.6));
      const away = Math.hypot((u - sun.x) * (width / height), v - sun.y);
      colour = mix(colour, [255, 246, 214], away < 0.05 ? 1 : Math.exp(-9 * away));
      for (const [k, { colour: hill }] of ridges.entries()) {
        const depth = v - heights[k][x];
        if (depth > 0) colour = mix(hill, [30, 44, 24], Math.min(1, 1.6 * depth) + 0.12 * (dice.share() - 0.5));
      }
      data.set(colour, i);
    }
  }
  return { width, height, data };
}

// What is drawn on: a plane of classes or greys, or a photograph; how it is made, shown and resized.
// @ts-check
import { blankPlane, resizedPlane } from "./drawing.js";
import { GREYS, greyOf, groundOf, pictureOf, planeOf } from "./colours.js";
import { exampleOfLabels, exampleOfLines, exampleOfPhoto } from "./examples.js";
import { drawnIn } from "./media.js";

/** @typedef {import("./drawing.js").Plane} Plane */
/** @typedef {import("./colours.js").Label} Label */
/** @typedef {import("./media.js").Picture} Picture */
/** @typedef {"labels"|"lines"|"photo"} Kind */
/**
 * One state of a drawing; never changed, but replaced.
 * @typedef {object} Sheet
 * @property {number} width
 * @property {number} height
 * @property {Plane|null} plane Of labels and lines.
 * @property {Picture|null} photo Of photographs; none: there is nothing yet.
 * @property {ImageBitmap|null} source The picture that it was made of, in its own size.
 */
/** @typedef {{width: number, height: number}} Dimensions */

/** What sheets of one kind and palette have in common. */
export class Paper {
  /** @param {Kind} kind @param {Label[]} labels */
  constructor(kind, labels) {
    this.kind = kind;
    this.labels = labels;
    this.colours = kind === "labels" ? labels.map((label) => label.color) : GREYS;
    /** What clearing leaves and an eraser paints. */
    this.ground = kind === "labels" ? Math.max(0, labels.findIndex((label) => !label.void)) : 255;
  }

  /** The other end of grey than the ground. */
  get ink() {
    return this.ground > 127 ? 0 : 255;
  }

  /** @param {Dimensions} size @returns {Sheet} */
  blank({ width, height }) {
    const plane = this.kind === "photo" ? null : blankPlane(width, height, this.ground);
    return { width, height, plane, photo: null, source: null };
  }

  /** @param {Plane} plane @returns {Sheet} */
  of(plane) {
    return { width: plane.width, height: plane.height, plane, photo: null, source: null };
  }

  /** Drawn by the page. @param {Dimensions} size @param {number} number Which. @returns {Sheet} */
  drawn({ width, height }, number) {
    if (this.kind === "labels") return this.of(exampleOfLabels(this.labels, width, height, number));
    if (this.kind === "lines") return this.of(exampleOfLines(width, height, number, this.ground, this.ink));
    return { width, height, plane: null, photo: exampleOfPhoto(width, height, number), source: null };
  }

  /**
   * Of a picture.
   * @param {ImageBitmap} source @param {Dimensions} size
   * @returns {{sheet: Sheet, other: number}} And the share of its pixels that show no class.
   */
  from(source, { width, height }) {
    if (this.kind === "photo") {
      const photo = drawnIn(source, width, height);
      return { sheet: { width, height, plane: null, photo, source }, other: 0 };
    }
    // In its own size first: between two classes lies no third one.
    const own = drawnIn(source, source.width, source.height);
    const read = this.kind === "lines" ? { plane: greyOf(own), other: 0 } : planeOf(own, this.colours);
    this.see(read.plane);
    return { sheet: this.of(resizedPlane(read.plane, width, height)), other: read.other };
  }

  /** Of lines that come from elsewhere: which end of grey is their ground. @param {Plane} plane */
  see(plane) {
    if (this.kind === "lines") this.ground = groundOf(plane) > 127 ? 255 : 0;
  }

  /** In another size. @param {Sheet} sheet @param {Dimensions} size @returns {Promise<Sheet>} */
  async resized(sheet, { width, height }) {
    if (sheet.plane) return this.of(resizedPlane(sheet.plane, width, height));
    if (!sheet.photo) return this.blank({ width, height });
    const { data, ...own } = sheet.photo;
    const source = sheet.source ?? (await createImageBitmap(new ImageData(data, own.width, own.height)));
    return this.from(source, { width, height }).sheet;
  }

  /** What people and models see; none where there is nothing. @param {Sheet} sheet */
  pictureOf(sheet) {
    return sheet.plane ? pictureOf(sheet.plane, this.colours) : sheet.photo;
  }

  /** One for each pixel, or three of a photograph. @param {Sheet} sheet */
  bytesOf(sheet) {
    if (sheet.plane) return sheet.plane.data;
    const photo = sheet.photo;
    return photo ? photo.data.filter((_, i) => i % 4 !== 3) : null;
  }

  /** Of what `bytesOf` gives. @param {Dimensions} size @param {Uint8Array<ArrayBuffer>} bytes
   * @returns {Sheet} @throws {Error} It is of another kind. */
  ofBytes({ width, height }, bytes) {
    const pixels = width * height;
    const fits = bytes.length === (this.kind === "photo" ? 3 : 1) * pixels;
    if (!fits || (this.kind === "labels" && bytes.some((value) => value >= this.labels.length))) {
      throw new Error("The link holds a drawing of another kind than this model takes.");
    }
    if (this.kind !== "photo") {
      const plane = { width, height, data: bytes };
      this.see(plane);
      return this.of(plane);
    }
    const data = new Uint8ClampedArray(4 * pixels).fill(255);
    for (let i = 0; i < bytes.length; i++) data[Math.floor(i / 3) * 4 + (i % 3)] = bytes[i];
    return { width, height, plane: null, photo: { width, height, data }, source: null };
  }

  /** A value in words. @param {number} value */
  nameOf(value) {
    if (this.kind === "labels") return this.labels[value]?.name ?? "";
    return value === 0 ? "black" : value === 255 ? "white" : `grey ${value}`;
  }
}

/** Memory of a sheet, bytes. @param {Sheet} sheet */
export function sheetBytes(sheet) {
  const { plane, photo, source } = sheet;
  return ((plane ?? photo)?.data.byteLength ?? 0) + (source ? 4 * source.width * source.height : 0);
}

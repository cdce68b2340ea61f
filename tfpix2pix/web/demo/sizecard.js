// The card in which one chooses the pictures' size.
// @ts-check
import { byId, inputOf, made, selectOf } from "./dom.js";
import { sizeText } from "./media.js";
import { trying } from "./messages.js";
import { fixedSize, offeredSizes, ownSize, refusedSize } from "./sizes.js";

/** @typedef {import("./sheet.js").Dimensions} Dimensions */

/** Offers sizes, and takes typed ones. */
export class SizeCard {
  /** @param {(size: Dimensions) => unknown} resize */
  constructor(resize) {
    /** @type {{contract: any, proof?: any}|null} */
    this.model = null;
    /** @type {import("./sheet.js").Sheet|null} */
    this.sheet = null;
    selectOf("size").addEventListener("change", () => {
      const [width, height] = selectOf("size").value.split("x").map(Number);
      // Where that is not to be had, the choice is again what there is.
      void trying(() => resize({ width, height })).then(() => this.update());
    });
    byId("size-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const [width, height] = ["size-width", "size-height"].map((id) => inputOf(id).valueAsNumber);
      void trying(() => resize({ width, height }));
    });
  }

  /**
   * @param {{contract: any, proof?: any}} model
   * @param {import("./sheet.js").Sheet} sheet What is drawn.
   */
  show(model, sheet) {
    this.model = model;
    this.sheet = sheet;
    this.update();
  }

  update() {
    const { model, sheet } = this;
    if (!model || !sheet) return;
    const own = ownSize(model);
    const fixed = fixedSize(model.contract);
    byId("size-choice").hidden = Boolean(fixed);
    byId("size-about").textContent = fixed
      ? `This model was exported for ${sizeText(fixed)} pixels alone.`
      : `Any size; the model was trained with ${sizeText(own)} pixels.`;
    const keyOf = (/** @type {Dimensions} */ { width, height }) => `${width}x${height}`;
    /** @type {Map<string, string>} */
    const offered = new Map(
      offeredSizes(model).map((size) => [keyOf(size), sizeText(size) + (size.width === own.width ? " (trained)" : "")]),
    );
    if (!offered.has(keyOf(sheet))) offered.set(keyOf(sheet), sizeText(sheet));
    const { source } = sheet;
    if (source && !refusedSize(model.contract, source)) offered.set(keyOf(source), `${sizeText(source)} (the picture's own)`);
    selectOf("size").replaceChildren(...[...offered].map(([value, text]) => made("option", { value }, text)));
    selectOf("size").value = keyOf(sheet);
    inputOf("size-width").value = String(sheet.width);
    inputOf("size-height").value = String(sheet.height);
  }
}

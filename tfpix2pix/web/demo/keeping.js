// What one takes away: pictures as PNG, and a link that holds the drawing.
// @ts-check
import { byId, inputOf, onClick } from "./dom.js";
import { linkTo } from "./link.js";
import { pngOf, saveAs } from "./media.js";
import { tell, trying } from "./messages.js";

/** @typedef {import("./media.js").Picture} Picture */
/** @typedef {import("./link.js").Linked} Linked */
/** @typedef {"output"|"input"|"both"} Part */
/**
 * What there is to keep.
 * @typedef {object} Kept
 * @property {string} model Its name.
 * @property {bigint} seed
 * @property {Picture|null} input
 * @property {() => Promise<Picture|null>} output Of the input as it is now.
 * @property {() => Linked|null} linked None where nothing is drawn.
 */

/** The buttons that save and share. */
export class Keeping {
  /** @param {() => Kept} kept */
  constructor(kept) {
    this.kept = kept;
    onClick("save", () => this.save("output"));
    onClick("save-output", () => this.save("output"));
    onClick("save-input", () => this.save("input"));
    onClick("save-both", () => this.save("both"));
    onClick("copy-link", () => this.share());
  }

  /** @param {Part} part */
  save(part) {
    return trying(async () => {
      const { model, seed, input, output } = this.kept();
      if (!input) throw new Error("There is no input yet; press Example, or open a picture.");
      const pictures = part === "output" ? [] : [input];
      if (part !== "input") {
        const made = await output();
        if (!made) throw new Error("There is no output to save; wait until the model has drawn one.");
        pictures.push(made);
      }
      const name = `${model}${part === "input" ? "" : `-seed${seed}`}-${part}.png`;
      saveAs(await pngOf(pictures), name);
      tell(`Saved as ${name}`);
    });
  }

  share() {
    return trying(async () => {
      const linked = this.kept().linked();
      if (!linked) throw new Error("There is no drawing yet to make a link of.");
      history.replaceState(null, "", `#${await linkTo(linked)}`);
      inputOf("link").value = location.href;
      byId("link-row").hidden = false;
      try {
        await navigator.clipboard.writeText(location.href);
        tell("The link to this drawing is copied");
      } catch {
        inputOf("link").focus();
        inputOf("link").select();
        tell("This browser does not let the page copy; the link is in its field, press Ctrl+C");
      }
    });
  }
}

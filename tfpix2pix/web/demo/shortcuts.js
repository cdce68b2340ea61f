// The page's shortcuts: what each key does.
// @ts-check
import { byId, inputOf } from "./dom.js";
import { isCommand, isPlain, letter, showKeys } from "./keys.js";
import { murmur, trying } from "./messages.js";

/** @typedef {import("./keys.js").Shortcut} Shortcut */
/** @typedef {import("./sheet.js").Kind} Kind */

/** @param {import("./page.js").Page} page @returns {Shortcut[]} */
export function shortcutsOf(page) {
  const { toolbox, noise, keeping } = page;
  const isKind = (/** @type {Kind} */ kind) => () => page.model.input === kind;
  const canDraw = () => page.model.input !== "photo";
  const tool = (/** @type {string} */ key, /** @type {string} */ name, /** @type {Kind} */ kind, /** @type {string} */ word) =>
    letter(key, word, () => toolbox.use(name) && murmur(word), isKind(kind));
  /** @type {Shortcut[]} */
  const shortcuts = [
    tool("r", "rectangle", "labels", "Rectangle"),
    tool("b", "brush", "labels", "Brush"),
    tool("f", "fill", "labels", "Fill an area"),
    tool("i", "pick", "labels", "Pick a class from the drawing"),
    tool("p", "pencil", "lines", "Pencil"),
    tool("e", "eraser", "lines", "Eraser"),
    {
      keys: "1 to 9", does: "Take a class, by its number", here: isKind("labels"),
      is: (event) => isPlain(event) && /^[0-9]$/.test(event.key),
      run: (event) => toolbox.choose((Number(event.key) + 9) % 10),
    },
    {
      keys: "[ or ]", does: "Thinner, thicker", here: canDraw,
      is: (event) => event.key === "[" || event.key === "]",
      run: (event) => toolbox.widen(event.key === "]" ? 1 : -1),
    },
    { keys: "Arrows", does: "On the drawing: move the pen (with Shift by one pixel)", here: canDraw },
    { keys: "Enter", does: "On the drawing: set the pen down, lift it; take a corner", here: canDraw },
    { keys: "Esc", does: "On the drawing: give up what is half drawn", here: canDraw },
    { keys: "Ctrl+Z", does: "Undo", is: (event) => isCommand("z", false, event), run: () => page.undo() },
    {
      keys: "Ctrl+Shift+Z or Ctrl+Y", does: "Redo", run: () => page.redo(),
      is: (event) => isCommand("z", true, event) || isCommand("y", false, event),
    },
    { keys: "Delete", does: "Clear", is: (event) => isPlain(event) && event.key === "Delete", run: () => page.clear() },
    letter("x", "Another example", () => trying(() => page.showExample())),
    letter("o", "Open a picture", () => inputOf("file").click()),
    { keys: "Ctrl+V", does: "Paste a picture" },
    letter("n", "New noise", () => noise.renew(), () => !byId("noise-card").hidden),
    letter("c", "Compare input and output", () => page.stage.compare()),
    letter("s", "Save the output", () => keeping.save("output")),
    letter("l", "Copy a link to the drawing", () => keeping.share()),
    {
      keys: "+ or -", does: "Larger, smaller", is: (event) => isPlain(event) && "+=-".includes(event.key),
      run: (event) => page.stage.zoom(event.key === "-" ? 1 / 1.5 : 1.5),
    },
    { keys: "Home", does: "The whole picture", is: (event) => isPlain(event) && event.key === "Home", run: () => page.stage.zoom(0) },
  ];
  shortcuts.push({ keys: "?", does: "This list", is: (event) => event.key === "?", run: () => showKeys(shortcuts) });
  return shortcuts;
}

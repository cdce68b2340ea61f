// Pictures that come into the page: chosen files, dropped and pasted ones, the clipboard's.
// @ts-check
import { inputOf, onClick } from "./dom.js";
import { pastedPicture, pictureIn } from "./media.js";
import { trying } from "./messages.js";

const PASTED = "The pasted picture";

/** Listens for them. @param {(file: Blob, name: string) => Promise<void>} open */
export function takePictures(open) {
  onClick("open", () => inputOf("file").click());
  onClick("paste", () => trying(async () => open(await pastedPicture(), PASTED)));
  inputOf("file").addEventListener("change", () => {
    const [file] = inputOf("file").files ?? [];
    if (file) void trying(() => open(file, file.name));
    inputOf("file").value = ""; // so that the same file can be opened again
  });
  takeDropped(open);
  document.addEventListener("paste", (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest("input:not([type=radio], [type=checkbox], [type=range]), textarea")) return;
    event.preventDefault();
    const file = pictureIn(event.clipboardData);
    void trying(async () => {
      if (!file) throw new Error("The clipboard holds no picture; copy one first.");
      await open(file, PASTED);
    });
  });
}

/** Anywhere on the page. @param {(file: Blob, name: string) => Promise<void>} open */
function takeDropped(open) {
  const isFile = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const mark = (/** @type {boolean} */ is) => document.body.classList.toggle("dropping", is);
  document.addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", () => mark(false));
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!isFile(event)) return;
    event.preventDefault();
    const file = pictureIn(event.dataTransfer);
    if (file) void trying(() => open(file, file.name));
  });
}

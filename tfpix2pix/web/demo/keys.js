// Shortcuts, and the list of them in the page.
// @ts-check
import { byId, dialogOf, inputOf, made, onClick, remembered } from "./dom.js";

/**
 * @typedef {object} Shortcut
 * @property {string} keys As the list shows them.
 * @property {string} does
 * @property {(event: KeyboardEvent) => boolean} [is] Whether the event is this; none: it is listed only.
 * @property {(event: KeyboardEvent) => unknown} [run]
 * @property {() => boolean} [here] Whether it means anything for what is drawn now.
 */

/** Of a single letter. @param {string} key @param {string} does @param {() => unknown} run
 * @param {() => boolean} [here] @returns {Shortcut} */
export function letter(key, does, run, here) {
  return { keys: key.toUpperCase(), does, run, here, is: (event) => isPlain(event) && event.key.toLowerCase() === key };
}

/** With Ctrl, or ⌘ on a Mac. @param {string} key @param {boolean} shift @param {KeyboardEvent} event */
export function isCommand(key, shift, event) {
  return (event.ctrlKey || event.metaKey) && !event.altKey && event.shiftKey === shift && event.key.toLowerCase() === key;
}

/** Without Ctrl and the like. @param {KeyboardEvent} event */
export function isPlain(event) {
  return !event.ctrlKey && !event.metaKey && !event.altKey;
}

/** Listens to them for the whole page. @param {Shortcut[]} shortcuts */
export function listenToKeys(shortcuts) {
  const single = inputOf("single-keys");
  single.checked = remembered.get("single-keys") !== "no";
  single.addEventListener("change", () => remembered.set("single-keys", single.checked ? "yes" : "no"));
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    if (document.querySelector("dialog[open]")) return;
    if (target.closest("input:not([type=radio], [type=checkbox], [type=range]), select, textarea")) return;
    if (target.matches("input[type=range]") && event.key.length > 1) return; // Home and the like move it
    // Those who speak to their machine, or type by chance, switch letters off.
    if (isPlain(event) && event.key.length === 1 && !single.checked) return;
    const found = shortcuts.find(({ is, here }) => is?.(event) && (here?.() ?? true));
    if (!found) return;
    event.preventDefault();
    found.run?.(event);
  });
  onClick("show-keys", () => showKeys(shortcuts));
  onClick("close-keys", () => dialogOf("keys").close());
}

/** @param {Shortcut[]} shortcuts */
export function showKeys(shortcuts) {
  const rows = shortcuts.filter(({ here }) => here?.() ?? true);
  byId("keys-list").replaceChildren(
    ...rows.map(({ keys, does }) => {
      const caps = keys.split(" ").map((key) => (key === "or" || key === "to" ? ` ${key} ` : made("kbd", {}, key)));
      return made("div", {}, made("dt", {}, ...caps), made("dd", {}, does));
    }),
  );
  dialogOf("keys").showModal();
}

// Short words for the page's elements.
// @ts-check

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
export const inputOf = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));
/** @param {string} id */
export const selectOf = (id) => /** @type {HTMLSelectElement} */ (document.getElementById(id));
/** @param {string} id */
export const canvasById = (id) => /** @type {HTMLCanvasElement} */ (document.getElementById(id));
/** @param {string} id */
export const dialogOf = (id) => /** @type {HTMLDialogElement} */ (document.getElementById(id));

/** @param {string} id @param {() => void} action */
export function onClick(id, action) {
  byId(id).addEventListener("click", action);
}

/** A new element. @param {string} name @param {Record<string, string>} [attributes]
 * @param {(Node|string)[]} children */
export function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** What an error says, as a sentence. @param {unknown} error */
export function sentenceOf(error) {
  const text = (error instanceof Error ? error.message : String(error)).trim();
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** What this browser remembers from visit to visit, if it may. */
export const remembered = {
  /** @param {string} key */
  get(key) {
    try {
      return localStorage.getItem(`tfpix2pix-demo-${key}`);
    } catch {
      return null;
    }
  },
  /** @param {string} key @param {string} value */
  set(key, value) {
    try {
      localStorage.setItem(`tfpix2pix-demo-${key}`, value);
    } catch {
      // Then it does not.
    }
  },
};

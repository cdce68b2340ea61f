// What the page says: news, which passes, and trouble, which stays until something else is done.
// @ts-check
import { byId, sentenceOf } from "./dom.js";

const TOLD_FOR = 6000; // milliseconds
let telling = 0;

/** News, for eyes and screen readers. @param {string} text */
export function tell(text) {
  const place = byId("told");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(telling);
  telling = window.setTimeout(() => place.classList.remove("shown"), TOLD_FOR);
}

/** What eyes see anyway, for screen readers. @param {string} text */
export function murmur(text) {
  clearTimeout(telling);
  byId("told").classList.remove("shown");
  byId("told").textContent = text;
}

/** What went wrong. @param {unknown} error */
export function complain(error) {
  byId("trouble-told").textContent = sentenceOf(error);
  byId("trouble").hidden = false;
}

/** It is over. */
export function uncomplain() {
  byId("trouble").hidden = true;
  byId("trouble-told").textContent = "";
}

/** Does something that may go wrong, and says so then. @param {() => unknown} action */
export async function trying(action) {
  try {
    uncomplain();
    await action();
  } catch (error) {
    complain(error);
  }
}

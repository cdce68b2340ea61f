// How many threads WebAssembly gets, and how a page comes to them on a host that does not send the headers for it.
// @ts-check

const TRIED = "tfpix2pix-isolation-tried";
const MOST = 8;

/** Threads that use the machine well. @param {boolean} [isolated] Whether pages may share memory between them. */
export function threadsHere(isolated = globalThis.crossOriginIsolated) {
  const cores = navigator.hardwareConcurrency || 1;
  if (!isolated) return 1;
  // Of many cores half are a second thread of the same core, as a rule.
  return cores <= 2 ? cores : Math.min(MOST, Math.max(2, cores >> 1));
}

/** Why there is one thread alone, in words that end a sentence; empty where that is all that there could be. */
export function whyOneThread() {
  if (globalThis.crossOriginIsolated || (navigator.hardwareConcurrency || 1) < 2) return "";
  if (location.protocol === "file:") return "a page without a server has one";
  return "the server does not send the headers that more of them need";
}

/**
 * Gives the page what threads need where its server does not send it: a service worker of its own adds the two headers,
 * and the page is loaded once more.
 *
 * @param {string} folder URL of the page's folder, where isolate.js is.
 * @returns {Promise<boolean>} Whether the page is being loaded again, so that nothing should be begun.
 */
export async function isolate(folder) {
  const useless = globalThis.crossOriginIsolated || (navigator.hardwareConcurrency || 1) < 2;
  // Within another page the headers are that one's.
  if (useless || !isSecureContext || !("serviceWorker" in navigator) || window !== window.top) return false;
  if (!location.protocol.startsWith("http")) return false;
  try {
    // Once: where it does not help, the page goes on with one thread.
    if (sessionStorage.getItem(TRIED)) return false;
    sessionStorage.setItem(TRIED, "1");
    const { installing, waiting, active } = await navigator.serviceWorker.register(new URL("isolate.js", folder));
    const worker = installing ?? waiting ?? active;
    if (!worker) return false;
    const settled = ["activated", "redundant"];
    while (!settled.includes(worker.state))
      await new Promise((done) => worker.addEventListener("statechange", done, { once: true }));
    if (worker.state !== "activated") return false;
    location.reload();
    return true;
  } catch {
    return false; // forbidden here, or not there
  }
}

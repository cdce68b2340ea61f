// Has engine.js's place where the page alone is tested: a model that gives the negative, and tells what it was asked for.
// @ts-check

/** @type {any} */
const here = globalThis;
here.asked = [];

/** @param {{list: {models: any[]}}} where */
export async function openEngine({ list }) {
  const sleep = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));
  let name = "";
  return {
    models: list.models,
    file: async (/** @type {string} */ path) => {
      throw new Error(`no file ${path}`);
    },
    load: async (/** @type {string} */ wanted, /** @type {(share: number, doing: string) => void} */ onProgress) => {
      onProgress(0.5, "loading");
      await sleep(here.loading ?? 0);
      if (wanted.includes("broken")) throw new Error("the model does not fit into the memory of this browser");
      name = wanted;
      return { engine: "wasm", threads: 2, difference: 0.25, note: "WebAssembly with 2 threads, checked" };
    },
    draw: async (/** @type {any} */ asked) => {
      here.asked.push({ ...asked, name });
      await sleep(here.drawing ?? 0);
      if (here.fails) throw new Error("no memory for 9999 pixels");
      const { width, height, data } = asked.picture;
      const negative = data.map((/** @type {number} */ level, /** @type {number} */ i) => (i % 4 === 3 ? 255 : 255 - level));
      return { picture: new ImageData(negative, width, height), milliseconds: 12.3 };
    },
    latent: async (/** @type {bigint} */ seed) => {
      const size = list.models.find((model) => model.name === name).contract.latent.size;
      return Array.from({ length: size }, (_, i) => Math.sin(Number(seed % 1000n) + 7 * i));
    },
    close() {},
  };
}

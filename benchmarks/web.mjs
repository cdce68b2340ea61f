// @ts-check
// Runs an ONNX file in onnxruntime-web for web.py, which says what to run and is told how long it
// took: in a browser (web.py's page imports this), or under Node:
//
//     node web.mjs ORIGIN DIST
//
// ORIGIN is web.py's address, DIST the folder of onnxruntime-web's files.

/**
 * Takes one job after another until there are none.
 *
 * @param {any} ort onnxruntime-web
 * @param {string} origin web.py's address
 */
export async function work(ort, origin) {
  /** @type {Map<string, any>} tensors that came already */
  const known = new Map();
  /** @param {string} path */
  const get = async (path) => {
    const response = await fetch(`${origin}/${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response;
  };
  /** @param {Record<string, string>} headers @param {BodyInit} body */
  const tell = (headers, body = "") => fetch(`${origin}/told`, { method: "POST", headers, body });
  try {
    const { threads, provider } = await (await get("settings")).json();
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = threads;
    const model = new Uint8Array(await (await get("model.onnx")).arrayBuffer());
    const session = await ort.InferenceSession.create(model, { executionProviders: [provider] });
    // onnxruntime-web takes one where it can have no more, and says so to nobody.
    if (ort.env.wasm.numThreads !== threads) throw new Error(`no ${threads} threads here`);
    await tell({});
    for (;;) {
      const job = await get("job");
      if (job.status === 204) return;
      /** @type {Record<string, any>} */
      const feeds = {};
      const asked = await job.json();
      for (const [name, id] of Object.entries(asked.feeds)) {
        if (!known.has(id)) {
          const array = await get(`array/${id}`);
          const shape = JSON.parse(array.headers.get("shape") ?? "");
          const numbers = new Float32Array(await array.arrayBuffer());
          known.set(id, new ort.Tensor("float32", numbers, shape));
        }
        feeds[name] = known.get(id);
      }
      const start = performance.now();
      let y;
      for (let run = 0; run < asked.runs; run++) ({ y } = await session.run(feeds));
      const milliseconds = (performance.now() - start) / asked.runs;
      await tell({ shape: JSON.stringify(y.dims), milliseconds: String(milliseconds) }, y.data);
    }
  } catch (error) {
    await tell({ error: encodeURIComponent(String(error)) });
  }
}

if (typeof process !== "undefined" && process.versions?.node) {
  const { pathToFileURL } = await import("node:url");
  const [origin, dist] = process.argv.slice(2);
  await work(await import(`${pathToFileURL(dist)}/ort.node.min.mjs`), origin);
  process.exit(); // its threads would go on
}

// Runs an ONNX model with onnxruntime-web's WebAssembly build.
//
//     node run.mjs NODE_MODULES MODEL REQUESTS
//
// REQUESTS is a JSON file: a list of {"inputs": {NAME: {"file": F, "shape": [...]}}, "output": F};
// the files hold float32 numbers, little-endian, in row-major order. Prints one JSON line: the
// version, and for each request the output's shape and the milliseconds it took.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, modelFile, requestsFile] = process.argv.slice(2);
// The bare package name would be sought beside this file, and the packages may be elsewhere.
const require = createRequire(pathToFileURL(resolve(modules, "..", "from_here.js")));
const ort = require("onnxruntime-web/wasm");
ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1;

const session = await ort.InferenceSession.create(await readFile(modelFile), {
  executionProviders: ["wasm"],
  graphOptimizationLevel: "all",
});
const results = [];
for (const { inputs, output } of JSON.parse(await readFile(requestsFile, "utf8"))) {
  const feeds = {};
  for (const [name, { file, shape }] of Object.entries(inputs)) {
    const bytes = await readFile(file);
    const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    feeds[name] = new ort.Tensor("float32", Float32Array.from(numbers), shape);
  }
  const start = performance.now();
  const { y } = await session.run(feeds);
  results.push({ shape: y.dims, milliseconds: performance.now() - start });
  await writeFile(output, new Uint8Array(y.data.buffer, y.data.byteOffset, y.data.byteLength));
}
const version = ort.env.versions.web;
console.log(JSON.stringify({ version, inputs: session.inputNames, results }));

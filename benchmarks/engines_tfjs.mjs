// Runs a converted graph model on the tensors beside it; engines.py puts everything in one folder.
import fs from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import "@tensorflow/tfjs-backend-cpu";

const shapes = JSON.parse(fs.readFileSync("shapes.json"));
const json = JSON.parse(fs.readFileSync("web/model.json"));
const bytes = json.weightsManifest.flatMap((group) => group.paths).map((path) => fs.readFileSync(`web/${path}`));
const joined = new Uint8Array(Buffer.concat(bytes));
const model = await loadGraphModel({
  load: async () => ({
    modelTopology: json.modelTopology,
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    weightData: joined.buffer,
    signature: json.signature,
  }),
});
const inputs = {};
for (const [name, shape] of Object.entries(shapes)) {
  const file = fs.readFileSync(`${name}.bin`);
  const values = new Float32Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
  inputs[name] = tf.tensor(values, shape);
}
const y = await model.predict(inputs).data();
fs.writeFileSync("y.bin", new Uint8Array(y.buffer, y.byteOffset, y.byteLength));

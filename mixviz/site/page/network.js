// The recordings' own networks, run by onnxruntime-web: pictures in, embeddings of unit length out.

import { unpack } from "./files.js";
import { CHANNELS, SIDE } from "./images.js";

const AT_ONCE = 8; // pictures in one batch, between which the page answers its reader

/** Networks by name, each a function from pictures to a list of {space: embedding}, one for each picture. */
export async function startNetworks() {
  const { ort } = globalThis;
  const [runtime, networks] = await Promise.all([unpack("runtime"), unpack("networks")]);
  const { "ort.wasm": wasm, "glue.mjs": glue } = runtime.arrays;
  const address = URL.createObjectURL(new Blob([glue.values], { type: "text/javascript" }));
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm.values, wasmPaths: { mjs: address } });
  const started = {};
  for (const [name, { values }] of Object.entries(networks.arrays)) {
    started[name] = embedder(await ort.InferenceSession.create(values, { executionProviders: ["wasm"] }));
  }
  URL.revokeObjectURL(address);
  return started;
}

function embedder(session) {
  return async (pictures) => {
    const embedded = [];
    for (let start = 0; start < pictures.length; start += AT_ONCE) {
      if (start) await new Promise((resolve) => setTimeout(resolve));
      embedded.push(...(await embed(session, pictures.slice(start, start + AT_ONCE))));
    }
    return embedded;
  };
}

async function embed(session, pictures) {
  const size = CHANNELS * SIDE * SIDE;
  const numbers = new Float32Array(pictures.length * size);
  pictures.forEach((picture, i) => numbers.set(picture, i * size));
  const { Tensor } = globalThis.ort;
  const found = await session.run({ inputs: new Tensor("float32", numbers, [pictures.length, CHANNELS, SIDE, SIDE]) });
  return pictures.map((_, i) => {
    const rows = Object.entries(found).map(([space, { data, dims: [, width] }]) => [
      space,
      data.subarray(i * width, (i + 1) * width),
    ]);
    return Object.fromEntries(rows);
  });
}

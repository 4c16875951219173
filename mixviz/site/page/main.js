// Unpacks the bank, draws what needs no network, starts the networks, and hands each part of the page what it shows.

import { blendLab } from "./blend.js";
import { filmLab } from "./film.js";
import { headsLab } from "./heads.js";
import { unpack } from "./files.js";
import { fromBytes } from "./images.js";
import { startNetworks } from "./network.js";
import { showValues } from "./page.js";
import { Playground, contrast } from "./playground.js";
import { sphereLab } from "./sphere.js";

const part = (name) => document.getElementById(name);
const SIZE = 32 * 32 * 3;

function bankOf({ about, arrays }) {
  const pictures = about.labels.map((_, i) => fromBytes(arrays.pixels.values.subarray(i * SIZE, (i + 1) * SIZE)));
  return { pictures, names: about.labels.map((label) => `glyph ${about.classes[label]}`), embeddings: arrays };
}

function nameRuns(runs) {
  for (const place of document.querySelectorAll("[data-run]")) {
    const { name, method, data, epochs, seed, temperature } = runs[place.dataset.run];
    place.textContent = `Run ${name}: ${method} on ${data}, ${epochs} epochs, seed ${seed}, τ ${temperature}.`;
  }
}

const loaded = new Promise((resolve) => addEventListener("DOMContentLoaded", resolve)); // the scripts after this one

async function start() {
  showValues(document);
  const data = await unpack("data");
  const [bank, { about, arrays }] = [bankOf(data), data];
  nameRuns(about.runs);
  part("version").textContent = about.runtime;
  filmLab(part("film"), { bank, film: { points: arrays["film/points"], embeddings: arrays["film/embeddings"] }, about });
  sphereLab(part("sphere"));
  document.body.dataset.state = "drawn";
  performance.mark("drawn");
  await loaded;
  const networks = await startNetworks();
  blendLab(part("blend"), { bank, offered: about.offered, embed: networks.plain });
  headsLab(part("heads"), { bank, offered: about.offered, embed: networks.looc, spaces: ["backbone", ...about.runs.looc.spaces] });
  document.body.dataset.state = "ready";
  Object.assign(globalThis.mixviz, { networks, Playground, contrast }); // for the browser's console
}

start().catch((error) => {
  document.body.dataset.state = "failed";
  part("problem").textContent = `The network could not be started in this browser: ${error.message}`;
  throw error;
});

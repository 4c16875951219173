// One image, turned and recoloured, in every space of a LooC network: how far it moves there, and what lies near.

import { paint, recolour, turn } from "./images.js";
import { chooser } from "./choose.js";
import { cosine, largest, latest, rested, spaced } from "./maths.js";
import { axes, dot, line } from "./plot.js";
import { numberOf } from "./page.js";
import { row } from "./files.js";

const NEAREST = 6;
const REST = 150; // ms without a move after which the curves are computed
const HIGHEST = 2; // of the axis of distances
const SWEEPS = [
  { name: "turn", stops: spaced(0, 360, 25), ticks: [0, 90, 180, 270, 360], label: "turned by, degrees" },
  { name: "hue", stops: spaced(-180, 180, 25), ticks: [-180, -90, 0, 90, 180], label: "hue moved by, degrees" },
];

/** How far a changed image has moved: 0 not at all, 1 as far as another image; others: their mean cosine to it. */
const distance = (similarity, others) => (1 - similarity) / (1 - others);

export function headsLab(root, { bank, offered, embed, spaces }) {
  const keys = Object.fromEntries(
    spaces.map((space) => [space, bank.pictures.map((_, i) => row(bank.embeddings[`looc/${space}`], i))]),
  );
  const slider = Object.fromEntries(SWEEPS.map(({ name }) => [name, root.querySelector(`[name="${name}"]`)]));
  const charts = root.querySelectorAll("svg");
  let [start, now, curves] = [null, null, null];

  const change = latest(draw);
  const settle = rested(latest(sweep), REST);
  const changed = () => {
    change();
    settle();
  };
  const image = chooser(root.querySelector("#whole"), { bank, offered, chosen: offered[5], changed });

  const seen = ({ turn: degrees, hue }) => turn(recolour(image.picture, hue / 360), degrees);
  const setting = () => Object.fromEntries(SWEEPS.map(({ name }) => [name, numberOf(slider[name])]));

  /** The unchanged image in every space, and its mean cosine to the bank's other images there. */
  async function startOf() {
    if (start?.picture === image.picture) return start;
    const [embedded] = await embed([image.picture]);
    const others = {};
    for (const space of spaces) {
      const cosines = keys[space].filter((_, i) => i !== image.row).map((key) => cosine(embedded[space], key));
      others[space] = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    }
    start = { picture: image.picture, embedded, others };
    curves = null;
    return start;
  }

  const moved = ({ embedded, others }, changedOne) =>
    Object.fromEntries(
      spaces.map((space) => {
        const similarity = cosine(embedded[space], changedOne[space]);
        return [space, { similarity, distance: distance(similarity, others[space]) }];
      }),
    );

  async function draw() {
    const from = await startOf();
    const picture = seen(setting());
    const [embedded] = await embed([picture]);
    now = moved(from, embedded);
    root.found = now; // for the browser's console
    say();
    paint(root.querySelector(".before canvas"), image.picture);
    paint(root.querySelector(".after canvas"), picture);
    for (const space of spaces) {
      const line = root.querySelector(`tr[data-space="${space}"]`);
      line.querySelector(".cosine").textContent = now[space].similarity.toFixed(2);
      line.querySelector(".distance").textContent = now[space].distance.toFixed(2);
      const cosines = keys[space].map((key, i) => (i === image.row ? -2 : cosine(embedded[space], key)));
      const shown = line.querySelectorAll("canvas");
      const near = largest(cosines, NEAREST);
      near.forEach((i, place) => paint(shown[place], bank.pictures[i]));
      line.querySelector(".near").setAttribute("aria-label", near.map((i) => bank.names[i]).join(", "));
    }
    drawCurves();
  }

  function say() {
    const named = (space) => `${space === "backbone" ? "the backbone" : `head ${space}`} (${now[space].distance.toFixed(2)})`;
    const order = largest(spaces.map((space) => now[space].distance), spaces.length).map((i) => spaces[i]);
    const { turn: degrees, hue } = setting();
    root.querySelector(".says").textContent =
      `Turned by ${degrees}° and its hue moved by ${hue}°, the image moves most in ${named(order[0])}, ` +
      `least in ${named(order.at(-1))}.`;
  }

  async function sweep() {
    const from = await startOf();
    const [held, found] = [setting(), []];
    for (const { name, stops } of SWEEPS) {
      const embedded = await embed(stops.map((stop) => seen({ ...held, [name]: stop })));
      found.push(embedded.map((each) => moved(from, each)));
    }
    curves = found;
    drawCurves();
  }

  function drawCurves() {
    SWEEPS.forEach(({ name, stops, ticks, label }, which) => {
      const chart = axes(charts[which], {
        x: { from: stops[0], to: stops.at(-1), ticks, label },
        y: { from: 0, to: HIGHEST, ticks: [0, 0.5, 1, 1.5, 2], label: "distance moved" },
        height: 230,
        about: `Curves of the distance that the image moves in each space, ${label}`,
      });
      for (const space of curves ? spaces : []) {
        line(chart, stops.map((stop, i) => [stop, Math.min(HIGHEST, curves[which][i][space].distance)]), `path ${space}`);
      }
      for (const space of now ? spaces : []) {
        dot(chart, numberOf(slider[name]), Math.min(HIGHEST, now[space].distance), `dot ${space}`);
      }
    });
  }

  for (const control of Object.values(slider)) control.addEventListener("input", changed);
  new ResizeObserver(changed).observe(charts[0]);
  changed();
}

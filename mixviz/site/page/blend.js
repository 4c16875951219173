// Two images, their blend, turned and recoloured, among the keys of a bank: the target's row and the network's.

import { address, blend, paint, recolour, turn } from "./images.js";
import { chooser } from "./choose.js";
import { cosine, crossEntropy, largest, latest, rested, softmax, spaced } from "./maths.js";
import { axes, line, rule } from "./plot.js";
import { numberOf, percent } from "./page.js";
import { row } from "./files.js";

const SHARES = spaced(0, 1, 21); // of the first image, at which the curve is computed
const REST = 150; // ms without a move after which the curve is
const WIDE = 560; // px from which there is room for more columns
const FEW = { wide: 8, narrow: 3 }; // negatives with a column of their own

/** The cosines of a query and its candidates, the keys of both images first; targets and probabilities of all. */
function answer(query, { first, second, keys, share, temperature }) {
  const rows = keys.map((_, i) => i).filter((i) => i !== first.row && i !== second.row);
  const same = first.row === second.row && first.row >= 0;
  const own = same ? [first] : [first, second];
  const candidates = [...own.map(({ key }) => key), ...rows.map((i) => keys[i])];
  const cosines = candidates.map((key) => cosine(query, key));
  const targets = candidates.map((_, i) => (i < own.length ? (same ? 1 : [share, 1 - share][i]) : 0));
  return { own: own.length, rows, cosines, targets, probabilities: softmax(cosines, temperature) };
}

export function blendLab(root, { bank, offered, embed }) {
  const find = (name) => root.querySelector(`[name="${name}"]`);
  const keys = bank.pictures.map((_, i) => row(bank.embeddings["plain/all"], i));
  const [rowChart, pathChart] = root.querySelectorAll("svg");
  let path = null;

  const change = latest(draw);
  const settle = rested(latest(drawPath), REST);
  const changed = () => {
    change();
    settle();
  };
  const [first, second] = ["first", "second"].map((name, i) =>
    chooser(root.querySelector(`#${name}`), { bank, offered, chosen: offered[i], changed }),
  );

  const seen = (share) => {
    const mixed = blend(first.picture, second.picture, share);
    return turn(recolour(mixed, numberOf(find("hue")) / 360), numberOf(find("turn")));
  };
  const asked = async (share) => ({
    first: { row: first.row, key: await keyOf(first) },
    second: { row: second.row, key: await keyOf(second) },
    keys,
    share,
    temperature: numberOf(find("temperature")),
  });

  async function keyOf(image) {
    if (image.row >= 0) return keys[image.row];
    image.keys ??= new Map();
    if (!image.keys.has(image.picture)) image.keys.set(image.picture, (await embed([image.picture]))[0].all);
    return image.keys.get(image.picture);
  }

  async function draw() {
    const share = numberOf(find("share"));
    const query = seen(share);
    paint(root.querySelector(".first canvas"), first.picture);
    paint(root.querySelector(".second canvas"), second.picture);
    paint(root.querySelector(".query canvas"), query);
    const [{ all }] = await embed([query]);
    const found = answer(all, await asked(share));
    root.found = found; // for the browser's console
    say(found);
    drawRow(found);
    if (path) drawCurves();
  }

  function say({ own, targets, probabilities, rows }) {
    const rest = 1 - probabilities.slice(0, own).reduce((sum, value) => sum + value, 0);
    const loss = crossEntropy(targets, probabilities);
    const least = crossEntropy(targets, targets);
    const text =
      own === 1
        ? `Both images are the same: the target is all on ${first.name}; the network gives it ${percent(probabilities[0])}`
        : `The target asks for ${percent(targets[0])} of ${first.name} and ${percent(targets[1])} of ${second.name}; ` +
          `the network gives ${percent(probabilities[0])} and ${percent(probabilities[1])}`;
    root.querySelector(".says").textContent =
      `${text}, and ${percent(rest)} to the ${rows.length} other keys. ` +
      `The loss is ${loss.toFixed(2)} nats, ${least.toFixed(2)} of them the target's own entropy.`;
  }

  function drawRow({ own, rows, cosines, targets, probabilities }) {
    const others = probabilities.slice(own);
    const count = rowChart.clientWidth < WIDE ? FEW.narrow : FEW.wide;
    const hardest = largest(others, count);
    const rest = others.reduce((sum, value) => sum + value, 0) - hardest.reduce((sum, i) => sum + others[i], 0);
    const columns = [first, second].slice(0, own).map(({ picture, name }, i) => {
      return { picture, name, target: targets[i], probability: probabilities[i], cosine: cosines[i], kind: "ab"[i] };
    });
    for (const i of hardest) {
      const [picture, name] = [bank.pictures[rows[i]], bank.names[rows[i]]];
      columns.push({ picture, name, target: 0, probability: others[i], cosine: cosines[own + i], kind: "other" });
    }
    columns.push({ target: 0, probability: rest, kind: "other", name: `${others.length - count} others` });
    const chart = axes(rowChart, {
      x: { from: -0.5, to: columns.length - 0.5 },
      y: { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], write: percent, label: "share of the row" },
      height: 290,
      bottom: 74,
      about: `Bars: ${columns.map((c) => `${c.name} ${percent(c.probability)}, target ${percent(c.target)}`).join("; ")}`,
    });
    columns.forEach((column, i) => drawColumn(chart, column, i, columns.length));
  }

  function drawColumn({ add, x, y, left, right, floor }, column, i, count) {
    const wide = Math.min(22, (0.38 * (right - left)) / count);
    const bar = (share, from, kind) =>
      add("rect", { x: x(i) + from, y: y(share), width: wide, height: floor - y(share), class: kind });
    bar(column.target, -wide - 1, `target ${column.kind}`);
    bar(column.probability, 1, `fill ${column.kind}`);
    if (!column.picture) {
      add("text", { x: x(i), y: floor + 20, class: "tick middle" }, column.name.split(" ")[0]);
      add("text", { x: x(i), y: floor + 34, class: "tick middle" }, "others");
      return;
    }
    const side = Math.min(32, 2 * wide + 10);
    add("image", { href: address(column.picture), x: x(i) - side / 2, y: floor + 6, width: side, height: side });
    add("text", { x: x(i), y: floor + 52, class: "tick middle" }, column.cosine.toFixed(2));
  }

  async function drawPath() {
    const setting = await asked(0);
    const embedded = await embed(SHARES.map(seen));
    path = embedded.map(({ all }, i) => answer(all, { ...setting, share: SHARES[i] }));
    drawCurves();
  }

  function drawCurves() {
    const chart = axes(pathChart, {
      x: { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], label: "share λ of the first image" },
      y: { from: 0, to: 1, ticks: [0, 0.5, 1], write: percent, label: "share of the row" },
      height: 220,
      about: "Curves of the network's shares of both images and of all other keys over λ",
    });
    const own = path[0].own;
    const curve = (value) => path.map((found, i) => [SHARES[i], value(found)]);
    line(chart, curve(({ targets }) => targets[0]), "path a dashed");
    if (own > 1) line(chart, curve(({ targets }) => targets[1]), "path b dashed");
    line(chart, curve(({ probabilities: p }) => 1 - p[0] - (own > 1 ? p[1] : 0)), "path other");
    line(chart, curve(({ probabilities: p }) => p[0]), "path a");
    if (own > 1) line(chart, curve(({ probabilities: p }) => p[1]), "path b");
    rule(chart, numberOf(find("share")));
  }

  for (const control of root.querySelectorAll("input[type=range]")) control.addEventListener("input", changed);
  new ResizeObserver(changed).observe(rowChart);
  changed();
}

// The bank's images where one network sees them, epoch by epoch: a map, the nearest of one image, and three curves.

import { address, paint } from "./images.js";
import { cosine, largest } from "./maths.js";
import { axes, line, rule } from "./plot.js";
import { move, numberOf } from "./page.js";

const [NEAREST, TILE, RIM] = [6, 22, 16]; // neighbours; px of an image on the map, and of its edge
const TICK = 650; // ms from epoch to epoch while it plays

export function filmLab(root, { bank, film, about }) {
  const [epoch, image] = ["epoch", "image"].map((name) => root.querySelector(`[name="${name}"]`));
  const play = root.querySelector("button");
  const map = root.querySelector("canvas.map");
  const chart = root.querySelector("svg");
  const images = bank.pictures.map((picture) => paint(document.createElement("canvas"), picture));
  const [frames, count, dims] = film.embeddings.shape;
  let timer = 0;
  epoch.max = frames - 1;
  image.max = count - 1;

  const frame = () => numberOf(epoch);
  const vector = (i) => film.embeddings.values.subarray((frame() * count + i) * dims, (frame() * count + i + 1) * dims);
  const point = (i) => film.points.values.subarray(2 * (frame() * count + i), 2 * (frame() * count + i) + 2);
  const place = (i, width, height) => {
    const [x, y] = point(i);
    return [width / 2 + x * (width / 2 - RIM), height / 2 - y * (height / 2 - RIM)];
  };
  const nearest = (picked) => {
    const own = vector(picked);
    return largest(bank.pictures.map((_, i) => (i === picked ? -2 : cosine(own, vector(i)))), NEAREST);
  };

  function draw() {
    const near = nearest(numberOf(image));
    drawMap(numberOf(image), near);
    drawNearest(numberOf(image), near);
    drawCurves();
    const said = `Epoch ${about.epochs[frame()]} of ${about.epochs.at(-1)}: of an image's ten nearest `;
    const shares = Object.entries(about.shares).map(([name, { values }]) => `${Math.round(100 * values[frame()])} % have its ${name}`);
    root.querySelector(".says").textContent = `${said}others, ${shares.join(", ")}.`;
  }

  function drawMap(picked, near) {
    const [width, height, dots] = [map.clientWidth, map.clientHeight, window.devicePixelRatio || 1];
    [map.width, map.height] = [Math.round(width * dots), Math.round(height * dots)];
    const context = map.getContext("2d");
    const ink = getComputedStyle(map).color;
    context.scale(dots, dots);
    const tile = width < 500 ? 0.7 * TILE : TILE;
    images.forEach((shown, i) => {
      const [x, y] = place(i, width, height);
      context.drawImage(shown, x - tile / 2, y - tile / 2, tile, tile);
    });
    const from = place(picked, width, height);
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    for (const i of near) {
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...place(i, width, height));
      context.stroke();
    }
    for (const i of [...near, picked]) {
      const [[x, y], side] = [place(i, width, height), i === picked ? 1.6 * tile : tile];
      context.drawImage(images[i], x - side / 2, y - side / 2, side, side);
      context.lineWidth = i === picked ? 3 : 1.5;
      context.strokeRect(x - side / 2, y - side / 2, side, side);
    }
    map.setAttribute("aria-label", `Map of ${count} images at epoch ${about.epochs[frame()]}`);
  }

  function drawNearest(picked, near) {
    const shown = [picked, ...near].map((i, place) =>
      Object.assign(document.createElement("img"), {
        src: address(bank.pictures[i]),
        alt: place ? bank.names[i] : `picked: ${bank.names[i]}`,
        className: place ? "" : "picked",
      }),
    );
    root.querySelector(".nearest").replaceChildren(...shown);
  }

  function drawCurves() {
    const { epochs, shares } = about;
    const drawn = axes(chart, {
      x: { from: 0, to: epochs.at(-1), ticks: epochs.filter((each) => each % 2 === 0), label: "epoch" },
      y: { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], label: "share of the ten nearest" },
      height: 230,
      about: "Curves over epochs of the share of the ten nearest images that agree in class, hue and orientation",
    });
    for (const [name, { values, chance }] of Object.entries(shares)) {
      line(drawn, [[0, chance], [epochs.at(-1), chance]], `path ${name} dotted`);
      line(drawn, epochs.map((each, i) => [each, values[i]]), `path ${name}`);
    }
    rule(drawn, epochs[frame()]);
  }

  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const step = () => (frame() < frames - 1 ? move(epoch, frame() + 1) : stop());
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (frame() === frames - 1) move(epoch, 0);
    timer = setInterval(step, TICK);
    play.textContent = "Pause";
  });
  map.addEventListener("click", (event) => {
    const box = map.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const away = bank.pictures.map((_, i) => {
      const [px, py] = place(i, box.width, box.height);
      return -Math.hypot(px - x, py - y);
    });
    move(image, largest(away, 1)[0]);
  });
  for (const control of [epoch, image]) control.addEventListener("input", draw);
  new ResizeObserver(draw).observe(map);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

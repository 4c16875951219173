// The sphere on which the playground's images lie, trained while one looks, and two curves.

import { Playground } from "./playground.js";
import { axes, line } from "./plot.js";
import { move, numberOf, percent } from "./page.js";

const PACE = 2; // steps a frame
const LONGEST = 400; // steps after which it stops
const RATE = 0.005; // of Adam
const KEPT = 300; // points of the curves
const EVEN = Math.log((1 - Math.exp(-8)) / 8); // uniformity of points spread evenly over the sphere
const RING = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);
const CIRCLES = [
  RING.map((a) => [Math.cos(a), Math.sin(a), 0]),
  ...[0, Math.PI / 3, (2 * Math.PI) / 3].map((b) =>
    RING.map((a) => [Math.cos(a) * Math.cos(b), Math.cos(a) * Math.sin(b), Math.sin(a)]),
  ),
];

export function sphereLab(root) {
  const find = (name) => root.querySelector(`[name="${name}"]`);
  const [play, again] = root.querySelectorAll("button");
  const canvas = root.querySelector("canvas.sphere");
  let [model, running, held] = [null, 0, null];

  const settings = () => ({
    temperature: numberOf(find("temperature")),
    style: numberOf(find("style")),
    rate: RATE,
    mix: find("task").value === "mix",
    push: find("task").value !== "pull",
  });

  function reset() {
    stop();
    model = new Playground(numberOf(find("seed")));
    draw();
  }

  function stop() {
    cancelAnimationFrame(running);
    running = 0;
    play.textContent = "Train";
  }

  function tick() {
    model.train(settings(), PACE);
    draw();
    if (model.steps >= LONGEST) return stop();
    running = requestAnimationFrame(tick);
  }

  function draw() {
    drawSphere();
    drawCurves();
    const { step, alignment, uniformity, purity } = model.history.at(-1);
    root.querySelector(".says").textContent =
      `Step ${step}: alignment within classes ${alignment.toFixed(2)}, uniformity ${uniformity.toFixed(2)}; ` +
      `${percent(purity)} of an image's five nearest have its class. ` +
      (uniformity > -0.1 ? "All points are nearly the same: a collapse." : "");
  }

  /** From unit vectors to right, up and towards the eye. */
  function turned() {
    const [around, up] = ["around", "up"].map((name) => (numberOf(find(name)) * Math.PI) / 180);
    const [ca, sa, cb, sb] = [Math.cos(around), Math.sin(around), Math.cos(up), Math.sin(up)];
    return ([x, y, z]) => {
      const deep = x * sa + y * ca;
      return [x * ca - y * sa, sb * deep + cb * z, sb * z - cb * deep];
    };
  }

  function drawSphere() {
    const [side, dots] = [canvas.clientWidth, window.devicePixelRatio || 1];
    if (side === 0) return; // it is not shown
    [canvas.width, canvas.height] = [Math.round(side * dots), Math.round(side * dots)];
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    context.scale(dots, dots);
    context.translate(side / 2, side / 2);
    const radius = side / 2 - 12;
    const turn = turned();
    context.strokeStyle = style.getPropertyValue("--line");
    for (const circle of CIRCLES) stroke(context, circle.map(turn), radius);
    context.beginPath();
    context.arc(0, 0, radius, 0, 2 * Math.PI);
    context.stroke();
    const points = model.points().map((point, i) => ({ place: turn(point), label: model.labels[i] }));
    points.sort((a, b) => a.place[2] - b.place[2]);
    for (const { place: [x, y, near], label } of points) {
      context.globalAlpha = near < 0 ? 0.35 : 0.95;
      context.fillStyle = style.getPropertyValue(`--class${label}`);
      mark(context, label, radius * x, -radius * y, 4.5 + 1.5 * near);
    }
  }

  function drawCurves() {
    const thin = Math.ceil(model.history.length / KEPT);
    const shown = model.history.filter((_, i) => i % thin === 0);
    const chart = axes(root.querySelector("svg"), {
      x: { from: 0, to: LONGEST, ticks: [0, 100, 200, 300, 400], label: "step" },
      y: { from: -2.5, to: 1, ticks: [-2, -1, 0, 1], label: "lower is better" },
      height: 220,
      about: "Curves of alignment and uniformity over the steps of training",
    });
    line(chart, [[0, EVEN], [LONGEST, EVEN]], "path b dotted");
    line(chart, shown.map(({ step, alignment }) => [step, alignment]), "path a");
    line(chart, shown.map(({ step, uniformity }) => [step, uniformity]), "path b");
  }

  play.addEventListener("click", () => {
    if (running) return stop();
    if (model.steps >= LONGEST) reset();
    play.textContent = "Pause";
    running = requestAnimationFrame(tick);
  });
  again.addEventListener("click", reset);
  find("seed").addEventListener("input", reset);
  for (const name of ["around", "up"]) find(name).addEventListener("input", draw);
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, numberOf(find("around")), event.clientY, numberOf(find("up"))];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, around, y, up] = held;
    move(find("around"), Math.round(around - (event.clientX - x) / 2));
    move(find("up"), Math.round(up + (event.clientY - y) / 2));
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (held = null));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  reset();
  new ResizeObserver(draw).observe(canvas);
}

function stroke(context, places, radius) {
  context.beginPath();
  places.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](radius * x, -radius * y));
  context.stroke();
}

/** A shape for each class, beside its colour. */
function mark(context, label, x, y, r) {
  context.beginPath();
  if (label % 3 === 0) context.arc(x, y, r, 0, 2 * Math.PI);
  if (label % 3 === 1) context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  if (label % 3 === 2) {
    context.moveTo(x, y - 1.25 * r);
    context.lineTo(x + 1.15 * r, y + 0.85 * r);
    context.lineTo(x - 1.15 * r, y + 0.85 * r);
  }
  context.fill();
}

// The circle or the sphere with its points, next to three curves; the sphere is rotated by pointer and arrow keys.

import { FONT, floats, integers, mount } from "./canvas.js";

const [START, STEP] = [{ around: -35, up: 20 }, 6]; // degrees
const RADIUS = { 2: 128, 3: 186 }; // px; stacks of the circle need room
const CENTRE = [214, 234];
const CURVES = { left: 480, width: 290, top: 58, height: 88, gap: 48 };
const FAINT = "#8a8f98"; // on white and on near-black
const RING = Array.from({ length: 97 }, (_, i) => [Math.cos((i * Math.PI) / 48), Math.sin((i * Math.PI) / 48)]);
const CIRCLES = [
  RING.map(([c, s]) => [c, s, 0]),
  ...[0, Math.PI / 3, (2 * Math.PI) / 3].map((a) => RING.map(([c, s]) => [c * Math.cos(a), c * Math.sin(a), s])),
];
// half a side of 4: outlines of the classes' shapes
const SHAPES = [
  (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
  (c, r) => polygon(c, [[0, -1.2 * r], [1.1 * r, 0.8 * r], [-1.1 * r, 0.8 * r]]),
  (c, r) => c.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r),
  (c, r) => polygon(c, [[0, -1.3 * r], [1.3 * r, 0], [0, 1.3 * r], [-1.3 * r, 0]]),
  (c, r) => polygon(c, [[0, 1.2 * r], [1.1 * r, -0.8 * r], [-1.1 * r, -0.8 * r]]),
  (c, r) => (c.rect(-0.45 * r, -1.25 * r, 0.9 * r, 2.5 * r), c.rect(-1.25 * r, -0.45 * r, 2.5 * r, 0.9 * r)),
];

function polygon(context, corners) {
  corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}

/** A function from unit vectors to right, up and towards the eye. */
function turning({ around, up }) {
  const [ca, sa] = [Math.cos((around * Math.PI) / 180), Math.sin((around * Math.PI) / 180)];
  const [cb, sb] = [Math.cos((up * Math.PI) / 180), Math.sin((up * Math.PI) / 180)];
  return ([x, y, z]) => {
    const deep = x * sa + y * ca;
    return [x * ca - y * sa, sb * deep + cb * z, sb * z - cb * deep];
  };
}

function render({ model, el }) {
  let eye = { ...START };
  let held = null; // where the pointer grabbed the sphere

  function draw(context, width, height, colours) {
    const dim = model.get("dim");
    const turn = dim === 3 ? turning(eye) : (place) => place;
    context.save();
    context.translate(...CENTRE);
    trace(context, RING.map(([x, y]) => [x, y, 0]), RADIUS[dim], FAINT, 1.3);
    if (dim === 3) for (const circle of CIRCLES) drawCircle(context, circle.map(turn), RADIUS[3]);
    drawPoints(context, turn, RADIUS[dim]);
    context.restore();
    context.fillStyle = colours.ink;
    context.fillText(model.get("title"), 14, 20);
    context.globalAlpha = 0.7;
    const hint = dim === 3 ? "; drag or press the arrow keys to turn" : "; stacked outwards where they crowd";
    context.fillText(`colour and shape: class${hint}`, 14, height - 12);
    context.globalAlpha = 1;
    drawCurves(context, colours);
    const frame = model.get("frame"); // says that somebody looks, and how fast
    if (frame !== model.get("drawn")) {
      model.set("drawn", frame);
      model.save_changes();
    }
  }

  function drawPoints(context, turn, radius) {
    const [places, labels, inks] = [floats(model.get("points")), integers(model.get("labels")), model.get("inks")];
    const points = Array.from(labels, (label, i) => ({ label, place: turn(places.subarray(3 * i, 3 * i + 3)) }));
    points.sort((a, b) => a.place[2] - b.place[2]);
    for (const { label, place: [x, y, near] } of points) {
      context.save();
      context.translate(radius * x, -radius * y);
      context.globalAlpha = near < 0 ? 0.3 : 0.9;
      context.fillStyle = inks[label % inks.length];
      context.beginPath();
      SHAPES[label % SHAPES.length](context, 3.6 + near);
      context.fill();
      context.restore();
    }
  }

  function drawCurves(context, colours) {
    const curves = model.get("curves");
    const values = floats(model.get("history")); // a row of steps, then one a curve
    const n = values.length / (curves.length + 1);
    const steps = values.subarray(0, n);
    curves.forEach((curve, i) => {
      const box = { ...CURVES, top: CURVES.top + i * (CURVES.height + CURVES.gap) };
      drawCurve(context, box, steps, values.subarray((i + 1) * n, (i + 2) * n), curve, colours);
    });
    context.fillStyle = colours.ink;
    context.textAlign = "right";
    const last = CURVES.top + curves.length * (CURVES.height + CURVES.gap) - CURVES.gap;
    context.fillText(`step ${steps[n - 1]}`, CURVES.left + CURVES.width, last + 20);
    context.textAlign = "start";
  }

  /** Move the eye, and stay between the poles. */
  function look(around, up) {
    eye = { around: eye.around + around, up: Math.max(-90, Math.min(90, eye.up + up)) };
    redraw();
  }

  function point(x, y, event) {
    if (model.get("dim") !== 3 || !(event.buttons & 1)) return (held = null);
    if (event.type === "pointerdown") canvas.setPointerCapture(event.pointerId);
    else if (held) look(0.4 * (held[0] - x), 0.4 * (y - held[1]));
    held = [x, y];
  }

  function press(event) {
    if (model.get("dim") !== 3) return false;
    const moves = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    if (event.key === "Home") eye = { ...START };
    else if (!(event.key in moves)) return false;
    look(...(moves[event.key] ?? [0, 0]));
    return true;
  }

  const { canvas, redraw, remove } = mount({ model, el }, draw, { point, press });
  return remove;
}

function trace(context, places, radius, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  places.forEach(([x, y], i) => (i ? context.lineTo(radius * x, -radius * y) : context.moveTo(radius * x, -radius * y)));
  context.stroke();
}

/** A circle on the sphere, pale behind the sphere. */
function drawCircle(context, places, radius) {
  for (let i = 1; i < places.length; i++) {
    context.globalAlpha = places[i][2] < 0 ? 0.25 : 0.7;
    trace(context, [places[i - 1], places[i]], radius, FAINT, 0.8);
  }
  context.globalAlpha = 1;
}

/** A measure over the steps: its name and last value, its range, and the best that there is as a dashed line. */
function drawCurve(context, { left, top, width, height }, steps, values, { name, best, low, high }, colours) {
  const known = Array.from(values).filter(Number.isFinite);
  const ceiling = Math.max(high ?? -Infinity, ...known);
  let bottom = Math.min(low ?? Infinity, ...known);
  if (best !== null) bottom = Math.min(bottom, best - 0.2 * (ceiling - best)); // its name is below
  const across = (step) => left + (width * step) / Math.max(steps[steps.length - 1], 1);
  const up = (value) => top + height * (1 - (value - bottom) / Math.max(ceiling - bottom, 1e-6));
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.strokeRect(left, top, width, height);
  context.fillStyle = colours.ink;
  context.fillText(known.length ? `${name}: ${known.at(-1).toFixed(2)}` : name, left, top - 8);
  if (!known.length) return;
  context.font = `11px ${FONT}`;
  context.textAlign = "right";
  context.fillText(ceiling.toFixed(1), left - 6, top + 10);
  context.fillText(bottom.toFixed(1), left - 6, top + height);
  context.textAlign = "start";
  context.font = `13px ${FONT}`;
  if (best !== null) {
    context.setLineDash([5, 4]);
    context.beginPath();
    context.moveTo(left, up(best));
    context.lineTo(left + width, up(best));
    context.strokeStyle = FAINT;
    context.stroke();
    context.setLineDash([]);
    context.font = `11px ${FONT}`;
    context.textAlign = "right";
    context.fillText("spread evenly", left + width - 4, up(best) + 11);
    context.textAlign = "start";
    context.font = `13px ${FONT}`;
  }
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.8;
  context.lineJoin = "round";
  context.beginPath();
  let begun = false;
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    if (begun) context.lineTo(across(steps[i]), up(value));
    else context.moveTo(across(steps[i]), up(value));
    begun = true;
  });
  context.stroke();
  context.fillStyle = colours.ink;
  context.beginPath();
  context.arc(across(steps[steps.length - 1]), up(known.at(-1)), 3, 0, 2 * Math.PI);
  context.fill();
}

export default { render };

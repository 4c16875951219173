// Charts in SVG: as wide as their place, with text of the page's size, coloured by the page's style.

const SVG = "http://www.w3.org/2000/svg";
const PAD = { left: 60, right: 12, top: 12, bottom: 40 };

/** An SVG element with attributes, and text if it has any. */
function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * Empty axes in a figure's <svg>, in place of what it showed.
 *
 * x, y: {from, to, label, ticks, write}, ticks as numbers, write(number) as text; without ticks no axis is drawn.
 * Gives add(name, attributes, text), which draws, x(value) and y(value) in px, width and height of the paper.
 */
export function axes(svg, { x, y, height, about, bottom = PAD.bottom }) {
  const width = svg.clientWidth || 320;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", about);
  const place = (value, { from, to }, start, end) => start + ((value - from) / (to - from)) * (end - start);
  const across = (value) => place(value, x, PAD.left, width - PAD.right);
  const up = (value) => place(value, y, height - bottom, PAD.top);
  const add = (name, attributes, text) => svg.appendChild(element(name, attributes, text));
  for (const value of y.ticks ?? []) {
    add("line", { x1: PAD.left, x2: width - PAD.right, y1: up(value), y2: up(value), class: "grid" });
    add("text", { x: PAD.left - 6, y: up(value) + 4, class: "tick end" }, (y.write ?? String)(value));
  }
  for (const value of x.ticks ?? []) {
    add("text", { x: across(value), y: height - bottom + 16, class: "tick middle" }, (x.write ?? String)(value));
  }
  const middle = (PAD.top + height - bottom) / 2;
  add("text", { x: -middle, y: 12, transform: "rotate(-90)", class: "label middle" }, y.label ?? "");
  add("text", { x: (PAD.left + width - PAD.right) / 2, y: height - 4, class: "label middle" }, x.label ?? "");
  return { add, x: across, y: up, width, height, left: PAD.left, right: width - PAD.right, floor: height - bottom };
}

/** A line through points [x, y] in the chart's numbers. */
export function line({ add, x, y }, points, kind) {
  add("polyline", { points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), class: kind });
}

/** A dot, or a vertical rule over the whole height. */
export function dot({ add, x, y }, a, b, kind) {
  add("circle", { cx: x(a), cy: y(b), r: 5, class: kind });
}

export function rule({ add, x, floor }, a) {
  add("line", { x1: x(a), x2: x(a), y1: PAD.top, y2: floor, class: "rule" });
}

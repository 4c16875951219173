// A question and a guess: statements to choose from, or numbers to place on an empty axis. What was measured is not in
// the page before the reader has committed; then it is drawn over the guess.

const WIDTH = 640;
const BARS = { left: 226, width: 320, top: 8, row: 42, foot: 44 };
const CURVE = { left: 60, width: 560, top: 12, height: 210, foot: 66 };
const RADIUS = 7;
const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }; // in steps

/** Add an element to another; of the same namespace, so that parts of a picture become parts of it. */
function add(parent, name, attributes = {}, text = "") {
  const part = document.createElementNS(name === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
  part.textContent = text;
  parent.append(part);
  return part;
}

function render({ model, el }) {
  const { text, options } = model.get("question");
  const form = add(el, "div", { class: "mixviz-guess", role: "group", "aria-label": text });
  form.dataset.lmSuppressShortcuts = "true"; // its keys are not the notebook's
  add(form, "p", {}, text);
  const asked = (options.length ? statements : numbers)(form, model, show);
  const button = add(form, "button", { type: "button", class: "mixviz-commit" });
  const said = add(form, "div", { class: "mixviz-said", "aria-live": "polite" });

  function show() {
    const committed = model.get("committed");
    const ready = asked.draw(committed);
    button.textContent = committed ? "This was your guess" : ready ? "Commit, and see" : asked.hint;
    button.disabled = committed || !ready;
    said.textContent = model.get("said");
  }
  button.addEventListener("click", () => {
    model.set("guess", asked.guess());
    model.set("committed", true);
    model.save_changes();
  });
  model.on("change", show);
  show();
  return () => model.off("change", show);
}

/** Statements to choose from. Gives a hint, the guess, and draw(), which says whether there is one. */
function statements(form, model, show) {
  const { options } = model.get("question");
  let chosen = -1;
  const buttons = options.map((option, place) => {
    const button = add(form, "button", { type: "button", class: "mixviz-option" }, option);
    button.addEventListener("click", () => {
      chosen = place;
      show();
    });
    return button;
  });
  function draw(committed) {
    if (committed) [chosen] = model.get("guess");
    const [measured] = model.get("measured");
    buttons.forEach((button, place) => {
      button.setAttribute("aria-pressed", String(place === chosen));
      button.classList.toggle("measured", place === measured);
      button.disabled = committed;
    });
    return chosen >= 0;
  }
  return { hint: "Choose one", guess: () => [chosen], draw };
}

/** Numbers to place: hidden native sliders take the keys and speak to screen readers, and a picture shows them. */
function numbers(form, model, show) {
  const question = model.get("question");
  const { names, low, high, step, unit, across } = question;
  const box = across ? CURVE : BARS;
  const height = box.top + (box.height ?? box.row * names.length) + box.foot;
  const plot = add(form, "div", { class: across ? "mixviz-plot curve" : "mixviz-plot" });
  const picture = add(plot, "svg", { viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true" });
  const placed = names.map(() => false);
  const column = box.width / names.length;
  const inputs = names.map((name, i) => {
    const label = across ? `${across} ${name}` : name || question.text;
    const input = add(plot, "input", { type: "range", min: low, max: high, step, value: (low + high) / 2 });
    input.setAttribute("aria-label", unit ? `${label}, ${unit}` : label);
    const area = across
      ? [box.left + i * column, box.top, column, box.height]
      : [box.left, box.top + i * box.row, box.width, box.row];
    ["left", "top", "width", "height"].forEach((side, which) => {
      input.style[side] = `${(100 * area[which]) / (which % 2 ? height : WIDTH)}%`;
    });
    input.addEventListener("input", () => moved(i));
    input.addEventListener("keydown", (event) => press(event, i));
    for (const event of ["focus", "blur"]) input.addEventListener(event, show);
    return input;
  });

  /** Keys as of any slider: JupyterLab keeps those of native ones. */
  function press(event, i) {
    const ends = { Home: low, End: high }[event.key];
    if (ends === undefined && !(event.key in KEYS)) return;
    inputs[i].value = ends ?? Number(inputs[i].value) + step * KEYS[event.key];
    moved(i);
    event.preventDefault();
    event.stopPropagation();
  }

  function moved(i) {
    placed[i] = true;
    if (across) between();
    show();
  }

  /** Points that were not placed lie on the line between those that were. */
  function between() {
    const known = names.map((_, i) => i).filter((i) => placed[i]);
    inputs.forEach((input, i) => {
      if (placed[i]) return;
      const before = known.filter((k) => k < i).at(-1) ?? known[0];
      const after = known.find((k) => k > i) ?? known.at(-1);
      const share = after === before ? 0 : (i - before) / (after - before);
      input.value = (1 - share) * Number(inputs[before].value) + share * Number(inputs[after].value);
    });
  }

  function point(event) {
    if (model.get("committed") || !(event.buttons & 1)) return;
    const area = plot.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top].map((side) => (WIDTH * side) / area.width);
    const which = Math.floor(across ? (x - box.left) / column : (y - box.top) / box.row);
    const share = across ? 1 - (y - box.top) / box.height : (x - box.left) / box.width;
    if (!inputs[which]) return;
    if (event.type === "pointerdown") plot.setPointerCapture(event.pointerId);
    inputs[which].value = low + share * (high - low);
    inputs[which].focus({ preventScroll: true });
    moved(which);
    event.preventDefault();
  }
  for (const kind of ["pointerdown", "pointermove"]) plot.addEventListener(kind, point);

  function draw(committed) {
    if (committed) model.get("guess").forEach((value, i) => ([inputs[i].value, placed[i]] = [value, true]));
    for (const input of inputs) input.disabled = committed;
    const focused = inputs.indexOf(document.activeElement);
    picture.replaceChildren();
    const values = inputs.map((input) => Number(input.value));
    const known = placed.filter(Boolean).length;
    const seen = { ...question, values, placed, known, focused, measured: model.get("measured"), unit };
    (across ? drawCurve : drawBars)(picture, seen, height);
    return across ? known > 1 || names.length === known : known === names.length;
  }
  const hint = across ? "Sketch the curve: drag, or click a few points" : "Place every bar: click, drag, or use the arrow keys";
  return { hint, guess: () => inputs.map((input) => Number(input.value)), draw };
}

/** A number as it is written beside its mark. */
const written = (value) => String(Number(Number(value).toPrecision(3)));
const diamond = (x, y, r) => `M${x},${y - r}L${x + r},${y}L${x},${y + r}L${x - r},${y}Z`;

function drawBars(picture, { names, low, high, unit, given, values, placed, focused, measured, ...more }, height) {
  const { left, width, top, row } = BARS;
  const across = (value) => left + (width * (Math.min(Math.max(value, low), high) - low)) / (high - low);
  names.forEach((name, i) => {
    const y = top + row * (i + 0.5);
    add(picture, "text", { x: left - 14, y: y + 5, "text-anchor": "end" }, name);
    add(picture, "line", { x1: left, x2: left + width, y1: y, y2: y, stroke: "var(--line)" });
    if (given.length) line(picture, [[across(given[i]), y - 12], [across(given[i]), y + 12]], "currentColor", 2.5);
    const x = across(values[i]);
    const strength = placed[i] ? 1 : 0.45;
    if (placed[i]) add(picture, "rect", { x: left, y: y - 6, width: x - left, height: 12, fill: "var(--guess)", opacity: 0.35 });
    if (focused === i) add(picture, "circle", { cx: x, cy: y, r: RADIUS + 5, fill: "none", stroke: "currentColor", "stroke-width": 2.5 });
    const fill = placed[i] ? "var(--guess)" : "none";
    add(picture, "circle", { cx: x, cy: y, r: RADIUS, fill, stroke: "var(--guess)", "stroke-width": 2, opacity: strength });
    add(picture, "text", { x: left + width + 14, y: y + (measured.length ? -3 : 5), fill: "var(--guess)" }, placed[i] ? written(values[i]) : "?");
    if (!measured.length) return;
    add(picture, "path", { d: diamond(across(measured[i]), y, 9), fill: "var(--measured)" });
    add(picture, "text", { x: left + width + 14, y: y + 14, fill: "var(--measured)" }, `◆ ${written(measured[i])}`);
  });
  const y = top + row * names.length + 8;
  add(picture, "text", { x: left, y, "text-anchor": "middle", opacity: 0.8 }, written(low));
  add(picture, "text", { x: left + width, y, "text-anchor": "middle", opacity: 0.8 }, `${written(high)} ${unit}`);
  legend(picture, left, height - 8, given.length ? more.given_name : "", measured.length);
}

function drawCurve(picture, { names, low, high, unit, across: label, values, known, focused, measured }, height) {
  const { left, width, top, height: tall } = CURVE;
  const place = (values) => values.map((value, i) => [
    left + (width * (i + 0.5)) / names.length,
    top + tall * (1 - (Math.min(Math.max(value, low), high) - low) / (high - low)),
  ]);
  add(picture, "rect", { x: left, y: top, width, height: tall, fill: "none", stroke: "var(--line)" });
  [low, (low + high) / 2, high].forEach((value) => {
    const y = top + tall * (1 - (value - low) / (high - low));
    add(picture, "text", { x: left - 8, y: y + 5, "text-anchor": "end", opacity: 0.8 }, written(value));
    line(picture, [[left, y], [left + width, y]], "var(--line)", 0.6);
  });
  const guessed = place(values);
  guessed.forEach(([x], i) => add(picture, "text", { x, y: top + tall + 18, "text-anchor": "middle", opacity: 0.8 }, names[i]));
  add(picture, "text", { x: left + width / 2, y: top + tall + 36, "text-anchor": "middle" }, `${label}; upwards: ${unit}`);
  if (known) line(picture, guessed, "var(--guess)", 2.5);
  for (const [x, y] of guessed) add(picture, "circle", { cx: x, cy: y, r: 4.5, fill: known ? "var(--guess)" : "none", stroke: "var(--guess)" });
  if (guessed[focused]) {
    const [x, y] = guessed[focused];
    add(picture, "circle", { cx: x, cy: y, r: RADIUS + 4, fill: "none", stroke: "currentColor", "stroke-width": 2.5 });
  }
  if (measured.length) {
    line(picture, place(measured), "var(--measured)", 2.5);
    for (const [x, y] of place(measured)) add(picture, "path", { d: diamond(x, y, 6), fill: "var(--measured)" });
  }
  legend(picture, left, height - 8, "", measured.length);
}

function line(picture, places, stroke, width) {
  add(picture, "polyline", { points: places.join(" "), fill: "none", stroke, "stroke-width": width });
}

/** What each mark means; of those that can be seen. */
function legend(picture, x, y, given, measured) {
  const text = add(picture, "text", { x, y });
  add(text, "tspan", { fill: "var(--guess)" }, "● your guess");
  if (measured) add(text, "tspan", { fill: "var(--measured)", dx: 22 }, "◆ measured");
  if (given) add(text, "tspan", { dx: 22 }, `┃ ${given}`);
}

export default { render };

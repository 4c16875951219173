// What the pictures of mixviz share: the page's theme, the screen's density, and a sign while the kernel is busy. And
// what canvases share: sharp on every screen, as wide as their place, described, reachable by keyboard.

export const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

/** Numbers that Python packed. */
export const floats = (view) => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
export const integers = (view) => new Int32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

const PATIENCE = 400; // ms without an answer after which the kernel is called busy

/**
 * Tell the kernel the page's theme and the screen's density, and mark the widget while the kernel does not answer.
 * Gives a function that ends this.
 */
export function follow({ model, el }) {
  let waiting = 0;
  const box = () => el.closest(".mixviz-widget");
  const mark = (busy) => box()?.classList.toggle("mixviz-busy", busy);

  function tell() {
    const theme = document.body.dataset.jpThemeLight; // of JupyterLab and Voila; other pages keep the kernel's
    model.set("dark", theme === undefined ? model.get("dark") : theme === "false");
    model.set("dots", window.devicePixelRatio || 1);
    model.save_changes(); // sends what has changed, if anything
  }
  function ask({ target }) {
    if (waiting || !box()?.contains(target)) return;
    waiting = setTimeout(() => {
      model.set("asked", model.get("asked") + 1);
      model.save_changes();
      waiting = setTimeout(() => mark(true), PATIENCE);
    }); // after the control's own message
  }
  function answered() {
    clearTimeout(waiting);
    waiting = 0;
    mark(false);
  }
  const themes = new MutationObserver(tell);
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  const events = ["pointerup", "keydown", "change"];
  for (const kind of events) document.addEventListener(kind, ask, true);
  model.on("change:answered", answered);
  tell();
  return () => {
    themes.disconnect();
    for (const kind of events) document.removeEventListener(kind, ask, true);
    model.off("change:answered", answered);
    clearTimeout(waiting);
  };
}

/**
 * Put a canvas into the page, and draw it whenever the model changes or its place does, at most once a frame.
 *
 * draw(context, width, height, colours): on empty paper, always of the size that the model has; narrow pages shrink it.
 * point(x, y, event), leave(), press(event): the pointer moved or went down there, or left; a key went down. press says
 * true if it handled the key.
 * Gives the canvas, redraw(), and remove(), which render should return.
 */
export function mount({ model, el }, draw, { point, leave, press } = {}) {
  const canvas = document.createElement("canvas");
  const [width, height] = model.get("size");
  canvas.className = "mixviz-canvas";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.dataset.lmSuppressShortcuts = "true"; // its keys are not the notebook's
  canvas.style.cssText = `display: block; width: 100%; max-width: ${width}px; touch-action: pan-y`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const describe = () => canvas.setAttribute("aria-label", model.get("about"));
  describe(); // before it is drawn
  el.append(canvas);

  let asked = 0;
  const redraw = () => (asked ||= requestAnimationFrame(paint));
  function paint() {
    asked = 0;
    if (!canvas.clientWidth) return;
    const dots = ((window.devicePixelRatio || 1) * canvas.clientWidth) / width;
    const [across, down] = [Math.round(width * dots), Math.round(height * dots)];
    if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
    const context = canvas.getContext("2d");
    const colours = model.get("colours");
    context.setTransform(dots, 0, 0, dots, 0, 0);
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    context.font = `13px ${FONT}`;
    if (model.get("problem")) return say(context, model.get("problem"), width, height, colours);
    draw(context, width, height, colours);
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const scale = width / box.width;
    point(scale * (event.clientX - box.left), scale * (event.clientY - box.top), event);
  };
  if (point) for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, place);
  if (leave) canvas.addEventListener("pointerleave", leave);
  if (press) {
    canvas.addEventListener("keydown", (event) => {
      if (!press(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  const end = follow({ model, el });
  const resized = new ResizeObserver(redraw);
  resized.observe(canvas);
  model.on("change", redraw);
  model.on("change:about", describe);
  const remove = () => {
    end();
    resized.disconnect();
    model.off("change", redraw);
    model.off("change:about", describe);
    cancelAnimationFrame(asked);
  };
  return { canvas, redraw, remove };
}

/** A sentence in the middle, on as many lines as it needs. */
function say(context, text, width, height, colours) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (context.measureText(longer).width < 0.8 * width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  context.fillStyle = colours.ink;
  context.textAlign = "center";
  lines.forEach((line, i) => context.fillText(line, width / 2, height / 2 + 18 * (i - (lines.length - 1) / 2)));
  context.textAlign = "start";
}

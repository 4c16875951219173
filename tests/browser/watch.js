// What tests ask of a page with widgets: how the pictures stand, when they change after a key, and what the kernel says.

window.mixviz = (() => {
  const CONTROLS = ".noUi-handle, select, input, button, canvas.mixviz-canvas";
  const errors = [];
  const pending = new Set();
  const hashes = new WeakMap();
  let keys = [], frames = [], last = null, spoken = 0, place = null, first = null;

  const widgets = () => [...document.querySelectorAll(".mixviz-widget")];
  const pictures = (widget) => [...widget.querySelectorAll("img.mixviz-picture, canvas.mixviz-canvas, .mixviz-guess")];
  const ready = ({ tagName, complete, naturalWidth, width, clientWidth }) =>
    (tagName === "IMG" ? complete && naturalWidth : (width ?? clientWidth)) > 0;

  // The pictures of a widget as one text; null while one of them is being loaded.
  function look(widget) {
    const shown = pictures(widget);
    if (!shown.every(ready)) return null;
    return shown.map(drawing).join("|");
  }

  const drawing = (picture) =>
    picture.tagName === "IMG" ? picture.src : picture.tagName === "CANVAS" ? hash(picture) : picture.innerHTML;

  // A number that another drawing would hardly have. To read pixels back takes longer than to draw them, so it is done
  // once a drawing: each begins with the paper.
  function hash(canvas) {
    if (!hashes.has(canvas)) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let sum = 0;
      for (const pixel of new Uint32Array(data.buffer)) sum = (Math.imul(sum, 31) + pixel) | 0;
      hashes.set(canvas, sum);
    }
    return hashes.get(canvas);
  }

  const { fillRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillRect = function (...place) {
    hashes.delete(this.canvas);
    fillRect.apply(this, place);
  };

  // Whether there is such a widget, with its picture.
  const shown = (widget) => widgets().length > widget && Boolean(look(widgets()[widget]));

  // Asked after each frame: what any callback of that frame has drawn is seen in it.
  function check() {
    const now = performance.now();
    if (first === null) {
      const shown = [...document.querySelectorAll(".jp-OutputArea-output img, .jp-OutputArea-output canvas")];
      if (shown.some(ready)) first = now;
    }
    if (place !== null) {
      const seen = look(widgets()[place]);
      if (seen !== null && seen !== last) frames.push(now);
      last = seen ?? last;
    }
  }

  const { port1: after, port2: soon } = new MessageChannel();
  after.onmessage = check;
  function tick() {
    soon.postMessage(0);
    requestAnimationFrame(tick);
  }

  function listen(_, { direction, msg }) {
    spoken = performance.now();
    const { header, parent_header: parent, content } = msg;
    if (direction === "send" && header.msg_type === "comm_msg") pending.add(header.msg_id);
    if (header.msg_type === "status" && content.execution_state === "idle") pending.delete(parent.msg_id);
    if (header.msg_type === "error") errors.push(`${content.ename}: ${content.evalue}`);
    if (header.msg_type === "stream" && content.text.includes("Traceback")) errors.push(content.text);
  }

  // Once the notebook's kernel can be asked; from here on its errors are kept.
  async function connect() {
    const { context } = jupyterapp.shell.currentWidget;
    await context.ready;
    await context.sessionContext.ready;
    const { kernel } = context.sessionContext.session;
    await kernel.info;
    kernel.anyMessage.connect(listen);
  }

  // Keys and frames of a widget from here on.
  function start(widget) {
    [place, keys, frames, last] = [widget, [], [], look(widgets()[widget])];
  }

  // Keys and frames once nothing has happened for a while: no key, no frame, no word with the kernel; or after a limit.
  function settled(quiet, limit) {
    const begun = performance.now();
    return new Promise((resolve) => {
      const ask = () => {
        const now = performance.now();
        const still = now - Math.max(begun, keys.at(-1) ?? 0, frames.at(-1) ?? 0, spoken) > quiet && pending.size === 0;
        if (!still && now - begun < limit) return requestAnimationFrame(ask);
        place = null;
        resolve({ keys, frames });
      };
      ask();
    });
  }

  function label(control) {
    const row = control.closest(".widget-inline-hbox")?.querySelector(".widget-label")?.textContent;
    const words = [control.closest("label")?.textContent, row, control.ariaLabel, control.title, control.textContent];
    return words.map((word) => (word ?? "").replace("\u200b", "").trim()).find((word) => word) ?? "";
  }

  // How many stops a slider has, and at which of them it stands; 0 and 0 of other controls.
  function stops(control) {
    if (!control.matches(".noUi-handle")) return { stops: 0, stop: 0 };
    const { step, range } = control.closest(".noUi-target").noUiSlider.options;
    const [low, high, now] = [range.min, range.max, control.ariaValueNow].map(Number);
    return { stops: Math.round((high - low) / step) + 1, stop: Math.round((now - low) / step) };
  }

  function controls(widget) {
    return [...widgets()[widget].querySelectorAll(CONTROLS)].map((control) => ({
      label: label(control),
      kind: control.matches(".noUi-handle") ? "slider" : control.type || control.tagName.toLowerCase(),
      ...stops(control),
      enabled: !control.disabled && !control.closest("[disabled]") && control.getClientRects().length > 0,
    }));
  }

  // Which of the widget's controls has the focus; -1 where none has.
  const focused = (widget) => [...widgets()[widget].querySelectorAll(CONTROLS)].indexOf(document.activeElement);

  // What of a widget reaches beyond the right edge of the place where it is shown.
  function cut(widget) {
    const box = widgets()[widget];
    const place = (box.closest(".jp-OutputArea-output") ?? document.body).getBoundingClientRect();
    const edge = Math.min(place.right, window.innerWidth);
    const parts = [...box.querySelectorAll(`${CONTROLS}, .mixviz-picture, .widget-label, .widget-readout`)];
    const beyond = (part) => part.getClientRects().length > 0 && part.getBoundingClientRect().right > edge + 1;
    return parts.filter(beyond).map((part) => `${label(part) || part.className} reaches beyond ${Math.round(edge)} px`);
  }

  // The class that the widget's cell makes.
  function name(widget) {
    const cell = widgets()[widget].closest(".jp-CodeCell")?.querySelector(".jp-InputArea")?.textContent ?? "";
    return cell.match(/=\s*(?:\w+\.)*([A-Z]\w*)/)?.[1] ?? `widget ${widget + 1}`;
  }

  document.addEventListener("keydown", () => keys.push(performance.now()), true);
  requestAnimationFrame(tick);
  return { CONTROLS, errors, widgets, shown, connect, start, settled, controls, focused, cut, name, first: () => first };
})();

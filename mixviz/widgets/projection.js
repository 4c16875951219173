// A map of images: hover over a point or pick one, and see the image, its nearest neighbours and its hard negatives.

import { FONT, floats, integers, mount } from "./canvas.js";

const MAP = { left: 14, top: 34, width: 426, height: 392 };
const STRIP = { left: 466, step: 59, image: 54, portrait: 108, near: 196, far: 316 };
const REACH = 16; // px from the pointer to a point
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function render({ model, el }) {
  let sheet = null;
  let hovered = -1;

  const points = () => {
    const flat = floats(model.get("points"));
    return Array.from({ length: flat.length / 2 }, (_, i) => [
      MAP.left + MAP.width * flat[2 * i],
      MAP.top + MAP.height * flat[2 * i + 1],
    ]);
  };

  const nearestTo = (x, y, reach, allowed = () => true) => {
    let [best, distance] = [-1, reach];
    points().forEach(([px, py], i) => {
      const away = Math.hypot(px - x, py - y);
      if (away < distance && allowed(px - x, py - y)) [best, distance] = [i, away];
    });
    return best;
  };

  const pick = (index) => {
    if (index < 0) return;
    model.set("picked", index);
    model.save_changes();
  };

  function point(x, y, event) {
    const found = nearestTo(x, y, REACH);
    canvas.style.cursor = found < 0 ? "default" : "pointer";
    if (event.type === "pointerdown") pick(found);
    if (found !== hovered) redraw((hovered = found));
  }

  function press(event) {
    const direction = DIRECTIONS[event.key];
    if (!direction) return false;
    const [x, y] = points()[model.get("picked")];
    const ahead = (dx, dy) => {
      const along = dx * direction[0] + dy * direction[1];
      return along > 0 && along >= Math.abs(dx * direction[1]) + Math.abs(dy * direction[0]);
    };
    hovered = -1;
    pick(nearestTo(x, y, Infinity, ahead));
    return true;
  }

  const { canvas, redraw, remove } = mount({ model, el }, draw, { point, press, leave: () => redraw((hovered = -1)) });

  function draw(context, width, height, colours) {
    const shown = hovered < 0 ? model.get("picked") : hovered;
    const places = points();
    drawMap(context, colours, places);
    drawLinks(context, colours, places, shown);
    drawStrip(context, colours, shown);
  }

  function drawMap(context, colours, places) {
    const labels = integers(model.get("labels"));
    const classes = model.get("classes");
    context.fillStyle = colours.ink;
    context.fillText(model.get("title"), MAP.left, 18);
    context.globalAlpha = 0.7;
    classes.forEach(({ colour, marker }, label) => {
      context.fillStyle = colour;
      context.beginPath();
      places.forEach(([x, y], i) => labels[i] === label && trace(context, marker, x, y, 3.5));
      context.fill();
    });
    context.globalAlpha = 1;
    context.textAlign = "center";
    context.font = `bold 12px ${FONT}`;
    for (const { name, colour, x, y } of classes) {
      written(context, name, MAP.left + MAP.width * x, MAP.top + MAP.height * y + 4, colour, colours.paper);
    }
    context.textAlign = "start";
  }

  function drawLinks(context, colours, places, shown) {
    const labels = integers(model.get("labels"));
    const [same, other] = model.get("marks");
    const [x, y] = places[shown];
    const link = (i, colour, dashes) => {
      context.strokeStyle = colour;
      context.setLineDash(dashes);
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(...places[i]);
      context.stroke();
    };
    context.lineWidth = 1.5;
    for (const i of row("far", shown)) link(i, other, [4, 3]);
    for (const i of row("near", shown)) link(i, labels[i] === labels[shown] ? same : other, []);
    context.setLineDash([]);
    context.strokeStyle = colours.ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    context.stroke();
  }

  function drawStrip(context, colours, shown) {
    const label = integers(model.get("labels"))[shown];
    const named = model.get("classes")[label].name;
    const left = STRIP.left + STRIP.portrait + 14;
    const write = (text, x, y, font) => {
      context.fillStyle = colours.ink;
      context.font = `${font} ${FONT}`;
      context.fillText(text, x, y);
    };
    context.imageSmoothingEnabled = false;
    image(context, shown, STRIP.left, MAP.top, STRIP.portrait);
    write(named, left, MAP.top + 20, "bold 15px");
    write(`image ${shown}`, left, MAP.top + 42, "13px");
    write("Point at others, click,", left, MAP.top + 84, "13px");
    write("or walk with the arrow keys.", left, MAP.top + 102, "13px");
    write("its nearest images, with their cosines", STRIP.left, STRIP.near - 9, "13px");
    drawRow(context, "near", shown, write);
    if (!named) return;
    const factor = model.get("factor");
    write(`its hardest negatives: the nearest of another ${factor}`, STRIP.left, STRIP.far - 9, "13px");
    drawRow(context, "far", shown, write);
    write(`frame: same ${factor} (blue, solid), another (orange, dashed)`, STRIP.left, 420, "11px");
  }

  function drawRow(context, kind, shown, write) {
    const labels = integers(model.get("labels"));
    const cosines = floats(model.get(`${kind}_cosine`));
    const [same, other] = model.get("marks");
    const members = row(kind, shown);
    context.lineWidth = 2.5;
    members.forEach((i, place) => {
      const [x, y] = [STRIP.left + STRIP.step * place, STRIP[kind]];
      const alike = labels[i] === labels[shown];
      image(context, i, x, y, STRIP.image);
      context.strokeStyle = alike ? same : other;
      context.setLineDash(alike ? [] : [5, 3]);
      context.strokeRect(x, y, STRIP.image, STRIP.image);
      write(cosines[shown * members.length + place].toFixed(2), x + 15, y + STRIP.image + 14, "11px");
    });
    context.setLineDash([]);
  }

  function row(kind, index) {
    const all = integers(model.get(kind));
    const length = all.length / integers(model.get("labels")).length;
    return Array.from(all.subarray(index * length, (index + 1) * length));
  }

  function image(context, index, x, y, side) {
    const [columns, tile] = [model.get("columns"), model.get("tile")];
    const [column, line] = [index % columns, Math.floor(index / columns)];
    if (sheet) context.drawImage(sheet, column * tile, line * tile, tile, tile, x, y, side, side);
  }

  const unpack = async () => {
    sheet = await createImageBitmap(new Blob([model.get("sheet")], { type: "image/png" }));
    redraw();
  };
  const forget = () => (hovered = -1);
  model.on("change:sheet", unpack);
  model.on("change:picked", forget);
  unpack();
  return () => {
    model.off("change:sheet", unpack);
    model.off("change:picked", forget);
    remove();
  };
}

const CORNERS = {
  "^": [[0, -1.35], [1.2, 0.8], [-1.2, 0.8]],
  s: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  D: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
};

/** Add a marker to the path, of about the same area whatever its shape. */
function trace(context, marker, x, y, r) {
  if (CORNERS[marker]) {
    CORNERS[marker].forEach(([dx, dy], i) => context[i ? "lineTo" : "moveTo"](x + r * dx, y + r * dy));
  } else {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  }
  context.closePath();
}

/** Text with an outline, readable on any background. */
function written(context, text, x, y, colour, paper) {
  context.strokeStyle = paper;
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

export default { render };

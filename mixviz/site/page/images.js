// Pictures as the networks take them: Float32Arrays of 3 x 32 x 32 numbers in [0, 1], channel by channel.

export const SIDE = 32;
export const CHANNELS = 3;
const AREA = SIDE * SIDE;

/** A picture from bytes, pixel by pixel, of `step` bytes each. */
export function fromBytes(bytes, step = 3) {
  const picture = new Float32Array(CHANNELS * AREA);
  for (let i = 0; i < AREA; i++) {
    for (let c = 0; c < CHANNELS; c++) picture[c * AREA + i] = bytes[step * i + c] / 255;
  }
  return picture;
}

/** share of the first and 1 - share of the second, as mixup blends them. */
export function blend(first, second, share) {
  return first.map((value, i) => share * value + (1 - share) * second[i]);
}

/** Turned counter-clockwise about the centre, in degrees; bilinear, beyond the edge its nearest pixel. */
export function turn(picture, degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const middle = (SIDE - 1) / 2;
  const inside = (value) => Math.min(SIDE - 1, Math.max(0, value));
  const turned = new Float32Array(picture.length);
  for (let down = 0; down < SIDE; down++) {
    for (let across = 0; across < SIDE; across++) {
      const [x, y] = [across - middle, down - middle];
      const [left, top] = [inside(middle + x * cos - y * sin), inside(middle + x * sin + y * cos)];
      const [column, line] = [Math.min(SIDE - 2, Math.floor(left)), Math.min(SIDE - 2, Math.floor(top))];
      const [right, below] = [left - column, top - line];
      for (let c = 0; c < CHANNELS; c++) {
        const at = c * AREA + line * SIDE + column;
        const upper = picture[at] + right * (picture[at + 1] - picture[at]);
        const lower = picture[at + SIDE] + right * (picture[at + SIDE + 1] - picture[at + SIDE]);
        turned[c * AREA + down * SIDE + across] = upper + below * (lower - upper);
      }
    }
  }
  return turned;
}

/** The hue of HSV moved by a share of the full turn; value and saturation stay. */
export function recolour(picture, shift) {
  const moved = new Float32Array(picture.length);
  for (let i = 0; i < AREA; i++) {
    const [red, green, blue] = [picture[i], picture[AREA + i], picture[2 * AREA + i]];
    const [low, high] = [Math.min(red, green, blue), Math.max(red, green, blue)];
    const spread = high - low;
    let hue = 0; // in sixths of a turn
    if (spread > 0) {
      if (high === red) hue = (green - blue) / spread;
      else if (high === green) hue = 2 + (blue - red) / spread;
      else hue = 4 + (red - green) / spread;
    }
    hue = (((hue + 6 * shift) % 6) + 6) % 6;
    const channel = (at) => low + spread * Math.min(1, Math.max(0, 2 - Math.abs(((hue - at + 9) % 6) - 3)));
    [moved[i], moved[AREA + i], moved[2 * AREA + i]] = [channel(0), channel(2), channel(4)];
  }
  return moved;
}

/** Show a picture on a canvas of 32 x 32 pixels. */
export function paint(canvas, picture) {
  [canvas.width, canvas.height] = [SIDE, SIDE];
  const data = new ImageData(SIDE, SIDE);
  for (let i = 0; i < AREA; i++) {
    for (let c = 0; c < CHANNELS; c++) data.data[4 * i + c] = 255 * picture[c * AREA + i]; // rounded when stored
    data.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas;
}

const addresses = new WeakMap();

/** A data address of a picture, made once. */
export function address(picture) {
  if (!addresses.has(picture)) addresses.set(picture, paint(document.createElement("canvas"), picture).toDataURL());
  return addresses.get(picture);
}

/** The reader's own image: its central square in 32 x 32 pixels, on white. */
export async function fromFile(file) {
  const image = await createImageBitmap(file);
  const side = Math.min(image.width, image.height);
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, SIDE, SIDE);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  return fromBytes(context.getImageData(0, 0, SIDE, SIDE).data, 4);
}

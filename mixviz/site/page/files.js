// Arrays, networks and the runtime as the build left them in scripts: base64 of a gzip file of a line of JSON and bytes.

/** {about, arrays} of what a script has left; arrays have their numbers in `values` and their `shape`. */
export async function unpack(name) {
  const bytes = await unzip(globalThis.mixviz[name]);
  delete globalThis.mixviz[name];
  const end = bytes.indexOf(10);
  const { about, arrays } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  for (const entry of Object.values(arrays)) entry.values = numbers(entry, bytes, end + 1);
  return { about, arrays };
}

async function unzip(text) {
  const zipped = Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const BYTES = { uint8: 1, float16: 2, float32: 4 };

function numbers({ type, shape, start }, bytes, from) {
  const size = shape.reduce((product, side) => product * side, 1);
  const part = bytes.subarray(from + start, from + start + BYTES[type] * size);
  if (type === "uint8") return part;
  const buffer = part.slice().buffer;
  return type === "float32" ? new Float32Array(buffer) : halves(new Uint16Array(buffer));
}

/** float16 in its bits -> float32. */
function halves(bits) {
  const found = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const [sign, exponent, digits] = [bits[i] & 0x8000 ? -1 : 1, (bits[i] >> 10) & 31, bits[i] & 1023];
    found[i] = sign * (exponent ? 2 ** (exponent - 25) * (1024 + digits) : 2 ** -24 * digits);
  }
  return found;
}

/** Row i of an array of shape (N, D). */
export function row({ values, shape: [, width] }, i) {
  return values.subarray(i * width, (i + 1) * width);
}

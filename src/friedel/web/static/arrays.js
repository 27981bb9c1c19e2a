// Arrays as they come over the wire, colours, and pictures of arrays.
const KINDS = { "|u1": Uint8Array, "<f4": Float32Array, "<f8": Float64Array, "<i4": Int32Array, "<i8": BigInt64Array };

// Seventeen steps of matplotlib's maps; all can be told apart without telling red from green.
const MAPS = {
  cividis: "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838",
  signed: "053061 175290 2a71b2 3f8ec0 6bacd1 9bc9e0 c2ddec e0ecf3 f7f6f6 fbe5d8 fbccb4 f5aa89 e48066 d05548 ba2832 930e26 67001f",
  cyclic: "301437 45135c 592a8f 5e51ad 6276ba 7297c1 95b5c7 c4ced4 e2d9e2 d8c7be cca389 c27c63 b25652 983550 741e4f 4a1342 2f1436",
};
const TABLES = Object.fromEntries(Object.entries(MAPS).map(([name, text]) => [name, table(text.split(" "))]));

function table(stops) {
  const rgb = stops.map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  return Uint8Array.from({ length: 768 }, (_, k) => {
    const place = (Math.floor(k / 3) / 255) * (rgb.length - 1), low = Math.min(Math.floor(place), rgb.length - 2);
    return rgb[low][k % 3] + (rgb[low + 1][k % 3] - rgb[low][k % 3]) * (place - low);
  });
}

// Returns {shape, values}, or null of null.
export function unpack(packed) {
  if (!packed) return null;
  const bytes = Uint8Array.from(atob(packed.base64), (letter) => letter.charCodeAt(0));
  const Kind = KINDS[packed.dtype], values = new Kind(bytes.buffer);
  return { shape: packed.shape, values: Kind === BigInt64Array ? Array.from(values, Number) : values };
}

// Colour of a value between two limits, as three bytes; null for NaN.
export function colour(map, value, low, high) {
  if (!Number.isFinite(value)) return null;
  const shade = Math.round(Math.min(Math.max((value - low) / (high - low || 1), 0), 1) * 255);
  return TABLES[map].subarray(3 * shade, 3 * shade + 3);
}

// What colours a quantity: its map, and limits about zero for what has a sign.
export function colouring(name, values) {
  if (name.startsWith("phase")) return { map: "cyclic", low: -Math.PI, high: Math.PI };
  const sizes = Array.from(values).filter(Number.isFinite).map(Math.abs).sort((a, b) => a - b);
  const most = sizes[Math.floor(0.98 * (sizes.length - 1))] || 1;
  return { map: "signed", low: -most, high: most };
}

// Draws a (y, x) array into a canvas, one pixel a value; NaN stays clear.
export function picture(canvas, array, { map = "cividis", low = 0, high = 255 } = {}) {
  const [height, width] = array.shape;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  array.values.forEach((value, k) => {
    const rgb = colour(map, value, low, high);
    if (rgb) image.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * k);
  });
  context.putImageData(image, 0, 0);
}

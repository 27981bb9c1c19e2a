// Volumes as they come from the server, their slices, profiles and histograms. Nothing here touches the page.
export const PLANES = [{ across: 0, up: 1, right: 2 }, { across: 1, up: 0, right: 2 }, { across: 2, up: 1, right: 0 }];

export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// int16 between the two ends of `range`; −32768 is NaN.
export function unpacked(buffer, [low, high]) {
  const raw = new Int16Array(buffer), values = new Float32Array(raw.length), step = (high - low || 1) / 65534;
  for (let k = 0; k < raw.length; k++) values[k] = raw[k] === -32768 ? NaN : low + (raw[k] + 32767) * step;
  return values;
}

export function valueAt(volume, shape, [z, y, x]) {
  if (z < 0 || y < 0 || x < 0 || z >= shape[0] || y >= shape[1] || x >= shape[2]) return NaN;
  return volume[(z * shape[1] + y) * shape[2] + x];
}

// Rows along `up`, columns along `right`; row 0 is the lowest index.
export function sliceOf(volume, shape, plane, at) {
  const strides = [shape[1] * shape[2], shape[2], 1], height = shape[plane.up], width = shape[plane.right];
  const values = new Float32Array(height * width), first = at * strides[plane.across];
  for (let row = 0; row < height; row++) {
    const start = first + row * strides[plane.up], step = strides[plane.right];
    for (let column = 0; column < width; column++) values[row * width + column] = volume[start + column * step];
  }
  return { width, height, values };
}

// RGBA bytes of a slice; clear where it is NaN.
export function coloured({ width, height, values }, table, [low, high]) {
  const data = new Uint8Array(4 * values.length), scale = 255 / (high - low || 1);
  for (let k = 0; k < values.length; k++) {
    if (Number.isNaN(values[k])) continue;
    const shade = Math.max(0, Math.min(255, Math.round((values[k] - low) * scale)));
    data[4 * k] = table[3 * shade];
    data[4 * k + 1] = table[3 * shade + 1];
    data[4 * k + 2] = table[3 * shade + 2];
    data[4 * k + 3] = 255;
  }
  return { width, height, data };
}

// Values along a line in a slice, bilinear, at half-voxel steps; NaN where a neighbour is missing.
export function profileOf({ width, height, values }, [r0, c0], [r1, c1]) {
  const length = Math.hypot(r1 - r0, c1 - c0), n = Math.max(2, Math.ceil(2 * length) + 1);
  return Array.from({ length: n }, (_, k) => {
    const t = k / (n - 1), row = r0 + t * (r1 - r0), column = c0 + t * (c1 - c0);
    const top = Math.min(Math.max(Math.floor(row), 0), height - 2), left = Math.min(Math.max(Math.floor(column), 0), width - 2);
    const [fr, fc] = [row - top, column - left];
    const at = (r, c) => values[(top + r) * width + left + c];
    const value = (1 - fr) * ((1 - fc) * at(0, 0) + fc * at(0, 1)) + fr * ((1 - fc) * at(1, 0) + fc * at(1, 1));
    return { distance: t * length, value };
  });
}

export function histogramOf(volume, [low, high], bins = 64) {
  const counts = new Array(bins).fill(0), scale = bins / (high - low || 1);
  for (const value of volume) {
    if (Number.isFinite(value) && value >= low && value <= high) counts[Math.min(bins - 1, Math.floor((value - low) * scale))]++;
  }
  return counts;
}

// A round length not longer than `about`: 1, 2 or 5 times a power of ten.
export function roundLength(about) {
  const power = 10 ** Math.floor(Math.log10(about));
  return [5, 2, 1].find((k) => k * power <= about * 1.0000001) * power;
}

// Round values between two, at most so many, each with as many digits as tell it from its neighbours.
export function roundTicks(from, to, most) {
  if (!(to > from)) return [];
  const power = 10 ** Math.floor(Math.log10((to - from) / most)), step = [1, 2, 5, 10].find((k) => (k * power * most) * 1.0000001 >= to - from) * power;
  const first = Math.ceil(from / step - 1e-9), count = Math.floor(to / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, k) => {
    const value = (first + k) * step, large = Math.abs(value) >= 1e6 || step < 1e-4;
    return { value, text: large ? numberText(value, 6) : value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace("-", "−") };
  });
}

export function numberText(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value) < 1e-12 ? "0" : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

// "value ± error" with the error's first two figures and no more of the value; without a finite error the value alone.
export function withError(value, error, digits = 4) {
  if (!(error > 0 && Number.isFinite(error) && Number.isFinite(value))) return numberText(value, digits);
  const decimals = Math.min(20, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${value.toFixed(decimals)} ± ${error.toFixed(decimals)}`.replace("-", "−");
}

// Two charts as plain SVG, redrawn whole: a curve with its axes, and bars with a threshold.
const SPACE = "http://www.w3.org/2000/svg";

function element(name, attributes, text) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function sheet(holder, described) {
  const width = Math.max(holder.clientWidth, 120), height = Math.max(holder.clientHeight, 80);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": described });
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.8;
  holder.replaceChildren(svg);
  return { svg, width, height, size, put: (name, attributes, text) => svg.appendChild(element(name, attributes, text)) };
}

// Round steps that divide a range into about `wanted` parts.
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

// xs and ys of equal length; NaN breaks the curve.
export function curve(holder, xs, ys, { showX, showY, low, high, described, range, dots = false }) {
  const { width, height, size, put } = sheet(holder, described);
  const left = 3.6 * size, right = width - 0.9 * size, top = 0.7 * size, bottom = height - 1.8 * size;
  const first = range ? range[0] : xs[0] ?? 0, last = range ? range[1] : xs.length > 1 ? xs[xs.length - 1] : first + 1;
  const x = (value) => left + ((value - first) / (last - first || 1)) * (right - left);
  const y = (value) => bottom - ((Math.min(Math.max(value, low), high) - low) / (high - low || 1)) * (bottom - top);
  for (const value of ticks(low, high, 3)) {
    put("line", { x1: left, x2: right, y1: y(value), y2: y(value), class: value === low ? "base" : "grid" });
    put("text", { x: left - 0.6 * size, y: y(value) + 0.35 * size, "text-anchor": "end" }, showY(value));
  }
  put("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "base" });
  if (!xs.length && !range) return;
  const wanted = Math.max(2, Math.min(6, Math.floor((right - left) / (7 * size))));
  for (const value of ticks(first, last, wanted)) {
    const at = x(value), anchor = at > right - 2 * size ? "end" : at < left + 2 * size ? "start" : "middle";
    put("text", { x: at, y: height - 0.35 * size, "text-anchor": anchor }, showX(value));
  }
  const places = xs.map((value, k) => [x(value), y(ys[k]), ys[k]]).filter(([, , value]) => Number.isFinite(value));
  if (!places.length) return;
  const path = places.map(([px, py], k) => `${k ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  put("path", { d: `${path}L${places[places.length - 1][0]} ${bottom}L${places[0][0]} ${bottom}Z`, class: "under" });
  put("path", { d: path, class: "curve" });
  const shown = dots ? places : places.slice(-1);
  for (const [px, py] of shown) put("circle", { cx: px, cy: py, r: 0.3 * size, class: "dot" });
}

// Counts in equal steps from 0 to 1 (or of a logarithm, between other ends), on a scale of roots so that few stand beside many; kept from the threshold on.
export function bars(holder, counts, threshold, described, ends = [0, 0.5, 1]) {
  const { width, height, size, put } = sheet(holder, described);
  const bottom = height - 1.8 * size, top = 0.5 * size, most = Math.sqrt(Math.max(...counts, 1));
  const step = width / counts.length, gap = Math.min(2, step / 5), logarithmic = ends[0] > 0;
  const at = (part) => (logarithmic ? ends[0] * (ends[2] / ends[0]) ** part : part).toFixed(logarithmic ? 1 : 2);
  counts.forEach((count, k) => {
    const tall = (Math.sqrt(count) / most) * (bottom - top), from = k / counts.length;
    const kept = threshold !== null && from + 1e-9 >= threshold;
    const bar = put("rect", { x: k * step + gap / 2, y: bottom - tall, width: step - gap, height: tall, rx: Math.min(2, step / 4), class: kept ? "kept" : "left" });
    bar.appendChild(element("title", {}, `${at(from)}–${at(from + 1 / counts.length)}: ${count} frames`));
  });
  put("line", { x1: 0, x2: width, y1: bottom, y2: bottom, class: "base" });
  if (threshold !== null) put("line", { x1: threshold * width, x2: threshold * width, y1: top - 4, y2: bottom, class: "mark" });
  for (const [value, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) put("text", { x: value * width, y: height - 0.35 * size, "text-anchor": anchor }, ends[2 * value]);
}

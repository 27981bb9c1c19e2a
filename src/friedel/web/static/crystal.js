// The parts of the page that show a crystal.
import { colouring, picture, unpack } from "./arrays.js";
import { curve } from "./charts.js";
import { Surface } from "./surface.js";
import { at, count } from "./words.js";

const PLANES = ["xy", "xz", "yz"];
const NAMES = { "chi": "misfit χ", "free deviance": "deviance of held-out voxels", "agreement": "independent starts agree to", "seconds": "time of an image (s)" };
let surface = null;

export function showCrystal(crystal) {
  const { collected, expected, figures } = crystal;
  at("collected").textContent = expected ? `${count(collected)} / ${count(expected)}` : count(collected);
  at("chi").textContent = figures.chi === undefined ? "–" : figures.chi.toFixed(3);
  const frames = Array.from(unpack(crystal.quality_frames).values), quality = Array.from(unpack(crystal.quality).values);
  const latest = quality[quality.length - 1];
  at("same").textContent = Number.isFinite(latest) ? latest.toFixed(3) : "–";
  at("label").textContent = crystal.label;
  const bar = at("progress");
  bar.setAttribute("aria-valuemax", expected || collected || 1);
  bar.setAttribute("aria-valuenow", collected);
  bar.firstElementChild.style.width = expected ? `${(100 * collected) / expected}%` : "0";
  const known = quality.filter(Number.isFinite), low = Math.max(0, Math.min(0.9, ...known) - 0.02);
  curve(at("quality"), frames, quality, { showX: (value) => `${Math.round(value)}`, showY: (value) => value.toFixed(2), low, high: 1, dots: true, range: [0, Math.max(expected, collected, 10)], described: "Correlation of each image with the one before" });
  at("notes").replaceChildren(...crystal.notes.map((note) => item("li", note)));
  const shown = Object.entries(figures).filter(([name]) => NAMES[name]);
  at("quantities").replaceChildren(...shown.flatMap(([name, value]) => [item("dt", NAMES[name]), item("dd", value.toPrecision(3))]));
  at("report").hidden = !crystal.report;
  if (crystal.report) at("report").href = `/run/${crystal.report.split("/").map(encodeURIComponent).join("/")}`;
}

export function showSurface(part) {
  const [vertices, faces, values] = [part.vertices, part.faces, part.vertex_strain].map(unpack);
  at("nosurface").hidden = Boolean(vertices);
  at("axes").hidden = !vertices;
  document.querySelector(".scale").hidden = !vertices;
  if (!vertices) return;
  surface = surface || new Surface(at("surface"), at("axes"));
  const chosen = colouring(part.coloured_by, values.values);
  surface.show(vertices, faces, values, chosen, part.axes);
  const size = [0, 1, 2].map((axis) => extent(vertices.values, axis).toFixed(0)).join(" × ");
  showScale(chosen, part.coloured_by, `${size} ${part.unit}`);
}

function showScale({ map, low, high }, name, size) {
  const values = Float32Array.from({ length: 256 }, (_, k) => low + (k / 255) * (high - low));
  picture(at("scale"), { shape: [1, 256], values }, { map, low, high });
  const ends = document.querySelectorAll(".scale span"), middle = (low + high) / 2;
  [low, middle, high].forEach((value, k) => { ends[k].textContent = map === "cyclic" ? ["−π", "0", "π"][k] : signed(value); });
  document.querySelector(".scale b").textContent = `surface coloured by ${name} · ${size}`;
}

export function showSlices(part) {
  const amplitude = Object.fromEntries(Object.entries(part.slices).map(([name, packed]) => [name, unpack(packed)]));
  const other = Object.fromEntries(Object.entries(part.strain_slices).map(([name, packed]) => [name, unpack(packed)]));
  const holder = at("slices"), planes = PLANES.filter((name) => amplitude[name]);
  if (!planes.length) return holder.replaceChildren(item("span", "none yet"));
  const all = planes.flatMap((name) => (other[name] ? Array.from(other[name].values) : []));
  const chosen = colouring(part.coloured_by, all);
  const most = Math.max(...planes.map((name) => largest(amplitude[name].values)));
  const cells = [item("span", ""), item("span", "amplitude", "head"), item("span", part.coloured_by, "head")];
  for (const name of planes) {
    cells.push(item("span", name), drawn(amplitude[name], { map: "cividis", low: 0, high: most }, `Amplitude, plane ${name}`));
    cells.push(other[name] ? drawn(other[name], chosen, `${part.coloured_by}, plane ${name}`) : item("span", ""));
  }
  holder.replaceChildren(...cells);
}

function drawn(array, how, described) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", described);
  canvas.className = how.map === "cividis" ? "amplitude" : "";
  picture(canvas, array, how);
  return canvas;
}

function item(kind, text, style) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (style) made.className = style;
  return made;
}

function extent(values, axis) {
  let low = Infinity, high = -Infinity;
  for (let k = axis; k < values.length; k += 3) { low = Math.min(low, values[k]); high = Math.max(high, values[k]); }
  return high - low;
}

function largest(values) {
  return values.reduce((most, value) => (value > most ? value : most), 0);
}

function signed(value) {
  const text = Math.abs(value) < 1e-12 ? "0" : value.toPrecision(2);
  return text.replace("-", "−");
}

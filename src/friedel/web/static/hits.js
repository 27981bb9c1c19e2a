// The parts of the page that show single hits.
import { picture, unpack } from "./arrays.js";
import { bars, curve } from "./charts.js";
import { at, clock, count, percent } from "./words.js";

const ROWS = [["singles", "Selected"], ["reject_band", "Unsure"], ["rejected", "Rejected"]];

export function showRates(rates, state) {
  const times = Array.from(unpack(rates.rate_times).values), shares = Array.from(unpack(rates.rates).values);
  const known = shares.filter(Number.isFinite), latest = known.length ? known[known.length - 1] : null;
  at("hitrate").textContent = latest === null ? "–" : percent(latest);
  at("selected").textContent = count(rates.selected);
  const [share, least, most] = rates.precision;
  at("precision").textContent = share === undefined ? "" : `About ${percent(share)} of the selected are single hits (95 % interval ${percent(least)} to ${percent(most)})`;
  at("blankcount").textContent = count(rates.blank_count);
  at("rejectcount").textContent = count(rates.reject_count);
  const high = Math.min(1, Math.max(0.02, ...known) * 1.15);
  curve(at("rates"), times, shares, { showX: clock, showY: percent, low: 0, high, described: `Hit rate over time, ${latest === null ? "unknown" : percent(latest)} now` });
  bars(at("scores"), Array.from(unpack(rates.histogram).values), state.threshold, "Scored frames by their probability of being a single hit");
  const [small, large] = rates.size_range;
  bars(at("sizes"), Array.from(unpack(rates.sizes).values), 0, "Selected frames by the logarithm of their diameter", [small, Math.sqrt(small * large).toFixed(1), large]);
  at("sizetext").textContent = `Pixels of the real-space image, logarithmic. ${rates.main_size ? `Main size ${rates.main_size}` : "Too few sizes yet"}`;
}

export function showGallery(gallery) {
  at("gallery").replaceChildren(...ROWS.map(([name, title]) => row(name, title, gallery[name])));
}

function row(name, title, frames) {
  const holder = document.createElement("div"), heading = document.createElement("h3");
  holder.className = `row ${name}`;
  heading.textContent = title;
  holder.append(heading);
  const body = document.createElement(frames.length ? "div" : "p");
  body.className = frames.length ? "thumbs" : "none";
  if (frames.length) body.append(...frames.map(thumbnail));
  else body.textContent = "none yet";
  holder.append(body);
  return holder;
}

function thumbnail(frame) {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Frame ${frame.number}, probability ${frame.single.toFixed(2)}`);
  picture(canvas, unpack(frame.image));
  const score = document.createElement("b"), number = document.createElement("span");
  score.textContent = frame.single.toFixed(2);
  number.textContent = `#${frame.number}`;
  caption.append(score, number);
  figure.title = `frame ${frame.number} of ${frame.series}: probability ${frame.single.toFixed(3)}, fringes ${frame.fringes.toFixed(1)}, out-of-distribution score ${frame.out_of_distribution.toFixed(2)}`;
  figure.append(canvas, caption);
  return figure;
}

export function showPowder(powder) {
  const image = unpack(powder.image);
  if (image) picture(at("powder"), image);
  at("powdercount").textContent = powder.n ? `mean of ${count(powder.n)} selected frames, square root` : "no frame selected yet";
}

export function showMerge(merge) {
  at("merge").hidden = false;
  at("mergetext").textContent = `${merge.sentence}.${merge.n_frames && merge.n_waiting ? ` ${count(merge.n_waiting)} more wait.` : ""}`;
  at("mergegrown").hidden = !merge.slices;
  if (!merge.slices) return;
  const hits = Array.from(unpack(merge.counts).values), truth = Array.from(unpack(merge.correlations).values);
  curve(at("mergecurve"), hits, truth, { showX: (n) => count(Math.round(n)), showY: (value) => value.toFixed(2), low: Math.min(0.8, ...truth), high: 1, described: merge.sentence, dots: true });
  const planes = unpack(merge.slices), [, height, width] = planes.shape;
  at("mergeslices").replaceChildren(...["z", "y", "x"].map((axis, k) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
    canvas.className = "picture";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Slice across ${axis}`);
    picture(canvas, { shape: [height, width], values: planes.values.subarray(k * height * width, (k + 1) * height * width) });
    caption.textContent = `across ${axis}`;
    figure.append(canvas, caption);
    return figure;
  }));
  const coverage = unpack(merge.coverage);
  picture(at("coverage"), coverage, { high: Math.max(1, ...coverage.values) });
}

// One result: three linked slices, a profile, a histogram and the surface. Built by the script, so any page can hold it.
import { Solid } from "./solid.js";
import { PLANES, bytesOf, coloured, histogramOf, numberText, profileOf, roundLength, roundTicks, sliceOf, unpacked, valueAt, withError } from "./volume.js";

const DRAWING = "http://www.w3.org/2000/svg";
let made = 0;

function html(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function drawn(kind, attributes = {}, text = "") {
  const element = document.createElementNS(DRAWING, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

export class Viewer {
  // source: {about: the description, volume(k): Promise of bytes, surface(): Promise of the surface or null}.
  constructor(host, source, { compact = false } = {}) {
    this.source = source;
    this.about = source.about;
    this.compact = compact;
    this.number = made++;
    this.chosen = 0;
    this.volumes = new Map();
    this.tables = Object.fromEntries(Object.entries(this.about.maps).map(([name, text]) => [name, bytesOf(text)]));
    this.limits = this.about.fields.map((field) => [...field.limits]);
    this.place = [...this.about.start];
    this.patternPlace = null;
    this.line = null;
    this.linked = [];
    this.build(host);
    this.ready = this.choose(0);
  }

  get field() { return this.about.fields[this.chosen]; }
  get shape() { return this.field.shape; }
  get at() { return this.field.pattern ? this.patternPlace : this.place; }
  get table() { return this.tables[this.field.map]; }
  get axes() { return this.field.pattern ? ["rocking", "row", "column"] : this.about.axes; }
  get unit() { return this.field.pattern ? "voxels" : this.about.unit; }
  get step() { return this.field.pattern ? 1 : this.about.step; }

  build(host) {
    const fields = html("select", { "aria-label": "Field", onchange: (event) => this.choose(Number(event.target.value)) },
      ...this.about.fields.map((field, k) => html("option", { value: k }, field.name + (field.unit ? ` (${field.unit})` : ""))));
    const limit = (which, name) => html("input", { type: "number", step: "any", "aria-label": name, onchange: (event) => this.limit(which, Number(event.target.value)) });
    this.parts = { fields, low: limit(0, "Colour scale from"), high: limit(1, "Colour scale to") };
    const button = (text, title, act) => html("button", { type: "button", title, onclick: act }, text);
    const tools = html("div", { class: "tools" },
      html("label", {}, "Field ", fields), html("span", { class: "limits" }, this.parts.low, html("canvas", { class: "colourbar", width: 256, height: 1, "aria-hidden": "true" }), this.parts.high),
      button("Auto", "Colour scale back to its start", () => this.limit(null)),
      button("PNG", "The slices as a picture, with scale bar", () => this.savePicture()), button("SVG", "The slices as a drawing, with scale bar", () => this.saveDrawing()), button("CSV", "The profile's numbers; without a line, those along the three axes", () => this.saveNumbers()));
    this.parts.bar = tools.querySelector("canvas");
    this.parts.slices = PLANES.map((plane, k) => this.sliceView(plane, k));
    const slices = html("div", { class: "slices" }, ...this.parts.slices.map((view) => view.figure));
    this.parts.value = html("p", { class: "value", "aria-live": "polite" });
    this.root = html("div", { class: "viewer" + (this.compact ? " compact" : "") }, tools, slices, this.parts.value);
    if (!this.compact) this.root.append(this.more());
    this.root.addEventListener("keydown", (event) => {
      if (event.target.matches("input, select")) return;
      const step = { n: 1, p: -1 }[event.key];
      if (step) this.choose((this.chosen + step + this.about.fields.length) % this.about.fields.length);
    });
    host.append(this.root);
  }

  more() {
    this.parts.canvas = html("canvas", { class: "solid", tabindex: 0, role: "img", "aria-label": "The crystal's surface. Drag or use the arrow keys to turn it, + and − to zoom." });
    this.parts.cut = html("select", { "aria-label": "Cut", onchange: () => this.cut() }, ...["no cut", ...this.about.axes.map((name) => `cut across ${name}`)].map((text, k) => html("option", { value: k - 1 }, text)));
    this.parts.profile = html("div", { class: "chart" }, html("p", { class: "soft" }, "Draw a line in a slice to see the profile along it."));
    this.parts.histogram = html("div", { class: "chart" });
    const panel = (title, ...inside) => html("section", { class: "panel" }, html("h3", {}, title), ...inside);
    return html("div", { class: "panels" }, panel("Surface", this.parts.canvas, html("label", { class: "soft" }, "At the crosshair: ", this.parts.cut)),
      panel("Profile", this.parts.profile), panel("Histogram of the crystal", this.parts.histogram, html("p", { class: "soft" }, "Drag across it to set the colour scale.")));
  }

  sliceView(plane, index) {
    const canvas = html("canvas", {}), over = drawn("svg", { "aria-hidden": "true" });
    const stage = html("div", { class: "slice", tabindex: 0, role: "application" }, canvas, over);
    const slider = html("input", { type: "range", min: 0, step: 1, oninput: (event) => this.move(plane.across, Number(event.target.value)) });
    const caption = html("figcaption", {});
    const view = { plane, canvas, over, stage, slider, caption, figure: html("figure", {}, stage, slider, caption) };
    this.listen(view, index);
    return view;
  }

  listen(view, index) {
    const { stage, plane } = view;
    let began = null;
    const voxel = (event) => {
      const box = stage.getBoundingClientRect();
      return [this.shape[plane.up] * (1 - (event.clientY - box.top) / box.height) - 0.5, this.shape[plane.right] * ((event.clientX - box.left) / box.width) - 0.5];
    };
    stage.addEventListener("pointerdown", (event) => { began = { at: voxel(event), x: event.clientX, y: event.clientY }; stage.setPointerCapture(event.pointerId); });
    stage.addEventListener("pointermove", (event) => {
      if (!began || Math.hypot(event.clientX - began.x, event.clientY - began.y) < 5) return;
      this.measure({ index, from: began.at, to: voxel(event) });
    });
    stage.addEventListener("pointerup", (event) => {
      if (began && Math.hypot(event.clientX - began.x, event.clientY - began.y) < 5) {
        const [row, column] = began.at.map(Math.round);
        this.go({ [plane.up]: row, [plane.right]: column });
      }
      began = null;
    });
    stage.addEventListener("wheel", (event) => { event.preventDefault(); this.move(plane.across, this.at[plane.across] + Math.sign(event.deltaY)); }, { passive: false });
    stage.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [plane.right, -1], ArrowRight: [plane.right, 1], ArrowUp: [plane.up, 1], ArrowDown: [plane.up, -1], PageUp: [plane.across, 1], PageDown: [plane.across, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      this.move(step[0], this.at[step[0]] + step[1]);
    });
  }

  move(axis, to) { this.go({ [axis]: to }); }

  go(changes, passed = false) {
    for (const [axis, to] of Object.entries(changes)) this.at[axis] = Math.min(Math.max(Math.round(to), 0), this.shape[axis] - 1);
    this.draw();
    if (!passed) for (const other of this.linked) if (!this.field.pattern) other.go(changes, true);
  }

  async choose(k, passed = false) {
    const field = this.about.fields[k];
    if (!this.volumes.has(k)) this.volumes.set(k, unpacked(await this.source.volume(k), field.range));
    this.chosen = k;
    if (field.pattern && !this.patternPlace) this.patternPlace = field.shape.map((n) => n >> 1);
    this.parts.fields.value = k;
    this.line = null;
    const error = this.about.fields.findIndex((other) => other.name === `${field.name} error`);
    if (error >= 0 && !this.volumes.has(error)) this.volumes.set(error, unpacked(await this.source.volume(error), this.about.fields[error].range));
    this.errors = error >= 0 ? this.volumes.get(error) : null;
    this.draw();
    this.root.dataset.ready = field.name;
    this.drawHistogram();
    this.drawProfile();
    if (!passed) {
      for (const other of this.linked) {
        const same = other.about.fields.findIndex((item) => item.name === field.name);
        if (same >= 0) await other.choose(same, true);
      }
    }
    if (!this.compact) await this.showSurface();
  }

  limit(which, value) {
    if (which === null) this.limits[this.chosen] = [...this.field.limits];
    else this.limits[this.chosen][which] = value;
    this.draw();
    this.drawHistogram();
    this.paintSurface();
  }

  slice(index, volume = this.volumes.get(this.chosen)) {
    const plane = PLANES[index];
    return sliceOf(volume, this.shape, plane, this.at[plane.across]);
  }

  draw() {
    const [low, high] = this.limits[this.chosen];
    this.parts.low.value = Number(low.toPrecision(4));
    this.parts.high.value = Number(high.toPrecision(4));
    paintBar(this.parts.bar, this.table);
    this.parts.slices.forEach((view, index) => this.drawSlice(view, index, [low, high]));
    const value = valueAt(this.volumes.get(this.chosen), this.shape, this.at);
    const error = this.errors ? valueAt(this.errors, this.shape, this.at) : NaN;
    const where = this.axes.map((name, k) => `${name} ${numberText((this.at[k] - (this.shape[k] >> 1)) * this.step, 3)}`).join(", ");
    const unit = this.field.unit.replace(/^10/, "× 10"), number = withError(value, error);
    const much = unit !== this.field.unit && number.includes("±") ? `(${number})` : number;
    this.parts.value.textContent = `${this.field.name} ${much} ${unit} at ${where} ${this.unit}`;
    if (!this.compact) this.cut();
  }

  drawSlice(view, index, limits) {
    const { plane, canvas, over, stage, slider, caption } = view, slice = this.slice(index);
    paint(canvas, coloured(slice, this.table, limits));
    const { width, height } = slice, names = this.axes;
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.width = `${(100 * width) / this.widest()}%`;
    over.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const row = height - this.at[plane.up] - 0.5, column = this.at[plane.right] + 0.5;
    over.replaceChildren(drawn("line", { x1: 0, x2: width, y1: row, y2: row, class: "cross" }), drawn("line", { x1: column, x2: column, y1: 0, y2: height, class: "cross" }), ...this.scaleBar(width, height));
    if (this.line && this.line.index === index) {
      const [from, to] = [this.line.from, this.line.to];
      over.append(drawn("line", { x1: from[1] + 0.5, y1: height - from[0] - 0.5, x2: to[1] + 0.5, y2: height - to[0] - 0.5, class: "ruler" }));
    }
    slider.max = this.shape[plane.across] - 1;
    slider.value = this.at[plane.across];
    slider.setAttribute("aria-label", `Slice across ${names[plane.across]}`);
    stage.setAttribute("aria-label", `Plane of ${names[plane.right]} and ${names[plane.up]}. Arrows move the crosshair, page keys the slice.`);
    caption.textContent = `${names[plane.right]} → , ${names[plane.up]} ↑ · slice ${this.at[plane.across]} of ${this.shape[plane.across]} across ${names[plane.across]}`;
  }

  // All three slices are drawn at one scale, with bars of one length.
  widest() { return Math.max(...PLANES.map((plane) => this.shape[plane.right])); }
  barLength() { return roundLength((Math.min(...PLANES.map((plane) => this.shape[plane.right])) * this.step) / 3); }

  scaleBar(width, height) {
    const length = this.barLength(), pixels = length / this.step, size = this.widest() * 0.055;
    const x = 0.04 * width, y = height - 0.05 * height;
    return [drawn("rect", { x, y: y - 0.25 * size, width: pixels, height: 0.25 * size, class: "scalebar" }), drawn("text", { x, y: y - 0.5 * size, "font-size": size, class: "barname" }, `${numberText(length)} ${this.unit}`)];
  }

  measure(line) {
    this.line = line;
    this.draw();
    this.drawProfile();
  }

  profile() {
    if (!this.line) return null;
    const along = profileOf(this.slice(this.line.index), this.line.from, this.line.to);
    const errors = this.errors ? profileOf(this.slice(this.line.index, this.errors), this.line.from, this.line.to) : null;
    return along.map(({ distance, value }, k) => ({ distance: distance * this.step, value, error: errors ? errors[k].value : NaN }));
  }

  drawProfile() {
    const points = this.compact ? null : this.profile();
    if (!points) return;
    const known = points.filter(({ value }) => Number.isFinite(value));
    if (!known.length) return this.parts.profile.replaceChildren(html("p", { class: "soft" }, "The line runs outside the crystal."));
    const spread = known.map(({ value, error }) => [value - (error || 0), value + (error || 0)]).flat();
    const chart = new Chart(this.parts.profile, [0, points[points.length - 1].distance], [Math.min(...spread), Math.max(...spread)]);
    chart.axes(`distance (${this.unit})`, `${this.field.name}${this.field.unit ? ` (${this.field.unit})` : ""}`);
    const banded = known.filter(({ error }) => Number.isFinite(error));
    if (banded.length > 1) chart.area(banded.map((p) => [p.distance, p.value + p.error]).concat(banded.map((p) => [p.distance, p.value - p.error]).reverse()));
    chart.path(points.map(({ distance, value }) => [distance, value]));
  }

  drawHistogram() {
    if (this.compact) return;
    const volume = this.volumes.get(this.chosen), amplitude = this.volumes.get(0);
    const inside = this.field.pattern || !amplitude ? volume : volume.filter((_, k) => amplitude[k] >= 0.5);
    const range = this.field.name === "amplitude" ? [0, this.field.range[1]] : this.field.range;
    const counts = histogramOf(inside, range, 72);
    const chart = new Chart(this.parts.histogram, range, [0, Math.max(...counts, 1)]);
    chart.axes(`${this.field.name}${this.field.unit ? ` (${this.field.unit})` : ""}`, "voxels");
    counts.forEach((count, k) => chart.box(range[0] + (k / 72) * (range[1] - range[0]), range[0] + ((k + 1) / 72) * (range[1] - range[0]), count));
    for (const limit of this.limits[this.chosen]) chart.mark(limit);
    let from = null;
    chart.svg.addEventListener("pointerdown", (event) => { from = chart.valueAt(event); chart.svg.setPointerCapture(event.pointerId); });
    chart.svg.addEventListener("pointerup", (event) => {
      const to = chart.valueAt(event);
      if (from !== null && Math.abs(to - from) > 0.01 * (range[1] - range[0])) {
        this.limits[this.chosen] = [Math.min(from, to), Math.max(from, to)];
        this.limit(0, this.limits[this.chosen][0]);
      }
      from = null;
    });
  }

  async showSurface() {
    if (this.solid === undefined) {
      this.solid = null;
      const found = await this.source.surface();
      if (!found) return;
      this.solid = new Solid(this.parts.canvas);
      if (!this.solid.gl) return;
      this.surface = { corners: new Float32Array(bytesOf(found.corners).buffer), normals: new Float32Array(bytesOf(found.normals).buffer), triangles: new Uint32Array(bytesOf(found.triangles).buffer) };
      this.solid.show(this.surface);
    }
    this.paintSurface();
  }

  // The colour at a corner is the field a little below it, where it is known.
  paintSurface() {
    if (!this.solid || !this.solid.gl || !this.surface) return;
    const shown = this.field.pattern ? 0 : this.chosen, field = this.about.fields[shown], volume = this.volumes.get(shown);
    const [low, high] = this.limits[shown], table = this.tables[field.map], { corners, normals } = this.surface;
    const tints = new Uint8Array(corners.length).fill(150);
    for (let k = 0; k < corners.length; k += 3) {
      for (const depth of [0.7, 1.4, 2.2]) {
        const value = valueAt(volume, field.shape, [0, 1, 2].map((i) => Math.round(corners[k + i] - depth * normals[k + i])));
        if (!Number.isFinite(value)) continue;
        const shade = 3 * Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low || 1))));
        tints.set(table.subarray(shade, shade + 3), k);
        break;
      }
    }
    this.solid.paint(tints);
    this.cut();
  }

  cut() {
    if (!this.solid || !this.solid.gl || this.field.pattern) return;
    const across = Number(this.parts.cut.value), index = PLANES.findIndex((plane) => plane.across === across);
    if (index < 0) return this.solid.cut(null);
    const picture = coloured(this.slice(index), this.table, this.limits[this.chosen]), amplitude = this.slice(index, this.volumes.get(0));
    for (let k = 0; k < amplitude.values.length; k++) if (!(amplitude.values[k] >= 0.5)) picture.data[4 * k + 3] = 0;
    this.solid.cut({ ...PLANES[index], at: this.at[across], picture });
  }

  // The slices with their scale bars and the colour scale, as the text of an SVG file.
  drawing() {
    const height = 320, gap = 24, unit = height / Math.max(...this.parts.slices.map(({ canvas }) => canvas.height)), length = this.barLength(), names = this.axes;
    const pictures = this.parts.slices.map(({ canvas }) => ({ url: canvas.toDataURL(), width: unit * canvas.width, tall: unit * canvas.height }));
    const bar = html("canvas", { width: 1, height: 256 });
    paint(bar, { width: 1, height: 256, data: this.columnOf() });
    let x = gap;
    const pieces = pictures.map(({ url, width, tall }, index) => {
      const plane = PLANES[index];
      const piece = `<image x="${x}" y="${gap + height - tall}" width="${width}" height="${tall}" href="${url}" style="image-rendering:pixelated"/><rect x="${x + 12}" y="${gap + height - 16}" width="${(length / this.step) * unit}" height="5" fill="#22262b" stroke="#fff"/><text x="${x + 12}" y="${gap + height - 22}" font-size="14" stroke="#fff" stroke-width="3" paint-order="stroke">${numberText(length)} ${this.unit}</text><text x="${x}" y="${gap + height + 18}" font-size="13">${names[plane.right]} →, ${names[plane.up]} ↑</text>`;
      x += width + gap;
      return piece;
    });
    const [low, high] = this.limits[this.chosen];
    pieces.push(`<image x="${x}" y="${gap}" width="16" height="${height}" preserveAspectRatio="none" href="${bar.toDataURL()}"/><text x="${x + 22}" y="${gap + 12}" font-size="13">${numberText(high)}</text><text x="${x + 22}" y="${gap + height}" font-size="13">${numberText(low)}</text><text x="${x + 22}" y="${gap + height / 2}" font-size="13">${this.field.name}</text><text x="${x + 22}" y="${gap + height / 2 + 16}" font-size="13">${this.field.unit ? `(${this.field.unit})` : ""}</text>`);
    const wide = x + 150, tall = height + 2 * gap + 10;
    return { wide, tall, text: `<svg xmlns="${DRAWING}" viewBox="0 0 ${wide} ${tall}" width="${wide}" height="${tall}" font-family="sans-serif" fill="#22262b"><rect width="100%" height="100%" fill="#fff"/>${pieces.join("")}</svg>` };
  }

  columnOf() {
    const data = new Uint8Array(1024);
    for (let k = 0; k < 256; k++) data.set([...this.table.subarray(3 * k, 3 * k + 3), 255], 4 * k);
    return data;
  }

  saveDrawing() { save(this.fileName("svg"), new Blob([this.drawing().text], { type: "image/svg+xml" })); }

  savePicture() {
    const { wide, tall, text } = this.drawing(), image = new Image();
    image.addEventListener("load", () => {
      const canvas = html("canvas", { width: 2 * wide, height: 2 * tall });
      canvas.getContext("2d").drawImage(image, 0, 0, 2 * wide, 2 * tall);
      canvas.toBlob((blob) => save(this.fileName("png"), blob));
    });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  numbers() {
    const plain = (value) => (Number.isFinite(value) ? String(value) : "");
    const points = this.profile();
    if (points) return [`distance_${this.unit},value,error`, ...points.map((p) => [p.distance, p.value, p.error].map(plain).join(","))].join("\n");
    const rows = [0, 1, 2].flatMap((axis) => Array.from({ length: this.shape[axis] }, (_, k) => {
      const at = this.at.map((value, other) => (other === axis ? k : value));
      const error = this.errors ? valueAt(this.errors, this.shape, at) : NaN;
      return [this.axes[axis], (k - (this.shape[axis] >> 1)) * this.step, ...[valueAt(this.volumes.get(this.chosen), this.shape, at), error].map(plain)].join(",");
    }));
    return [`axis,position_${this.unit},value,error`, ...rows].join("\n");
  }

  saveNumbers() { save(this.fileName("csv"), new Blob([this.numbers() + "\n"], { type: "text/csv" })); }

  fileName(ending) { return `${this.about.title} ${this.field.name}`.replace(/[^\p{L}\p{N}]+/gu, "_") + `.${ending}`; }
}

// Axes, a curve, bars and a band as plain SVG.
export class Chart {
  constructor(holder, [x0, x1], [y0, y1]) {
    this.width = Math.max(holder.clientWidth, 200);
    // Sizes follow the page's letters, which are larger on a control room's screen.
    const em = (this.em = 0.75 * parseFloat(getComputedStyle(document.documentElement).fontSize));
    this.height = 16 * em;
    this.frame = { left: 5 * em, right: this.width - em, top: 1.4 * em, bottom: this.height - 3.2 * em };
    const margin = 0.05 * (y1 - y0 || Math.abs(y1) || 1);
    Object.assign(this, { x0, x1: x1 === x0 ? x0 + 1 : x1, y0: y0 === 0 ? 0 : y0 - margin, y1: y1 + margin });
    this.svg = drawn("svg", { viewBox: `0 0 ${this.width} ${this.height}`, role: "img" });
    holder.replaceChildren(this.svg);
  }

  x(value) { return this.frame.left + ((value - this.x0) / (this.x1 - this.x0)) * (this.frame.right - this.frame.left); }
  y(value) { return this.frame.bottom - ((value - this.y0) / (this.y1 - this.y0)) * (this.frame.bottom - this.frame.top); }
  put(kind, attributes, text) { this.svg.append(drawn(kind, attributes, text)); }

  valueAt(event) {
    const box = this.svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * this.width;
    return this.x0 + ((at - this.frame.left) / (this.frame.right - this.frame.left)) * (this.x1 - this.x0);
  }

  axes(nameX, nameY) {
    const { left, right, top, bottom } = this.frame;
    for (const { value, text } of roundTicks(this.x0, this.x1, 6)) {
      this.put("text", { x: this.x(value), y: bottom + 1.3 * this.em, "text-anchor": this.x(value) > right - this.em ? "end" : "middle" }, text);
    }
    for (const { value, text } of roundTicks(this.y0, this.y1, 5)) {
      this.put("line", { x1: left, x2: right, y1: this.y(value), y2: this.y(value), class: "grid" });
      this.put("text", { x: left - 0.5 * this.em, y: this.y(value) + 0.35 * this.em, "text-anchor": "end" }, text);
    }
    this.put("text", { x: (left + right) / 2, y: this.height - 0.4 * this.em, "text-anchor": "middle" }, nameX);
    this.put("text", { x: left, y: top - 0.4 * this.em }, nameY);
    this.svg.setAttribute("aria-label", `${nameY} against ${nameX}`);
  }

  path(points) {
    let text = "", pen = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(y)) { pen = false; continue; }
      text += `${pen ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`;
      pen = true;
    }
    this.put("path", { d: text, class: "curve" });
  }

  area(points) { this.put("polygon", { points: points.map(([x, y]) => `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`).join(" "), class: "band" }); }
  box(from, to, count) { this.put("rect", { x: this.x(from), y: this.y(count), width: Math.max(0.5, this.x(to) - this.x(from) - 0.5), height: Math.max(0, this.frame.bottom - this.y(count)), class: "count" }); }
  mark(value) { if (value >= this.x0 && value <= this.x1) this.put("line", { x1: this.x(value), x2: this.x(value), y1: this.frame.top, y2: this.frame.bottom, class: "mark" }); }
}

export function paint(canvas, { width, height, data }) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let row = 0; row < height; row++) image.data.set(data.subarray(4 * row * width, 4 * (row + 1) * width), 4 * (height - 1 - row) * width);
  context.putImageData(image, 0, 0);
}

function paintBar(canvas, table) {
  const context = canvas.getContext("2d"), image = context.createImageData(256, 1);
  for (let k = 0; k < 256; k++) image.data.set([...table.subarray(3 * k, 3 * k + 3), 255], 4 * k);
  context.putImageData(image, 0, 0);
}

function save(name, blob) {
  const url = URL.createObjectURL(blob), link = html("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

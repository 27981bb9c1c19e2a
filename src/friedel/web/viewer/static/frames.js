// The raw detector frames behind a result: read only when asked for, since a scan takes seconds and megabytes.
import { Chart, paint } from "/static/viewer/viewer.js";
import { bytesOf, coloured, numberText, unpacked } from "/static/viewer/volume.js";

export class Frames {
  // about(): Promise of the description; frame(k): Promise of {buffer, largest}.
  constructor(host, { about, frame, html }) {
    Object.assign(this, { host, source: { about, frame }, html, at: 0, asked: 0 });
    this.button = html("button", { type: "button", onclick: () => this.open() }, "Show the detector's frames");
    host.append(html("h2", {}, "Raw frames"), this.button);
  }

  async open() {
    this.button.disabled = true;
    this.button.textContent = "reading …";
    try {
      this.about = await this.source.about();
    } catch (error) {
      this.button.replaceWith(this.html("p", { class: "soft", role: "alert" }, `The frames can't be shown: ${error.message}`));
      return;
    }
    this.table = bytesOf(this.about.map);
    this.build();
    this.button.remove();
    const { sums } = this.about;
    await this.go(sums.indexOf(Math.max(...sums)));
  }

  build() {
    const { html, about } = this, [count, rows, columns] = about.shape;
    this.canvas = html("canvas", { class: "frame", role: "img" });
    this.canvas.style.aspectRatio = `${columns} / ${rows}`;
    this.canvas.style.maxWidth = `${(80 * columns) / rows}vh`;
    this.slider = html("input", { type: "range", min: 0, max: count - 1, step: 1, "aria-label": "Frame", oninput: (event) => this.go(Number(event.target.value)) });
    this.scale = html("select", { "aria-label": "Colour scale", onchange: () => this.draw() }, html("option", { value: "scan" }, "one scale for the scan"), html("option", { value: "frame" }, "each frame its own"));
    this.caption = html("p", { class: "soft", "aria-live": "polite" });
    this.curve = html("div", { class: "chart" });
    const size = about.block > 1 ? ` Each pixel here is the brightest of ${about.block} × ${about.block}.` : "";
    const known = `${numberText(100 * about.masked, 3)}% of the pixels are masked (hatched).${size}`;
    this.host.append(html("div", { class: "frames viewer" }, html("div", {}, this.canvas, this.slider), html("div", {}, this.caption, html("p", {}, this.scale), this.curve, html("p", { class: "soft" }, known), html("details", {}, html("summary", {}, "What was read"), html("pre", {}, about.read)))));
    this.curve.addEventListener("pointerdown", (event) => this.pick(event));
  }

  // Of several frames asked for in a row only the latest is drawn.
  async go(place) {
    this.at = place;
    this.slider.value = place;
    const ticket = ++this.asked, { buffer, largest } = await this.source.frame(place);
    if (ticket !== this.asked) return;
    this.values = unpacked(buffer, [0, largest]);
    this.largest = largest;
    this.draw();
    this.drawCurve();
    this.host.dataset.frame = place;
  }

  draw() {
    const [, height, width] = this.about.shape, top = this.scale.value === "scan" ? this.about.range[1] : this.largest;
    // Rows count downwards on a detector, upwards in a slice.
    const upside = new Float32Array(this.values.length);
    for (let row = 0; row < height; row++) upside.set(this.values.subarray((height - 1 - row) * width, (height - row) * width), row * width);
    paint(this.canvas, coloured({ width, height, values: upside }, this.table, [0, top || 1]));
    const { angles, scanned, sums } = this.about;
    const where = angles ? `, ${scanned.replace(" (", " ").replace(")", "").replace("°", "")} = ${numberText(angles[this.at], 6)}${scanned.includes("°") ? "°" : ""}` : "";
    this.caption.textContent = `frame ${this.at} of ${this.about.shape[0]}${where} · ${numberText(sums[this.at], 5)} counts`;
    this.canvas.setAttribute("aria-label", this.caption.textContent);
  }

  along() { return this.about.angles || this.about.sums.map((_, k) => k); }

  drawCurve() {
    const { sums, scanned } = this.about, along = this.along(), points = sums.map((sum, k) => [along[k], Math.log10(1 + Math.max(sum, 0))]);
    points.sort((a, b) => a[0] - b[0]);
    const heights = points.map(([, y]) => y);
    this.chart = new Chart(this.curve, [points[0][0], points[points.length - 1][0]], [Math.min(...heights), Math.max(...heights)]);
    this.chart.axes(scanned, "log₁₀ counts of a frame");
    this.chart.path(points);
    this.chart.mark(along[this.at]);
  }

  pick(event) {
    const value = this.chart.valueAt(event), along = this.along();
    this.go(along.reduce((best, x, k) => (Math.abs(x - value) < Math.abs(along[best] - value) ? k : best), 0));
  }
}

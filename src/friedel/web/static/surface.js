// A surface to turn, in WebGL: vertices (n, 3), faces (m, 3), and a value a vertex. It keeps its pose as it improves.
import { colour } from "./arrays.js";

const VERTEX = `#version 300 es
  in vec3 place; in vec3 normal; in vec3 tint;
  uniform mat3 turn; uniform vec2 zoom;
  out vec3 facing; out vec3 shade;
  void main() {
    vec3 seen = turn * place;
    facing = turn * normal;
    shade = tint;
    gl_Position = vec4(seen.xy * zoom, -0.4 * seen.z, 1.0);
  }`;
const FRAGMENT = `#version 300 es
  precision highp float;
  in vec3 facing; in vec3 shade;
  out vec4 shown;
  void main() {
    float light = max(dot(normalize(facing), normalize(vec3(-0.3, 0.5, 0.8))), 0.0);
    shown = vec4(shade * (0.6 + 0.4 * light), 1.0);
  }`;

export class Surface {
  constructor(canvas, axes) {
    this.canvas = canvas;
    this.axes = axes;
    this.corners = 0;
    this.start = turned(turned([[1, 0, 0], [0, 1, 0], [0, 0, 1]], -0.6, true), 0.38, false);
    this.turn = this.start;
    this.size = 1;
    this.gl = canvas.getContext("webgl2", { antialias: true, alpha: true, preserveDrawingBuffer: true });
    if (this.gl) this.prepare();
    this.listen();
  }

  prepare() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    this.program = program;
    this.buffers = Object.fromEntries(["place", "normal", "tint", "faces"].map((name) => [name, gl.createBuffer()]));
  }

  show(vertices, faces, values, { map, low, high }, names) {
    if (!this.gl) return;
    const gl = this.gl, { places, reach } = centred(vertices.values);
    const tints = new Uint8Array(vertices.values.length);
    values.values.forEach((value, k) => tints.set(colour(map, value, low, high) || [128, 128, 128], 3 * k));
    this.attribute("place", places, gl.FLOAT, false);
    this.attribute("normal", normals(places, faces.values), gl.FLOAT, false);
    this.attribute("tint", tints, gl.UNSIGNED_BYTE, true);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.faces);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(faces.values), gl.DYNAMIC_DRAW);
    this.corners = faces.values.length;
    this.reach = reach;
    this.axes.querySelectorAll("text").forEach((text, k) => { text.textContent = names[k].split(" ")[0]; });
    this.draw();
  }

  attribute(name, array, kind, normalised) {
    const gl = this.gl, at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 3, kind, normalised, 0, 0);
  }

  draw() {
    if (!this.gl || !this.corners) return;
    const gl = this.gl, ratio = window.devicePixelRatio || 1, { canvas } = this;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const short = 0.92 * Math.min(canvas.width, canvas.height) * this.size;
    gl.uniformMatrix3fv(gl.getUniformLocation(this.program, "turn"), false, this.turn.flat());
    gl.uniform2f(gl.getUniformLocation(this.program, "zoom"), short / canvas.width, short / canvas.height);
    gl.drawElements(gl.TRIANGLES, this.corners, gl.UNSIGNED_INT, 0);
    const lines = this.axes.querySelectorAll("line"), texts = this.axes.querySelectorAll("text");
    this.turn.forEach(([right, up], axis) => {
      lines[axis].setAttribute("x2", 32 * right);
      lines[axis].setAttribute("y2", -32 * up);
      texts[axis].setAttribute("x", 44 * right);
      texts[axis].setAttribute("y", -44 * up);
    });
  }

  by(horizontal, vertical) {
    this.turn = turned(turned(this.turn, horizontal, true), vertical, false);
    this.draw();
  }

  listen() {
    const { canvas } = this;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.by((event.clientX - last[0]) * 0.01, (event.clientY - last[1]) * 0.01);
      last = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
    canvas.addEventListener("dblclick", () => { this.turn = this.start; this.size = 1; this.draw(); });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (event.key === "+" || event.key === "-") this.size *= event.key === "+" ? 1.1 : 1 / 1.1;
      else if (!step) return;
      event.preventDefault();
      this.by(...(step || [0, 0]));
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }
}

// Rows: where x, y and z point on the screen (right, up, towards the eye).
function turned(matrix, angle, horizontal) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return matrix.map(([x, y, z]) => horizontal ? [c * x + s * z, y, c * z - s * x] : [x, c * y - s * z, s * y + c * z]);
}

function centred(values) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  values.forEach((value, k) => {
    low[k % 3] = Math.min(low[k % 3], value);
    high[k % 3] = Math.max(high[k % 3], value);
  });
  let reach = 0;
  for (let k = 0; k < values.length; k += 3) {
    reach = Math.max(reach, Math.hypot(...[0, 1, 2].map((axis) => values[k + axis] - (low[axis] + high[axis]) / 2)));
  }
  return { reach, places: Float32Array.from(values, (value, k) => (value - (low[k % 3] + high[k % 3]) / 2) / (reach || 1)) };
}

function normals(places, faces) {
  const found = new Float32Array(places.length);
  for (let k = 0; k < faces.length; k += 3) {
    const [a, b, c] = [faces[k] * 3, faces[k + 1] * 3, faces[k + 2] * 3];
    const u = [0, 1, 2].map((i) => places[b + i] - places[a + i]), v = [0, 1, 2].map((i) => places[c + i] - places[a + i]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const corner of [a, b, c]) for (let i = 0; i < 3; i++) found[corner + i] += n[i];
  }
  return found;
}

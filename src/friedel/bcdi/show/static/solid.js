// A crystal's surface to turn and to cut, in WebGL. Places come as voxel indices (z, y, x); the world is (x, y, z).
const MESH_VERTEX = `#version 300 es
  in vec3 place; in vec3 normal; in vec3 tint;
  uniform mat3 turn; uniform vec2 zoom;
  out vec3 at; out vec3 facing; out vec3 shade;
  void main() {
    vec3 seen = turn * place;
    at = place; facing = turn * normal; shade = tint;
    gl_Position = vec4(seen.xy * zoom, -0.3 * seen.z, 1.0);
  }`;
const MESH_FRAGMENT = `#version 300 es
  precision highp float;
  in vec3 at; in vec3 facing; in vec3 shade;
  uniform vec4 cut;
  out vec4 shown;
  void main() {
    if (dot(at, cut.xyz) > cut.w) discard;
    vec3 n = normalize(facing);
    float light = gl_FrontFacing ? max(dot(n, normalize(vec3(-0.3, 0.5, 0.8))), 0.0) : 0.1;
    shown = vec4(shade * (0.6 + 0.4 * light), 1.0);
  }`;
const PLANE_VERTEX = `#version 300 es
  in vec3 place; in vec2 texel;
  uniform mat3 turn; uniform vec2 zoom;
  out vec2 where;
  void main() {
    vec3 seen = turn * place;
    where = texel;
    gl_Position = vec4(seen.xy * zoom, -0.3 * seen.z, 1.0);
  }`;
const PLANE_FRAGMENT = `#version 300 es
  precision highp float;
  in vec2 where;
  uniform sampler2D picture;
  out vec4 shown;
  void main() {
    vec4 found = texture(picture, where);
    if (found.a < 0.5) discard;
    shown = vec4(found.rgb, 1.0);
  }`;

export class Solid {
  constructor(canvas) {
    this.canvas = canvas;
    this.start = turnBy(turnBy([[1, 0, 0], [0, 1, 0], [0, 0, 1]], -0.6, true), 0.38, false);
    this.turn = this.start;
    this.size = 1;
    this.cutting = null;
    this.gl = canvas.getContext("webgl2", { antialias: true, alpha: true, preserveDrawingBuffer: true });
    if (!this.gl) return;
    this.mesh = this.program(MESH_VERTEX, MESH_FRAGMENT);
    this.plane = this.program(PLANE_VERTEX, PLANE_FRAGMENT);
    this.buffers = Object.fromEntries(["place", "normal", "tint", "faces", "quad", "texel"].map((name) => [name, this.gl.createBuffer()]));
    this.texture = this.gl.createTexture();
    this.gl.enable(this.gl.DEPTH_TEST);
    this.listen();
  }

  program(vertex, fragment) {
    const gl = this.gl, made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    return made;
  }

  // corners and normals: (n, 3) in voxel indices (z, y, x).
  show({ corners, normals, triangles }) {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    corners.forEach((value, k) => { low[k % 3] = Math.min(low[k % 3], value); high[k % 3] = Math.max(high[k % 3], value); });
    this.middle = low.map((value, k) => (value + high[k]) / 2);
    this.reach = 0;
    for (let k = 0; k < corners.length; k += 3) {
      this.reach = Math.max(this.reach, Math.hypot(...[0, 1, 2].map((i) => corners[k + i] - this.middle[i])));
    }
    this.places = new Float32Array(corners.length);
    this.normals = new Float32Array(normals.length);
    for (let k = 0; k < corners.length; k += 3) {
      for (let i = 0; i < 3; i++) {
        this.places[k + 2 - i] = (corners[k + i] - this.middle[i]) / this.reach;
        this.normals[k + 2 - i] = normals[k + i];
      }
    }
    this.triangles = triangles;
    this.draw();
  }

  paint(tints) {
    this.tints = tints;
    this.draw();
  }

  // plane: array axis cut across; at: voxel; picture: {width, height, data} with rows along `up` and columns along `right`.
  cut(plane) {
    this.cutting = plane;
    this.draw();
  }

  attribute(program, name, buffer, values, size, kind, normalised) {
    const gl = this.gl, at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, kind, normalised, 0, 0);
  }

  pose(program) {
    const { gl, canvas } = this, short = 0.94 * Math.min(canvas.width, canvas.height) * this.size;
    gl.useProgram(program);
    gl.uniformMatrix3fv(gl.getUniformLocation(program, "turn"), false, this.turn.flat());
    gl.uniform2f(gl.getUniformLocation(program, "zoom"), short / canvas.width, short / canvas.height);
  }

  draw() {
    const { gl, canvas } = this;
    if (!gl || !this.places || !this.tints) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.pose(this.mesh);
    this.attribute(this.mesh, "place", this.buffers.place, this.places, 3, gl.FLOAT, false);
    this.attribute(this.mesh, "normal", this.buffers.normal, this.normals, 3, gl.FLOAT, false);
    this.attribute(this.mesh, "tint", this.buffers.tint, this.tints, 3, gl.UNSIGNED_BYTE, true);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.faces);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.triangles, gl.DYNAMIC_DRAW);
    gl.uniform4f(gl.getUniformLocation(this.mesh, "cut"), ...this.cutPlane());
    gl.drawElements(gl.TRIANGLES, this.triangles.length, gl.UNSIGNED_INT, 0);
    if (this.cutting) this.drawPlane();
  }

  cutPlane() {
    if (!this.cutting) return [0, 0, 0, 1];
    const normal = [0, 0, 0];
    normal[2 - this.cutting.across] = 1;
    return [...normal, (this.cutting.at - this.middle[this.cutting.across]) / this.reach + 1e-4];
  }

  drawPlane() {
    const gl = this.gl, { across, up, right, at, picture } = this.cutting, quad = [];
    const ends = (axis, n) => [-0.5, n - 0.5].map((value) => (value - this.middle[axis]) / this.reach);
    const [bottom, top] = ends(up, picture.height), [left, far] = ends(right, picture.width);
    for (const [u, v] of [[bottom, left], [bottom, far], [top, left], [top, far]]) {
      const place = [0, 0, 0];
      place[2 - across] = (at - this.middle[across]) / this.reach;
      place[2 - up] = u;
      place[2 - right] = v;
      quad.push(...place);
    }
    this.pose(this.plane);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, picture.width, picture.height, 0, gl.RGBA, gl.UNSIGNED_BYTE, picture.data);
    for (const name of ["TEXTURE_MIN_FILTER", "TEXTURE_MAG_FILTER"]) gl.texParameteri(gl.TEXTURE_2D, gl[name], gl.NEAREST);
    for (const name of ["TEXTURE_WRAP_S", "TEXTURE_WRAP_T"]) gl.texParameteri(gl.TEXTURE_2D, gl[name], gl.CLAMP_TO_EDGE);
    this.attribute(this.plane, "place", this.buffers.quad, new Float32Array(quad), 3, gl.FLOAT, false);
    this.attribute(this.plane, "texel", this.buffers.texel, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), 2, gl.FLOAT, false);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  by(horizontal, vertical) {
    this.turn = turnBy(turnBy(this.turn, horizontal, true), vertical, false);
    this.draw();
  }

  listen() {
    const { canvas } = this;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
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
function turnBy(matrix, angle, horizontal) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return matrix.map(([x, y, z]) => horizontal ? [c * x + s * z, y, c * z - s * x] : [x, c * y - s * z, s * y + c * z]);
}

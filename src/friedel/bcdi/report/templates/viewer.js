// Turns the surface with mouse, finger or arrow keys. Without WebGL or scripts the still picture stays in its place.
(function () {
  "use strict";
  const source = document.getElementById("mesh"), holder = document.getElementById("viewer");
  if (!source || !holder) return;
  const canvas = holder.querySelector("canvas");
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: true, preserveDrawingBuffer: true });
  if (!gl) return;
  const mesh = JSON.parse(source.textContent);

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }
  function shader(kind, text) {
    const compiled = gl.createShader(kind);
    gl.shaderSource(compiled, text);
    gl.compileShader(compiled);
    return compiled;
  }
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `#version 300 es
    in vec3 place; in vec3 normal; in vec3 colour;
    uniform mat3 turn; uniform vec2 zoom;
    out vec3 facing; out vec3 tint;
    void main() {
      vec3 seen = turn * place;
      facing = turn * normal;
      tint = colour;
      gl_Position = vec4(seen.xy * zoom, -0.4 * seen.z, 1.0);
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float;
    in vec3 facing; in vec3 tint;
    out vec4 shown;
    void main() {
      float light = max(dot(normalize(facing), normalize(vec3(-0.3, 0.5, 0.8))), 0.0);
      shown = vec4(tint * (0.6 + 0.4 * light), 1.0);
    }`));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return;
  gl.useProgram(program);

  function attribute(name, array, kind) {
    const at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 3, kind, true, 0, 0);
  }
  attribute("place", bytes(mesh.places), gl.SHORT);
  attribute("normal", bytes(mesh.normals), gl.BYTE);
  attribute("colour", bytes(mesh.colours), gl.UNSIGNED_BYTE);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, bytes(mesh.triangles), gl.STATIC_DRAW);
  gl.enable(gl.DEPTH_TEST);

  // Columns: where laboratory x, y and z point on the screen (right, up, towards the eye).
  function turned(matrix, angle, horizontal) {
    const c = Math.cos(angle), s = Math.sin(angle);
    return matrix.map(([x, y, z]) => horizontal ? [c * x + s * z, y, c * z - s * x] : [x, c * y - s * z, s * y + c * z]);
  }
  const start = turned(turned([[1, 0, 0], [0, 1, 0], [0, 0, 1]], -0.6, true), 0.38, false);
  let turn = start, size = 1, last = null;

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const short = Math.min(canvas.width, canvas.height);
    gl.uniformMatrix3fv(gl.getUniformLocation(program, "turn"), false, turn.flat());
    gl.uniform2f(gl.getUniformLocation(program, "zoom"), size * short / canvas.width, size * short / canvas.height);
    gl.drawElements(gl.TRIANGLES, mesh.corners, gl.UNSIGNED_INT, 0);
    turn.forEach(([right, up], axis) => {
      const line = holder.querySelectorAll("line")[axis], text = holder.querySelectorAll("text")[axis];
      line.setAttribute("x2", 32 * right);
      line.setAttribute("y2", -32 * up);
      text.setAttribute("x", 44 * right);
      text.setAttribute("y", -44 * up);
    });
  }
  function by(horizontal, vertical) {
    turn = turned(turned(turn, horizontal, true), vertical, false);
    draw();
  }
  canvas.addEventListener("pointerdown", (event) => {
    last = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    by((event.clientX - last[0]) * 0.01, (event.clientY - last[1]) * 0.01);
    last = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  canvas.addEventListener("dblclick", () => { turn = start; size = 1; draw(); });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (event.key === "+" || event.key === "-") size *= event.key === "+" ? 1.1 : 1 / 1.1;
    else if (!step) return;
    event.preventDefault();
    by(...(step || [0, 0]));
  });
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((box) => { box.open = true; }));
  holder.classList.add("live");
  document.getElementById("hint").hidden = false;
  draw();
})();

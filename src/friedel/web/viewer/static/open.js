// The table of results, one result, and two beside one another. The address says what is shown: #/, #/3, #/3/7.
import { Viewer } from "/static/viewer/viewer.js";
import { Frames } from "/static/open/frames.js";
import { withError } from "/static/viewer/volume.js";

const at = (name) => document.getElementById(name);
const COLUMNS = [
  { name: "name", title: "Result", text: (row) => row.name },
  { name: "source", title: "Sample, scan", text: (row) => row.source || "" },
  { name: "trusted", title: "Verdict", text: (row) => (row.error ? "can't be read" : row.trusted === undefined ? "" : row.trusted ? "passed" : "look") },
  { name: "chi", title: "χ", digits: 3 },
  { name: "diameter_nm", title: "Diameter (nm)", digits: 3 },
  { name: "strain_rms", title: "Strain, rms (10⁻³)", digits: 3, scale: 1e3 },
  { name: "d_spacing_angstrom", title: "d (Å)", digits: 6 },
  { name: "hit_rate", title: "Hit rate (%)", digits: 3, scale: 100 },
  { name: "halves", title: "Halves agree", digits: 3 },
  { name: "frames", title: "Frames", digits: 7 },
];
const state = { rows: [], sort: "name", down: false, filter: "", marked: [] };

function html(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

async function fetched(path) {
  const response = await fetch(path);
  if (!response.ok) {
    const said = await response.json().catch(() => ({ error: response.statusText }));
    throw new Error(said.error);
  }
  return response;
}

// Columns that no row fills are left out; conditions (temperature, any motor) come after the name.
function columns() {
  const conditions = [...new Set(state.rows.flatMap((row) => Object.keys(row.conditions || {})))].map((name) => ({ name: `conditions.${name}`, title: name.replaceAll("_", " "), digits: 6 }));
  const all = [...COLUMNS.slice(0, 2), ...conditions, ...COLUMNS.slice(2)];
  return all.filter((column) => state.rows.some((row) => valueOf(row, column) !== undefined && valueOf(row, column) !== ""));
}

function valueOf(row, column) {
  const value = column.name.startsWith("conditions.") ? (row.conditions || {})[column.name.slice(11)] : column.text ? column.text(row) : row[column.name];
  return value === null ? undefined : value;
}

function cellText(row, column) {
  const value = valueOf(row, column), error = (row.errors || {})[column.name];
  if (value === undefined) return row.waiting && ["diameter_nm", "strain_rms"].includes(column.name) ? "…" : "";
  if (typeof value !== "number") return String(value);
  const scale = column.scale || 1;
  return withError(value * scale, error * scale, column.digits);
}

function sorted() {
  const column = columns().find((one) => one.name === state.sort) || COLUMNS[0], words = state.filter.toLowerCase().split(/\s+/).filter(Boolean), chosen = columns();
  const kept = state.rows.filter((row) => words.every((word) => fits(row, word, chosen)));
  const before = new Intl.Collator("en", { numeric: true }).compare;
  return kept.sort((a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return (typeof x === "number" && typeof y === "number" ? x - y : before(String(x), String(y))) * (state.down ? -1 : 1);
  });
}

// A word of the filter: text anywhere in the row, or a comparison such as χ<0.1, temperature>=300.
function fits(row, word, chosen) {
  const asked = word.match(/^(.+?)(<=|>=|<|>|=)(.+)$/);
  if (!asked) return chosen.some((column) => cellText(row, column).toLowerCase().includes(word));
  const column = chosen.find(({ name, title }) => [name, title].some((text) => text.toLowerCase().replace("conditions.", "").startsWith(asked[1])));
  const value = column && valueOf(row, column), limit = Number(asked[3]);
  if (value === undefined) return false;
  if (typeof value !== "number") return asked[2] === "=" && String(value).toLowerCase() === asked[3];
  const shown = value * (column.scale || 1);
  return { "<": shown < limit, ">": shown > limit, "<=": shown <= limit, ">=": shown >= limit, "=": Math.abs(shown - limit) <= 1e-9 * Math.abs(limit) }[asked[2]];
}

function showTable() {
  const body = html("tbody"), head = html("tr"), found = html("span", { class: "soft", role: "status" });
  const fill = () => {
    const chosen = columns(), rows = sorted();
    head.replaceChildren(html("th", {}, ""), ...chosen.map((column) => heading(column, fill)));
    body.replaceChildren(...rows.map((row) => line(row, chosen)));
    found.textContent = rows.length === state.rows.length ? `${rows.length} results` : `${rows.length} of ${state.rows.length} results`;
  };
  const filter = html("input", { type: "search", placeholder: "Filter: gold  χ<0.1  temperature>=300", "aria-label": "Filter", value: state.filter, oninput: (event) => { state.filter = event.target.value; fill(); } });
  at("main").replaceChildren(html("div", { class: "finder" }, filter, found), html("div", { class: "results" }, html("table", {}, html("thead", {}, head), body)));
  fill();
  tellMarked();
  at("where").textContent = "results";
  document.title = "friedel – results";
  return fill;
}

function heading(column, fill) {
  const sort = state.sort === column.name ? (state.down ? "descending" : "ascending") : "none";
  return html("th", { scope: "col", "aria-sort": sort, class: column.digits ? "number" : "" }, html("button", { type: "button", onclick: () => {
    state.down = state.sort === column.name && !state.down;
    state.sort = column.name;
    fill();
  } }, column.title));
}

function line(row, chosen) {
  const mark = html("input", { type: "checkbox", "aria-label": `Choose ${row.name} to compare`, onchange: (event) => {
    state.marked = event.target.checked ? [...state.marked, row.number].slice(-2) : state.marked.filter((number) => number !== row.number);
    document.querySelectorAll("tbody input").forEach((box) => { box.checked = state.marked.includes(Number(box.dataset.number)); });
    tellMarked();
  } });
  mark.dataset.number = row.number;
  mark.checked = state.marked.includes(row.number);
  const cells = chosen.map((column) => {
    const text = cellText(row, column);
    if (column.name === "name" && !row.error) return html("td", {}, html("a", { href: row.kind === "crystal" ? `#/${row.number}` : `/file/${row.number}/report.html`, ...(row.kind === "crystal" ? {} : { target: "_blank", rel: "noopener" }) }, text));
    return html("td", { class: column.name === "trusted" && text ? (text === "passed" ? "yes" : "no") : column.digits ? "number" : "", title: row.error || false }, text);
  });
  return html("tr", {}, html("td", {}, row.kind === "crystal" && !row.error ? mark : ""), ...cells);
}

function tellMarked() {
  const [first, second] = state.marked;
  const link = html("a", { class: "button" + (second === undefined ? "" : " main"), href: second === undefined ? "#/" : `#/${first}/${second}` }, second === undefined ? "Choose two to compare" : "Compare the two");
  at("actions").replaceChildren(link);
}

async function source(key) {
  const about = await (await fetched(`/api/result/${key}`)).json();
  return {
    about,
    volume: async (k) => (await fetched(`/api/result/${key}/volume/${k}`)).arrayBuffer(),
    surface: async () => (await fetched(`/api/result/${key}/surface`)).json(),
  };
}

async function showOne(number) {
  const row = state.rows[number], shown = await source(number), holder = html("div", { class: "card" });
  const links = [["report.html", "Report"], ["crystal.png", "Picture"], ["plan.yaml", "Plan"]].map(([file, name]) => html("a", { class: "button", href: `/file/${number}/${file}`, target: "_blank", rel: "noopener" }, name));
  const verdict = shown.about.trusted === null ? "" : html("p", { class: shown.about.trusted ? "yes" : "no" }, shown.about.trusted ? "The checks passed" : "A check failed: read why");
  const side = html("aside", { class: "card side" }, html("h2", {}, "How sure is it?"), verdict, html("dl", {}, ...Object.entries(shown.about.about).flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)])),
    html("ul", {}, ...shown.about.reasons.map((reason) => html("li", {}, reason))), html("div", { class: "links" }, ...(row && row.report ? links : [])));
  const raw = html("section", { class: "card raw" });
  new Frames(raw, { html, about: async () => (await fetched(`/api/result/${number}/frames`)).json(), frame: async (k) => {
    const answer = await fetched(`/api/result/${number}/frames/${k}`);
    return { buffer: await answer.arrayBuffer(), largest: Number(answer.headers.get("X-Largest")) };
  } });
  at("main").replaceChildren(html("div", { class: "result" }, holder, side, raw));
  at("where").textContent = shown.about.title;
  document.title = `${shown.about.title} – friedel`;
  at("actions").replaceChildren(html("a", { class: "button", href: "#/" }, "All results"));
  window.viewer = new Viewer(holder, shown);
  await window.viewer.ready;
}

async function showTwo(first, second) {
  at("actions").replaceChildren(html("a", { class: "button", href: "#/" }, "All results"), html("a", { class: "button", href: `#/${second}/${first}` }, "Swap"));
  const holders = [0, 1, 2].map(() => html("section", { class: "card" }));
  at("main").replaceChildren(html("div", { class: "pair" }, ...holders));
  at("where").textContent = "aligning …";
  const shown = await Promise.all([`${first}`, `${first}~${second}`, `${first}-${second}`].map(source));
  const viewers = shown.map((one, k) => {
    const words = Object.entries(one.about.about).slice(0, 2).map(([name, value]) => `${name} ${value}`).join(" · ");
    holders[k].append(html("h2", {}, one.about.title), html("p", { class: "soft" }, words));
    return new Viewer(holders[k], one, { compact: true });
  });
  await Promise.all(viewers.map((viewer) => viewer.ready));
  for (const viewer of viewers) viewer.linked = viewers.filter((other) => other !== viewer);
  at("where").textContent = "two results, the second moved onto the first, and their difference";
  document.title = "two results – friedel";
  window.viewer = viewers[0];
}

async function route() {
  at("alarm").hidden = true;
  const parts = window.location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  try {
    if (parts.length === 0) return showTable();
    return await (parts.length === 1 ? showOne(Number(parts[0])) : showTwo(Number(parts[0]), Number(parts[1])));
  } catch (error) {
    at("alarm").hidden = false;
    at("alarm").querySelector("strong").textContent = "That can't be shown.";
    at("alarm").querySelector("span").textContent = error.message;
  }
  return null;
}

async function read() {
  state.rows = (await (await fetched("/api/results")).json()).map((row, number) => ({ ...row, number }));
}

async function begin() {
  await read();
  window.addEventListener("hashchange", route);
  const fill = await route();
  while (state.rows.some((row) => row.waiting)) {
    await new Promise((done) => setTimeout(done, 1500));
    await read();
    if (fill && !window.location.hash.replace(/^#\/?/, "")) fill();
  }
}

begin();

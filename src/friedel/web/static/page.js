// The page: one socket, parts as they change, and what a person may ask for (a threshold, a pause).
import { showCrystal, showSlices, showSurface } from "./crystal.js";
import { showGallery, showMerge, showPowder, showRates } from "./hits.js";
import { at, clock, count, duration } from "./words.js";

const PLACES = ["processed", "waiting", "dropped", "late", "duplicate", "malformed"];
const STATES = { opening: "connecting", live: "live", silent: "silent", lost: "connection lost", ended: "ended" };
const STALE_S = 4;
const parts = {};
let socket = null, heard = 0, skew = 0, sliding = 0, wait = 500;

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
  socket.onopen = () => { wait = 500; };
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => {
    ask.able(false);
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, 8000);
    alarm();
  };
}

function take(news) {
  Object.assign(parts, news);
  heard = Date.now() / 1000;
  if (news.state) {
    skew = Math.max(0, heard - news.state.taken) < 3600 ? heard - news.state.taken : 0;
    document.body.dataset.mode = news.state.mode;
    showState(news.state);
    showLedger(news.state.ledger);
  }
  if (parts.state.mode === "hits" && parts.rates && (news.rates || news.state)) showRates(parts.rates, parts.state);
  if (news.gallery) showGallery(news.gallery);
  if (news.powder) showPowder(news.powder);
  if (news.merge) showMerge(news.merge);
  if (news.crystal) showCrystal(news.crystal);
  if (news.slices) showSlices(news.slices);
  if (news.surface) showSurface(news.surface);
}

function showState(state) {
  at("source").textContent = state.source.name;
  at("rate").textContent = state.frames_per_s < 10 ? state.frames_per_s.toFixed(1) : count(Math.round(state.frames_per_s));
  at("latency").textContent = duration(state.ledger.latency_p99_s);
  at("pause").textContent = state.paused ? "Go on" : "Pause";
  at("pause").setAttribute("aria-pressed", state.paused);
  document.title = `${state.paused ? "paused" : STATES[state.source.state]} – friedel`;
  ask.able(state.source.state !== "ended");
  if (Date.now() - sliding > 1500) {
    at("slider").value = state.threshold ?? 0.5;
    at("threshold").textContent = chosen(state.threshold);
    at("plain").hidden = state.threshold === null;
  }
  alarm();
}

function showLedger(ledger) {
  const cell = (name, value, note) => {
    const holder = document.createElement("div"), term = document.createElement("dt"), number = document.createElement("dd");
    holder.className = value ? name : `${name} zero`;
    term.textContent = name;
    number.textContent = count(value);
    number.dataset.count = name;
    holder.append(term, number);
    if (note) number.append(Object.assign(document.createElement("small"), { textContent: note }));
    return holder;
  };
  const reasons = (counts) => Object.entries(counts).map(([why, n]) => `${why}: ${count(n)}`).join("; ");
  const notes = { dropped: reasons(ledger.dropped_why), malformed: reasons(ledger.malformed_why) };
  at("ledger").replaceChildren(cell("seen", ledger.seen, "the sum of the others"), ...PLACES.map((name) => cell(name, ledger[name], notes[name])));
  at("bar").replaceChildren(...PLACES.filter((name) => ledger[name]).map((name) => {
    const piece = document.createElement("i");
    piece.className = name;
    piece.style.flexGrow = ledger[name];
    return piece;
  }));
  const said = [`${count(ledger.missing)} numbered by the source and never seen`];
  if (ledger.unsaved) said.push(`${count(ledger.unsaved)} scored but not written`);
  if (ledger.queue_size) said.push(`${ledger.queue_depth} of ${ledger.queue_size} places in the queue taken`);
  said.push(`latency ${duration(ledger.latency_p50_s)} in the middle, ${duration(ledger.latency_p99_s)} for 99 of 100`);
  at("beside").textContent = `Beside the sum: ${said.join(" · ")}`;
}

// What is wrong, said in words across the page: our connection, the watch, or the source.
function alarm() {
  const state = parts.state, now = Date.now() / 1000;
  const open = socket && socket.readyState === WebSocket.OPEN;
  const [kind, title, text] = trouble(state, open, now);
  at("alarm").hidden = !title;
  at("alarm").querySelector("strong").textContent = title;
  at("alarm").querySelector("span").textContent = text;
  at("pill").textContent = state && state.paused && kind === "live" ? "paused" : STATES[kind] || kind;
  at("pill").className = `pill ${kind}`;
}

function trouble(state, open, now) {
  if (!open) return state && state.source.state === "ended" ? ["ended", "The watch is over.", "What you see is the last it showed."] : ["lost", "No connection to the watch.", "Trying again; the watch itself goes on, whether or not this page sees it."];
  if (!state) return ["opening", "", ""];
  const { source } = state, since = duration(Math.max(0, now - skew - source.since));
  if (source.state !== "ended" && now - heard > STALE_S) return ["silent", "The watch shows nothing new.", `Its last word came ${duration(now - heard)} ago.`];
  if (source.state === "silent") return ["silent", "The source is silent.", `${sentence(source.reason)} Silent for ${since}, since ${clock(source.since)}.`];
  if (source.state === "lost") return ["lost", "The source is gone.", `${sentence(source.reason)} Being tried again for ${since}.`];
  return [source.state, "", ""];
}

function chosen(threshold) {
  return threshold === null ? "as the plan says" : `from a probability of ${threshold.toFixed(2)}`;
}

function sentence(text) {
  return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "";
}

const ask = {
  send(wanted) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wanted));
  },
  able(yes) {
    for (const name of ["pause", "slider", "plain"]) at(name).disabled = !yes;
  },
};

at("pause").addEventListener("click", () => ask.send({ paused: !(parts.state && parts.state.paused) }));
at("plain").addEventListener("click", () => { sliding = 0; ask.send({ threshold: null }); });
at("slider").addEventListener("input", (event) => {
  sliding = Date.now();
  at("threshold").textContent = chosen(Number(event.target.value));
});
at("slider").addEventListener("change", (event) => ask.send({ threshold: Number(event.target.value) }));
window.addEventListener("resize", () => {
  if (parts.rates && parts.state.mode === "hits") showRates(parts.rates, parts.state);
  if (parts.crystal) showCrystal(parts.crystal);
});
setInterval(alarm, 1000);
connect();

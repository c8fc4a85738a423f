// Listens to /dashboard/events and shows what it hears. The names in a frame are those of services/monitoring/frames.py.

import { Chart } from "./chart.js";
import { count, duration, money, percent, rate, span, time } from "./format.js";

const RETRY_MS = 3000;
const SILENCE_MS = 6000;
const byId = (id) => document.getElementById(id);

// A point that is still being filled would let every curve end in a dip; a bar may grow.
const curves = [
  new Chart(byId("traffic-chart"), {
    label: "Turns per second",
    format: rate,
    series: [
      { name: "error", title: "failed", kind: "area", stacked: true, of: (point) => perSecond(point.errors) },
      { name: "cache", title: "cache", kind: "area", stacked: true, of: (point) => perSecond(point.cache_hits) },
      { name: "model", title: "model", kind: "area", stacked: true, of: (point) => perSecond(Math.max(0, point.turns - point.errors - point.cache_hits)) },
    ],
  }),
  new Chart(byId("latency-chart"), {
    label: "Latency of a turn",
    format: duration,
    series: [
      { name: "p95", title: "p95", kind: "area", gaps: true, of: (point) => point.p95_ms },
      { name: "p50", title: "p50", kind: "line", gaps: true, of: (point) => point.p50_ms },
    ],
  }),
  new Chart(byId("error-chart"), {
    label: "Error rate",
    format: percent,
    bare: true,
    least: 0.05,
    series: [{ name: "error", title: "failed", kind: "area", of: (point) => share(point.errors, point.turns) }],
  }),
  new Chart(byId("hit-chart"), {
    label: "Cache hit rate",
    format: percent,
    bare: true,
    least: 1,
    series: [{ name: "cache", title: "from cache", kind: "area", of: (point) => share(point.cache_hits, point.turns) }],
  }),
];
const bars = new Chart(byId("cost-chart"), {
  label: "Cost of models",
  format: money,
  series: [{ name: "money", title: "spent", kind: "bar", of: (point) => point.cost_usd_micros }],
});

let pointSeconds = 5;
let lastFrame = null;
let retry = null;
let silence = null;
let source = null;

const perSecond = (turns) => turns / pointSeconds;
const share = (part, whole) => (whole === 0 ? 0 : part / whole);

function put(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function state(name, text) {
  document.body.dataset.state = name;
  put("connection-text", text);
}

function notice(text) {
  const element = byId("notice");
  element.hidden = text === "";
  put("notice", text);
}

function showFigures(frame) {
  put("span", `All tenants · last ${span(frame.window_seconds)}`);
  put("rate", rate(frame.turns_per_second));
  put("turns", count(frame.turns));
  put("cache-hits", count(frame.cache_hits));
  put("degraded", count(frame.degraded));
  put("p50", duration(frame.p50_ms));
  put("p95", duration(frame.p95_ms));
  put("p99", duration(frame.p99_ms));
  put("cost", money(frame.cost_usd_micros));
  put("saved", money(frame.saved_usd_micros));
  put("pace", money(frame.cost_usd_micros * 3600 / frame.window_seconds));
}

function showGauges(frame) {
  const errorShare = share(frame.errors, frame.turns);
  const hitShare = share(frame.cache_hits, frame.turns);
  put("error-rate", frame.turns === 0 ? "–" : percent(errorShare));
  put("errors", frame.turns === 0 ? "no turns yet" : `${count(frame.errors)} of ${count(frame.turns)} turns failed`);
  put("hit-rate", frame.turns === 0 ? "–" : percent(hitShare));
  byId("error-rate").dataset.level = errorShare >= 0.05 ? "bad" : errorShare >= 0.01 ? "poor" : "good";
}

const tokensIn = (tokens) => tokens.input + tokens.cache_read + tokens.cache_creation;

function showTokens(tokens) {
  put("tokens-in", count(tokensIn(tokens)));
  put("tokens-out", count(tokens.output));
  put("tokens-fresh", count(tokens.input));
  put("tokens-read", count(tokens.cache_read));
  put("tokens-written", count(tokens.cache_creation));
}

function cell(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function row(head, values) {
  const made = document.createElement("tr");
  const first = cell("th", head);
  first.scope = "row";
  made.append(first, ...values.map((value) => cell("td", value)));
  return made;
}

function emptyRow() {
  const made = document.createElement("tr");
  made.className = "empty";
  const only = cell("td", "No model was called.");
  only.colSpan = 7;
  made.append(only);
  return made;
}

function showModels(models, total) {
  const rows = models.length === 0 ? [emptyRow()] : models.map((part) => {
    const of = share(part.cost_usd_micros, total);
    const made = row(part.model, [count(part.calls), count(part.errors), count(tokensIn(part.tokens)), count(part.tokens.output), money(part.cost_usd_micros), percent(of)]);
    made.lastElementChild.className = "share";
    made.lastElementChild.style.setProperty("--share", of);
    return made;
  });
  byId("models").replaceChildren(...rows);
}

function showPoints(points) {
  if (!byId("numbers").open) return;
  byId("points").replaceChildren(...points.toReversed().map((point) =>
    row(time(point.start), [count(point.turns), count(point.errors), count(point.cache_hits), duration(point.p50_ms), duration(point.p95_ms), money(point.cost_usd_micros)])));
}

function show(frame) {
  lastFrame = frame;
  pointSeconds = frame.point_seconds;
  showFigures(frame);
  showGauges(frame);
  showTokens(frame.tokens);
  showModels(frame.models, frame.cost_usd_micros);
  showPoints(frame.points);
  for (const curve of curves) curve.show(frame.points.slice(0, -1));
  bars.show(frame.points);
}

function heard(event) {
  clearTimeout(silence);
  silence = setTimeout(reconnect, SILENCE_MS);
  const frame = JSON.parse(event.data);
  if (frame.state === "live") {
    state("live", "Live");
    notice("");
    show(frame);
    return;
  }
  state("store-unreachable", "Store unreachable");
  const age = lastFrame === null ? "There are no figures to show until it is back." : `The figures below are those of ${time(lastFrame.at)}.`;
  notice(`The data store has not answered since ${time(frame.since)}. ${age}`);
}

function reconnect() {
  clearTimeout(silence);
  clearTimeout(retry);
  source?.close();
  state("reconnecting", "Reconnecting");
  retry = setTimeout(connect, RETRY_MS);
}

function connect() {
  // The page's own query carries the token, if there is one.
  source = new EventSource(`dashboard/events${location.search}`);
  source.onmessage = heard;
  source.onerror = reconnect;
}

byId("numbers").addEventListener("toggle", () => lastFrame !== null && showPoints(lastFrame.points));
connect();

// Small charts in plain SVG, redrawn whole each second: at 120 points that costs less than keeping track.

import { time } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
// The gutter on the right holds the scale, so that no figure is written across the data.
const PAD = { top: 8, right: 50, bottom: 20, left: 2 };
const BARE = { top: 3, right: 2, bottom: 2, left: 2 };

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The next number one can say: a scale should end at such a one. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** "$2.50" and "30.0" as "$2.5" and "30": a scale has round numbers. */
function rounded(text) {
  return text.replace(/(\.\d*?)0+(?=\D*$)/, "$1").replace(/\.(?=\D*$)/, "");
}

/**
 * A chart in a <figure>.
 *
 * series: [{ name, title, kind: "area" | "line" | "bar", stacked, of(point), gaps }]. A `stacked` series stands on those
 * before it; where `gaps` is set a zero means that nothing was measured, and the line is broken there.
 * bare: a sparkline without scale; least: the scale's top is at least this.
 */
export class Chart {
  constructor(figure, { label, series, format, bare = false, least = 0 }) {
    this.figure = figure;
    this.label = label;
    this.series = series;
    this.format = format;
    this.bare = bare;
    this.pad = bare ? BARE : PAD;
    this.least = least;
    this.points = [];
    this.pointed = null;
    this.svg = node("svg", { role: "img", "aria-label": label });
    this.tip = document.createElement("output");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.tip.setAttribute("aria-hidden", "true");
    figure.replaceChildren(this.svg, this.tip);
    figure.addEventListener("pointermove", (event) => this.point(event));
    figure.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(figure);
  }

  show(points) {
    this.points = points;
    this.draw();
  }

  draw() {
    const box = this.figure.getBoundingClientRect();
    if (!this.points.length || box.width === 0) return;
    this.width = box.width;
    this.height = box.height;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const layers = this.layers();
    const highest = Math.max(...layers.flatMap((layer) => layer.map(([, upper]) => upper)));
    this.flat = highest === 0;
    this.top = ceiling(Math.max(highest, this.least));
    const marks = this.series.map((series, index) => this.mark(series, layers[index]));
    this.svg.replaceChildren(...this.grid(), ...marks, ...this.axis(), ...this.cross(layers));
    this.svg.setAttribute("aria-label", this.describe());
  }

  /** For each series, for each point: [lower, upper]. */
  layers() {
    let floor = this.points.map(() => 0);
    return this.series.map((series) => {
      const base = series.stacked ? floor : this.points.map(() => 0);
      const layer = this.points.map((point, index) => [base[index], base[index] + series.of(point)]);
      if (series.stacked) floor = layer.map(([, upper]) => upper);
      return layer;
    });
  }

  x(index) {
    const inner = this.width - this.pad.left - this.pad.right;
    return this.pad.left + (this.points.length < 2 ? inner / 2 : (inner * index) / (this.points.length - 1));
  }

  y(value) {
    return this.pad.top + (this.height - this.pad.top - this.pad.bottom) * (1 - value / this.top);
  }

  mark(series, layer) {
    const group = node("g", { class: `series ${series.name}` });
    // A line of zeros would only colour the base.
    if (this.points.every((point) => series.of(point) === 0)) return group;
    if (series.kind === "bar") group.append(...this.bars(layer));
    else for (const run of this.runs(series, layer)) group.append(...this.run(series, run));
    return group;
  }

  bars(layer) {
    const slot = (this.width - this.pad.left - this.pad.right) / this.points.length;
    return layer.map(([lower, upper], index) => node("rect", {
      x: this.pad.left + slot * index + slot * 0.15,
      y: this.y(upper),
      width: slot * 0.7,
      height: Math.max(0, this.y(lower) - this.y(upper)),
      rx: Math.min(2, slot * 0.2),
    }));
  }

  /** Stretches of points that have a value: lists of [index, lower, upper]. */
  runs(series, layer) {
    const runs = [[]];
    layer.forEach(([lower, upper], index) => {
      if (series.gaps && upper === 0) runs.push([]);
      else runs.at(-1).push([index, lower, upper]);
    });
    return runs.filter((run) => run.length > 0);
  }

  run(series, run) {
    const upper = run.map(([index, , value]) => `${this.x(index).toFixed(1)},${this.y(value).toFixed(1)}`);
    if (run.length === 1) {
      const [index, , value] = run[0];
      return [node("circle", { class: "dot", cx: this.x(index), cy: this.y(value), r: 2 })];
    }
    const line = node("path", { class: "line", d: `M${upper.join("L")}` });
    if (series.kind === "line") return [line];
    const lower = run.map(([index, value]) => `${this.x(index).toFixed(1)},${this.y(value).toFixed(1)}`).reverse();
    return [node("path", { class: "fill", d: `M${upper.join("L")}L${lower.join("L")}Z` }), line];
  }

  grid() {
    return (this.bare ? [0] : [0, 0.5, 1]).map((share) => {
      const y = this.y(this.top * share);
      return node("line", { class: share === 0 ? "base" : "rule", x1: 0, x2: this.width - this.pad.right, y1: y, y2: y });
    });
  }

  axis() {
    if (this.bare) return [];
    const last = this.points.length - 1;
    // Without anything to measure there is no scale to name.
    const values = (this.flat ? [] : [0.5, 1]).map((share) =>
      node("text", { class: "tick", x: this.width - this.pad.right + 8, y: this.y(this.top * share) + 4 }, rounded(this.format(this.top * share))));
    const times = [[0, "start"], [Math.round(last / 2), "middle"], [last, "end"]].map(([index, anchor]) =>
      node("text", { class: "tick", x: this.x(index), y: this.height - 5, "text-anchor": anchor }, time(this.points[index].start)));
    return [...values, ...times];
  }

  /** The line and dots under the pointer. */
  cross(layers) {
    if (this.pointed === null || this.pointed >= this.points.length) return [];
    const x = this.x(this.pointed);
    const dots = this.series.flatMap((series, index) => {
      const [, upper] = layers[index][this.pointed];
      return series.kind === "bar" || (series.gaps && upper === 0) ? [] : [node("circle", { class: `dot ${series.name}`, cx: x, cy: this.y(upper), r: 3.5 })];
    });
    return [node("line", { class: "cross", x1: x, x2: x, y1: this.pad.top, y2: this.height - this.pad.bottom }), ...dots];
  }

  point(event) {
    if (!this.points.length || !this.width) return;
    if (event === null) this.pointed = null;
    else {
      const inner = this.width - this.pad.left - this.pad.right;
      const share = (event.clientX - this.figure.getBoundingClientRect().left - this.pad.left) / inner;
      this.pointed = Math.max(0, Math.min(this.points.length - 1, Math.round(share * (this.points.length - 1))));
    }
    this.tip.hidden = this.pointed === null;
    if (this.pointed !== null) this.tell();
    this.draw();
  }

  tell() {
    const point = this.points[this.pointed];
    const lines = this.series.map((series) => {
      const line = document.createElement("span");
      line.className = `key ${series.name}`;
      line.textContent = `${series.title} ${series.gaps && series.of(point) === 0 ? "–" : this.format(series.of(point))}`;
      return line;
    });
    const head = document.createElement("b");
    head.textContent = time(point.start);
    this.tip.replaceChildren(head, ...lines);
    this.tip.classList.toggle("left", this.pointed > this.points.length / 2);
    this.tip.style.setProperty("--x", `${this.x(this.pointed)}px`);
  }

  describe() {
    const parts = this.series.map((series) => {
      const values = this.points.map(series.of).filter((value) => !series.gaps || value > 0);
      return values.length ? `${series.title}: latest ${this.format(values.at(-1))}, highest ${this.format(Math.max(...values))}` : `${series.title}: nothing yet`;
    });
    return `${this.label}. ${parts.join(". ")}.`;
  }
}

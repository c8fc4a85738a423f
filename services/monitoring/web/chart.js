// Small charts in plain SVG, redrawn whole each second: at 120 points that costs less than keeping track.

import { time } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const PAD = { top: 10, right: 2, bottom: 20, left: 2 };

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The next of 1, 2, 2.5, 5 times a power of ten: an axis should end at a number one can say. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/**
 * A chart in a <figure>.
 *
 * series: [{ name, kind: "area" | "line" | "bar", stacked, of(point), gaps }]. A `stacked` series stands on those before it;
 * where `gaps` is set a zero means that nothing was measured, and the line is broken there.
 */
export class Chart {
  constructor(figure, { label, series, format }) {
    this.figure = figure;
    this.label = label;
    this.series = series;
    this.format = format;
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

  show(points, pointSeconds) {
    this.points = points;
    this.pointSeconds = pointSeconds;
    this.draw();
  }

  draw() {
    const box = this.figure.getBoundingClientRect();
    if (!this.points.length || box.width === 0) return;
    this.width = box.width;
    this.height = box.height;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const layers = this.layers();
    this.top = ceiling(Math.max(...layers.flatMap((layer) => layer.map(([, upper]) => upper))));
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
    const inner = this.width - PAD.left - PAD.right;
    return PAD.left + (this.points.length < 2 ? inner / 2 : (inner * index) / (this.points.length - 1));
  }

  y(value) {
    return PAD.top + (this.height - PAD.top - PAD.bottom) * (1 - value / this.top);
  }

  mark(series, layer) {
    const group = node("g", { class: `series ${series.name}` });
    if (series.kind === "bar") group.append(...this.bars(layer));
    else for (const run of this.runs(series, layer)) group.append(...this.run(series, run));
    return group;
  }

  bars(layer) {
    const slot = (this.width - PAD.left - PAD.right) / this.points.length;
    return layer.filter(([, upper]) => upper > 0).length === 0 ? [] : layer.map(([lower, upper], index) => node("rect", {
      x: PAD.left + slot * index + slot * 0.15,
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
    return [0, 0.5, 1].map((share) => {
      const y = this.y(this.top * share);
      return node("line", { class: share === 0 ? "base" : "rule", x1: 0, x2: this.width, y1: y, y2: y });
    });
  }

  axis() {
    const last = this.points.length - 1;
    const values = [0.5, 1].map((share) =>
      node("text", { class: "tick", x: PAD.left, y: this.y(this.top * share) + 12 }, this.format(this.top * share)));
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
    return [node("line", { class: "cross", x1: x, x2: x, y1: PAD.top, y2: this.height - PAD.bottom }), ...dots];
  }

  point(event) {
    if (!this.points.length || !this.width) return;
    if (event === null) this.pointed = null;
    else {
      const share = (event.clientX - this.figure.getBoundingClientRect().left) / this.width;
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

// Bars and lines over time, categories or prices: one chart for flow, history, smile and term structure.

import { legend } from "../dom.js";
import * as f from "../format.js";
import { axis, base, fade, fit, newChart, palette, picture } from "./palette.js";

const plain = (value) => f.count(value);

export class PlotChart {
  #element; #list; #chart = null; #rows = [];

  constructor(element, list) { this.#element = element; this.#list = list; }

  clear() { this.#chart?.clear(); this.#rows = []; this.#list.replaceChildren(); delete this.#list.dataset.key; }
  image() { return picture(this.#chart); }
  table() { return this.#rows; }

  /**
   * Draw a picture: `x` {labels} or {time: true} or {values: format}; `series` [{name, color, kind, data, right, dash, width, quiet}];
   * `format`/`rightFormat` of the axes; `range` of the left one; `marks` levels across; `tip(x)` the words at a place; `rows` for the CSV.
   */
  draw({ x, series, format = plain, rightFormat = null, range = {}, rightRange = {}, marks = null, tip, label, note, rows = [], items = null }) {
    this.#chart ??= newChart(this.#element);
    fit(this.#chart, this.#element);
    this.#rows = rows;
    const colors = palette();
    const yaxis = (written, limits, more = {}) => axis(colors, { type: "value", scale: true, ...limits, ...more,
      axisLabel: { ...axis(colors).axisLabel, ...limits.axisLabel, formatter: written } });
    const { grid, ...shared } = base(colors, marks ? 48 : 16);
    const options = {
      ...shared,
      grid: rightFormat ? grid : { ...grid, right: 26 },  // the last label of the axis has room beside it
      xAxis: this.#xaxis(x, colors),
      yAxis: rightFormat ? [yaxis(format, range), yaxis(rightFormat, rightRange, { splitLine: { show: false } })] : yaxis(format, range),
      series: series.map((one) => this.#series(one, colors)),
    };
    if (marks) options.series[0].markLine = marks(this.#chart.getWidth() - 84, colors);
    options.tooltip.formatter = (points) => points.length ? tip(points[0].axisValue, points[0].dataIndex) : "";
    this.#chart.setOption(options, { notMerge: true });
    this.#element.setAttribute("aria-label", label);
    legend(this.#list, [
      ...(items ?? series.filter((one) => !one.quiet).map(({ name, color, kind, dash }) => ({
        text: name, swatch: color, kind: kind === "bar" || kind === "dots" ? "block" : dash ? "dash" : "line" }))),
      ...(note ? [{ text: note, swatch: "none" }] : []),
    ]);
  }

  #xaxis(x, colors) {
    const quiet = { splitLine: { show: false } };
    if (x.labels) return axis(colors, { type: "category", data: x.labels, ...quiet });
    if (x.time) {
      return axis(colors, { type: "time", ...quiet, min: x.from, max: x.until,
        axisLabel: { ...axis(colors).axisLabel, formatter: x.days ? (value) => f.marketDay(value) : (value) => f.minute(value) } });
    }
    return axis(colors, { type: "value", scale: true, min: x.from, max: x.until, ...quiet,
      axisLabel: { ...axis(colors).axisLabel, formatter: x.values, showMinLabel: false, showMaxLabel: false } });
  }

  #series({ name, color, kind = "line", data, right = false, dash = null, width = 2, area = false, step = false, quiet = false }, colors) {
    const paint = colors[color];
    const shared = { name, data, yAxisIndex: right ? 1 : 0, itemStyle: { color: paint } };
    if (kind === "bar") return { ...shared, type: "bar", barGap: "-100%", barMaxWidth: 22, barMinWidth: 1 };
    if (kind === "dots") return { ...shared, type: "scatter", symbolSize: 8, z: 5 };
    return { ...shared, type: "line", symbol: data.length < 3 && !quiet ? "circle" : "none", step: step ? "end" : false, z: 4, connectNulls: false,
      lineStyle: { color: paint, width, type: dash || "solid" },
      ...(area ? { areaStyle: { color: fade(paint, 0.1), origin: 0 } } : {}) };
  }
}

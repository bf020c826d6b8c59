// Exposure by strike: calls up, puts down, the net as a line; spot, flip and walls as lines across.

import { legend } from "../dom.js";
import { MEASURES } from "../definitions.js";
import * as f from "../format.js";
import { levelsOf, markLines, window as visible } from "./levels.js";
import { axis, base, fit, newChart, palette, picture } from "./palette.js";

const LEVELS = ["spot", "gamma_flip", "call_wall", "put_wall"];

export class StrikesChart {
  #element; #list; #chart = null; #rows = [];

  constructor(element, list) { this.#element = element; this.#list = list; }

  clear() { this.#chart?.clear(); this.#rows = []; }
  image() { return picture(this.#chart); }
  table() { return this.#rows; }

  /** Draw rows by strike (a `strikes` payload, or sums of cells) in one of the MEASURES. */
  draw(data, measureName) {
    this.#chart ??= newChart(this.#element);
    fit(this.#chart, this.#element);
    const colors = palette();
    const measure = MEASURES[measureName] ?? MEASURES.gex;
    const levels = levelsOf(data, LEVELS);
    const rows = this.#rows = data.by_strike;
    const range = visible(rows, data.spot, (row) => row.gross_gex ?? 0, levels);
    const money = (value) => f.compact(value, { unit: measure.money ? "$" : "", sign: false });
    const put = (row) => measure.mirror ? -row[measure.put] : row[measure.put];
    const wide = this.#chart.getWidth() - 84;
    const bar = (name, color, value) => ({
      name, type: "bar", stack: "sides", barMaxWidth: 22, barMinWidth: 1.5, large: false, silent: true,
      itemStyle: { color: colors[color] }, data: rows.map((row) => [row.strike, value(row)]),
    });
    const signed = (row) => ({ value: [row.strike, row[measure.net]], itemStyle: { color: row[measure.net] < 0 ? colors.put : colors.call } });
    const series = measure.call
      ? [bar("Calls", "call", (row) => row[measure.call]), bar("Puts", "put", put)]
      : [{ ...bar(measure.name, "call", () => 0), data: rows.map(signed) }];
    if (measure.call && measure.net) {
      series.push({ name: "Net", type: "line", symbol: "none", silent: true, z: 4, lineStyle: { color: colors.net, width: 1.6 },
        itemStyle: { color: colors.net }, data: rows.map((row) => [row.strike, row[measure.net]]) });
    }
    series[0].markLine = markLines(levels, colors, range, wide);
    const bystrike = new Map(rows.map((row) => [row.strike, row]));
    const options = {
      ...base(colors),
      xAxis: axis(colors, { type: "value", min: range[0], max: range[1], splitLine: { show: false },
        splitNumber: Math.max(3, Math.round(wide / 70)), axisLabel: { ...axis(colors).axisLabel, formatter: f.strike, showMinLabel: false, showMaxLabel: false } }),
      yAxis: axis(colors, { type: "value", axisLabel: { ...axis(colors).axisLabel, formatter: (value) => f.tick(value, measure.money ? "$" : "") } }),
      dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "ctrl", moveOnMouseWheel: false, preventDefaultMouseMove: false }],
      series,
    };
    options.tooltip.formatter = (points) => {
      const row = bystrike.get(points[0]?.value?.[0]);
      if (!row) return "";
      const parts = measure.call ? [["Calls", row[measure.call]], ["Puts", row[measure.put]]] : [];
      if (measure.net) parts.push(["Net", row[measure.net]]);
      const counts = `OI ${f.count(row.call_open_interest)} C · ${f.count(row.put_open_interest)} P`;
      return [`Strike ${f.strike(row.strike)}`, ...parts.map(([name, value]) => `${name}  ${money(value)}`), counts].join("\n");
    };
    this.#chart.setOption(options, { notMerge: true });
    this.#element.setAttribute("aria-label",
      `${measure.name} by strike, ${measure.unit}, ${rows.length} strikes from ${f.strike(rows[0]?.strike)} to ${f.strike(rows.at(-1)?.strike)}`);
    legend(this.#list, [
      ...(measure.call ? [{ text: "Calls", swatch: "call", kind: "block" }, { text: "Puts", swatch: "put", kind: "block" }]
        : [{ text: "Positive", swatch: "call", kind: "block" }, { text: "Negative", swatch: "put", kind: "block" }]),
      ...(measure.call && measure.net ? [{ text: "Net", swatch: "net" }] : []),
      { text: measure.unit, swatch: "none" },
    ]);
  }
}

// A heat map of prices (upward) against days or minutes, with spot and levels as lines across it.

import { legend } from "../dom.js";
import * as f from "../format.js";
import { axis, base, fit, newChart, palette, picture } from "./palette.js";

const ROW_PX = 16;  // a strike's height: a number fits into it
const WRITTEN_PX = 52;  // a column's width from which numbers are written into its cells
const MARGINS = { width: 60, height: 44 };  // what the axes take

/** The strikes around spot, ascending. */
export function around(strikes, spot, most) {
  const sorted = [...new Set(strikes)].sort((a, b) => a - b);
  const middle = sorted.findIndex((strike) => strike >= spot);
  const from = Math.max(0, Math.min((middle < 0 ? sorted.length : middle) - (most >> 1), sorted.length - most));
  return sorted.slice(from, from + most);
}

export class HeatChart {
  #element; #list; #chart = null; #rows = [];

  constructor(element, list) { this.#element = element; this.#list = list; }

  clear() { this.#chart?.clear(); this.#rows = []; }
  image() { return picture(this.#chart); }
  table() { return this.#rows; }

  /** How many strikes have room beside one another. */
  get room() { return Math.max(11, Math.floor((this.#element.clientHeight - MARGINS.height) / ROW_PX)); }

  /**
   * `columns` [label], `strikes` ascending, `cells` [[column, strike index, value]]; `lines` [{name, color, prices: one a column}];
   * `format` writes a value, `tip(column, strike, value)` the words at a cell; `rows` for the CSV.
   */
  draw({ columns, strikes, cells, lines, format, tip, label, note, rows }) {
    this.#chart ??= newChart(this.#element);
    fit(this.#chart, this.#element);
    this.#rows = rows;
    const colors = palette();
    const most = Math.max(...cells.map((cell) => Math.abs(cell[2])), 0) || 1;
    // The cube root keeps the quiet strikes visible beside the loud ones; the words at a cell give the number itself.
    const shade = (value) => Math.cbrt(value / most);
    const written = (this.#chart.getWidth() - MARGINS.width) / columns.length >= WRITTEN_PX;
    const options = {
      ...base(colors, 12),
      xAxis: [
        axis(colors, { type: "category", data: columns, splitLine: { show: false } }),
        { type: "value", min: -0.5, max: columns.length - 0.5, show: false, axisLabel: { show: false } },
      ],
      yAxis: [
        axis(colors, { type: "category", data: strikes.map((strike) => f.strike(strike)), splitLine: { show: false },
          axisLabel: { ...axis(colors).axisLabel, fontSize: 11 } }),
        { type: "value", min: -0.5, max: strikes.length - 0.5, show: false, axisLabel: { show: false } },
      ],
      visualMap: { show: false, min: -1, max: 1, dimension: 2, seriesIndex: 0, inRange: { color: [colors.put, colors.hot, colors.panel, colors.cold, colors.call] } },
      series: [
        { type: "heatmap", data: cells.map(([column, strike, value]) => [column, strike, shade(value), value]), progressive: 0,
          label: { show: written, fontSize: 10.5, color: colors.ink, rich: { loud: { color: colors.panel, fontSize: 10.5, fontWeight: 600 } },
            formatter: ({ value }) => Math.abs(value[2]) >= Number(colors.loud) ? `{loud|${format(value[3])}}` : format(value[3]) },
          emphasis: { itemStyle: { borderColor: colors.ink, borderWidth: 1 } } },
        ...lines.map(({ name, color, prices, dash }) => ({
          name, type: "line", xAxisIndex: 1, yAxisIndex: 1, symbol: "none", silent: true, z: 5,
          lineStyle: { color: colors[color], width: 1.6, type: dash || "solid" }, itemStyle: { color: colors[color] },
          data: ends(prices.map((price) => place(strikes, price))),
        })),
      ],
    };
    options.tooltip = { ...options.tooltip, trigger: "item", axisPointer: undefined,
      formatter: ({ value, seriesType }) => seriesType === "heatmap" ? tip(columns[value[0]], strikes[value[1]], format(value[3])) : "" };
    this.#chart.setOption(options, { notMerge: true });
    this.#element.setAttribute("aria-label", label);
    legend(this.#list, [
      { text: "Positive", swatch: "call", kind: "block" }, { text: "Negative", swatch: "put", kind: "block" },
      ...lines.map(({ name, color, dash }) => ({ text: name, swatch: color, kind: dash ? "dash" : "line" })),
      { text: note, swatch: "none" },
    ]);
  }
}

/** Where a price lies between strikes, in steps of the axis; null outside. */
function place(strikes, price) {
  if (typeof price !== "number" || price < strikes[0] || price > strikes.at(-1)) return null;
  const after = strikes.findIndex((strike) => strike >= price);
  if (after <= 0) return 0;
  return after - (strikes[after] - price) / (strikes[after] - strikes[after - 1]);
}

/** Points at the middle of each column; the first and last reach to the borders. */
function ends(places) {
  const points = places.map((place, i) => [i, place]);
  if (!points.length) return points;
  return [[-0.5, points[0][1]], ...points, [points.length - 0.5, points.at(-1)[1]]];
}

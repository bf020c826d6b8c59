// Net GEX re-priced at other spots: the curve, its two colours, and every crossing of zero.

import { legend } from "../dom.js";
import * as f from "../format.js";
import { levelsOf, markLines } from "./levels.js";
import { axis, base, fade, fit, newChart, palette, picture } from "./palette.js";

const FLAT = 0.005;  // of the highest point: where the curve is lower, out to its ends, there is nothing to see

/** The spots worth drawing: the curve without its flat ends, but with spot and every crossing. */
export function worthDrawing(spots, values, marked) {
  const [first, last] = [spots[0] ?? 0, spots.at(-1) ?? 1];
  const loud = FLAT * Math.max(...values.map(Math.abs));
  const points = [...spots.filter((_, i) => Math.abs(values[i]) > loud), ...marked.filter((price) => price >= first && price <= last)];
  if (points.length < 2) return [first, last];
  const [low, high] = [Math.min(...points), Math.max(...points)];
  const room = 0.04 * (high - low) || 1;
  return [Math.max(first, Math.floor(low - room)), Math.min(last, Math.ceil(high + room))];
}

export class ProfileChart {
  #element; #list; #chart = null; #rows = [];

  constructor(element, list) { this.#element = element; this.#list = list; }

  clear() { this.#chart?.clear(); this.#rows = []; }
  image() { return picture(this.#chart); }
  table() { return this.#rows; }

  /** Draw a `profile` payload. */
  draw(data) {
    this.#chart ??= newChart(this.#element);
    fit(this.#chart, this.#element);
    const colors = palette();
    const { spots = [], net_gex: values = [] } = data.profile ?? {};
    this.#rows = spots.map((spot, i) => ({ spot, net_gex: values[i] }));
    const crossings = data.flip_crossings ?? [];
    const range = worthDrawing(spots, values, [data.spot, ...crossings.map((crossing) => crossing.price)].filter(Number.isFinite));
    const inside = spots.map((spot, i) => i).filter((i) => spots[i] >= range[0] && spots[i] <= range[1]);
    const money = (value) => f.compact(value);
    const area = (color, part) => ({
      type: "line", symbol: "none", silent: true, lineStyle: { width: 0 }, areaStyle: { color: fade(colors[color], 0.28), origin: 0 },
      data: inside.map((i) => [spots[i], part(values[i], 0)]),
    });
    const options = {
      ...base(colors, 48),
      xAxis: axis(colors, { type: "value", min: range[0], max: range[1], splitLine: { show: false },
        axisLabel: { ...axis(colors).axisLabel, formatter: (value) => f.price(value, 0), showMinLabel: false, showMaxLabel: false } }),
      yAxis: axis(colors, { type: "value", axisLabel: { ...axis(colors).axisLabel, formatter: (value) => f.tick(value) } }),
      series: [
        { name: "Net GEX", type: "line", symbol: "none", z: 5, lineStyle: { color: colors.net, width: 2 }, itemStyle: { color: colors.net },
          data: inside.map((i) => [spots[i], values[i]]),
          markLine: markLines(levelsOf(data, ["spot", "gamma_flip"]), colors, range, this.#chart.getWidth() - 84) },
        area("call", Math.max), area("put", Math.min),
        { name: "Crossings", type: "scatter", z: 6, silent: true, symbolSize: 11,
          data: crossings.map((crossing) => ({
            value: [crossing.price, 0], symbol: "circle",
            itemStyle: { color: crossing.structural ? colors.flip : colors.panel, borderColor: colors.flip, borderWidth: 2 },
          })) },
      ],
    };
    options.tooltip.formatter = (points) => {
      const [spot, value] = points.find((point) => point.seriesIndex === 0)?.value ?? [];
      return spot === undefined ? "" : `If spot were ${f.price(spot)}\nNet GEX  ${money(value)}`;
    };
    this.#chart.setOption(options, { notMerge: true });
    const where = crossings.map((crossing) => f.price(crossing.price)).join(", ") || "none";
    this.#element.setAttribute("aria-label", `Net GEX against spot from ${f.price(range[0])} to ${f.price(range[1])}; crossings of zero: ${where}`);
    legend(this.#list, [
      { text: "Net GEX, $ per +1 %", swatch: "net" },
      { text: crossings.length === 1 ? "Crossing" : `Crossings: ${crossings.length}`, swatch: "flip", kind: "block" },
    ]);
  }
}

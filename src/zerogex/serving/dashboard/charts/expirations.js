// GEX by expiration: calls up, puts down, net as a mark; the nearest first.

import { legend } from "../dom.js";
import * as f from "../format.js";
import { axis, base, fit, newChart, palette, picture } from "./palette.js";

export class ExpirationsChart {
  #element; #list; #chart = null; #rows = [];

  constructor(element, list) { this.#element = element; this.#list = list; }

  clear() { this.#chart?.clear(); this.#rows = []; }
  image() { return picture(this.#chart); }
  table() { return this.#rows; }

  /** Draw an `expirations` payload. */
  draw(data) {
    this.#chart ??= newChart(this.#element);
    fit(this.#chart, this.#element);
    const colors = palette();
    const rows = this.#rows = data.by_expiration ?? [];
    const money = (value) => f.compact(value);
    const bar = (name, color, field) => ({
      name, type: "bar", stack: "sides", barMaxWidth: 44, silent: true, itemStyle: { color: colors[color] }, data: rows.map((row) => row[field]),
    });
    const options = {
      ...base(colors, 16),
      xAxis: axis(colors, { type: "category", data: rows.map((row) => f.day(row.expiration).replace(/, \d+$/, "")), splitLine: { show: false } }),
      yAxis: axis(colors, { type: "value", axisLabel: { ...axis(colors).axisLabel, formatter: (value) => f.tick(value) } }),
      series: [
        bar("Calls", "call", "call_gex"), bar("Puts", "put", "put_gex"),
        { name: "Net", type: "scatter", symbol: "diamond", symbolSize: 11, z: 5, silent: true,
          itemStyle: { color: colors.net, borderColor: colors.panel, borderWidth: 1.5 }, data: rows.map((row) => row.net_gex) },
      ],
    };
    const pains = new Map((data.max_pain_by_expiration ?? []).map((row) => [row.expiration, row]));
    options.tooltip.formatter = (points) => {
      const row = rows[points[0]?.dataIndex];
      if (!row) return "";
      const pain = pains.get(row.expiration);
      return [f.day(row.expiration), `Calls  ${money(row.call_gex)}`, `Puts  ${money(row.put_gex)}`, `Net  ${money(row.net_gex)}`,
        pain ? `Max pain  ${f.strike(pain.max_pain)}` : null].filter(Boolean).join("\n");
    };
    this.#chart.setOption(options, { notMerge: true });
    this.#element.setAttribute("aria-label", `GEX by expiration, ${rows.length} expirations`);
    legend(this.#list, [
      { text: "Calls", swatch: "call", kind: "block" }, { text: "Puts", swatch: "put", kind: "block" },
      { text: "Net", swatch: "net", kind: "block" }, { text: "$ per +1 %", swatch: "none" },
    ]);
  }
}

// One-minute candles with the levels drawn on them, following live.

import { CandlestickSeries, createChart, LineStyle } from "../vendor/lightweight-charts-5.2.1.production.mjs";
import { legend } from "../dom.js";
import * as f from "../format.js";
import { levelsOf } from "./levels.js";
import { FONT, palette } from "./palette.js";

const STYLES = { spot: LineStyle.Solid, gamma_flip: LineStyle.Dashed, call_wall: LineStyle.Dotted, put_wall: LineStyle.Dotted, max_pain: LineStyle.SparseDotted, max_gamma_strike: LineStyle.SparseDotted };
const SHOWN_MINUTES = 90;

export class PriceChart {
  #element; #list; #chart = null; #candles = null; #lines = []; #bars = new Map(); #levels = []; #drawn = "";

  constructor(element, list) { this.#element = element; this.#list = list; }

  clear() {
    this.#bars.clear();
    this.#levels = [];
    this.#drawn = "";
    this.#candles?.setData([]);
    this.#drawLevels();
  }

  image() { return this.#chart?.takeScreenshot() ?? null; }
  table() { return [...this.#bars.values()].filter((bar) => !bar.forming); }

  /** Take minutes from the API; `whole` says these are all; those not `shown` now wait in the page. */
  take(bars, whole, shown = true) {
    if (!shown) return;
    if (whole) this.#bars.clear();
    for (const bar of bars) this.#bars.set(Date.parse(bar.timestamp) / 1000, bar);
  }

  /** Draw minutes and the levels of a summary; the minute under way is built from the spots seen in it. */
  draw(summary, live = true) {
    this.#make();
    if (live) this.#grow(summary);
    const rows = [...this.#bars].sort((a, b) => a[0] - b[0])
      .map(([time, { open, high, low, close }]) => ({ time, open, high, low, close }));
    const newest = rows.at(-1);
    const key = `${live} ${rows.length} ${rows[0]?.time} ${rows.at(-2)?.time} ${rows.at(-2)?.close}`;
    if (key !== this.#drawn) {
      const first = this.#drawn === "" || this.#drawn.startsWith("true") !== live || !live;
      this.#candles.setData(rows);
      if (first) this.live();
      this.#drawn = key;
    } else if (newest) {
      this.#candles.update(newest);
    }
    const move = summary?.expected_move?.sigma;
    const extra = typeof move === "number" && typeof summary.spot === "number"
      ? [["+1 σ", summary.spot + move], ["−1 σ", summary.spot - move]].map(([name, price]) => ({ name, price, color: "faint", field: "sigma", width: 1 })) : [];
    // where the strike of most gamma is a wall, the wall's line says so
    const most = summary?.max_gamma_strike;
    const isWall = [summary?.call_wall, summary?.put_wall].includes(most);
    const levels = ["gamma_flip", "call_wall", "put_wall", "max_pain", ...(isWall ? [] : ["max_gamma_strike"])];
    const named = levelsOf(summary, levels).map((level) => isWall && level.price === most && level.field.endsWith("wall") ? { ...level, name: `${level.name} · max gamma` } : level);
    this.#levels = [...named, ...extra];
    this.#drawLevels();
    this.#element.setAttribute("aria-label",
      `One-minute candles, ${rows.length} minutes; ${this.#levels.map((level) => `${level.name} ${f.price(level.price)}`).join(", ")}`);
  }

  /** Show the newest minutes. */
  live() {
    const length = this.#bars.size;
    if (this.#chart) this.#chart.timeScale().setVisibleLogicalRange({ from: length - Math.min(length, SHOWN_MINUTES) - 1, to: length + 4 });
  }

  /** Take the colours of the theme anew. */
  paint() {
    if (!this.#chart) return;
    const colors = palette();
    this.#chart.applyOptions({
      layout: { background: { color: colors.panel }, textColor: colors.faint, fontFamily: FONT, fontSize: 12, attributionLogo: false },
      grid: { vertLines: { visible: false }, horzLines: { color: colors.line } },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.06 } },
      timeScale: { borderVisible: false },
    });
    this.#candles.applyOptions({
      upColor: colors.call, borderUpColor: colors.call, wickUpColor: colors.call,
      downColor: colors.put, borderDownColor: colors.put, wickDownColor: colors.put, priceLineColor: colors.spot,
    });
    this.#drawLevels(true);
  }

  #make() {
    if (this.#chart) return;
    this.#chart = createChart(this.#element, {
      autoSize: true,
      localization: { timeFormatter: (time) => f.dayAndTime(1000 * time), priceFormatter: (value) => f.price(value) },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 4, tickMarkFormatter: (time, kind) => kind < 3 ? f.marketDay(1000 * time) : f.minute(1000 * time) },
      handleScroll: { mouseWheel: false, vertTouchDrag: false },
      handleScale: { mouseWheel: false },
      layout: { attributionLogo: false },
    });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { autoscaleInfoProvider: (original) => this.#scale(original()) });
    this.paint();
  }

  /** Let near levels into the picture, but never squeeze the candles to less than two fifths of it. */
  #scale(info) {
    if (!info?.priceRange) return info;
    let { minValue: low, maxValue: high } = info.priceRange;
    const room = 2.5 * Math.max(high - low, 0.001 * high);
    const near = this.#levels.map((level) => level.price).sort((a, b) => Math.abs(a - (low + high) / 2) - Math.abs(b - (low + high) / 2));
    for (const price of near) {
      const [lower, upper] = [Math.min(low, price), Math.max(high, price)];
      if (upper - lower <= room) [low, high] = [lower, upper];
    }
    return { ...info, priceRange: { minValue: low, maxValue: high } };
  }

  #grow(summary) {
    const stamp = Date.parse(summary?.data_timestamp ?? "") / 1000;
    const { spot } = summary ?? {};
    if (!Number.isFinite(stamp) || typeof spot !== "number") return;
    const start = Math.floor(stamp / 60) * 60;
    const bar = this.#bars.get(start);
    if (bar && !bar.forming) return;
    if (!bar && this.#bars.size && start < Math.max(...this.#bars.keys())) return;
    this.#bars.set(start, bar
      ? { ...bar, high: Math.max(bar.high, spot), low: Math.min(bar.low, spot), close: spot }
      : { forming: true, open: spot, high: spot, low: spot, close: spot });
  }

  #drawLevels(again = false) {
    if (!this.#candles) return;
    const colors = palette();
    const wanted = this.#levels.map((level) => ({
      price: level.price, color: colors[level.color], lineWidth: level.field === "gamma_flip" || level.field.endsWith("wall") ? 2 : 1,
      lineStyle: STYLES[level.field] ?? LineStyle.LargeDashed, title: level.name, axisLabelVisible: true,
    }));
    if (again || wanted.length !== this.#lines.length) {
      this.#lines.forEach((line) => this.#candles.removePriceLine(line));
      this.#lines = wanted.map((options) => this.#candles.createPriceLine(options));
    } else {
      wanted.forEach((options, i) => this.#lines[i].applyOptions(options));
    }
    const sigma = this.#levels.some((level) => level.field === "sigma");
    legend(this.#list, [
      ...this.#levels.filter((level) => level.field !== "sigma").map((level) => ({ text: level.name, swatch: level.color, kind: level.dash ? "dash" : "line" })),
      ...(sigma ? [{ text: "Expected move", swatch: "faint", kind: "dash" }] : [])]);
  }
}

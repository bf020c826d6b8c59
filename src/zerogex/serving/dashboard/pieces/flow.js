// Option flow.  Who bought and who sold is inferred from where the last price lies between bid and ask: the page says so.

import { PlotChart } from "../charts/plot.js";
import { byId, say } from "../dom.js";
import * as f from "../format.js";
import { fill } from "../table.js";
import { around, places, rowsOf, written } from "./piece.js";

const money = (value) => f.compact(value);
const tick = (value) => f.tick(value);
const share = (value) => f.percent(value, 0);
const INFERRED = "sides are inferred from last prices between bid and ask";
const ascending = (body, key) => [...rowsOf(body, "flow")].sort((a, b) => a[key] < b[key] ? -1 : 1);
const stamp = (row) => Date.parse(row.timestamp);

export function flowPieces() {
  const some = (name) => (views) => rowsOf(views[name], "flow").length;
  return {
    "flow-type": around(new PlotChart(...places("flow-type")), some("flow/type"), (chart, views) => byType(chart, views["flow/type"])),
    pressure: around(new PlotChart(...places("pressure")), some("flow/buying-pressure"), (chart, views) => pressure(chart, views["flow/buying-pressure"])),
    "flow-strike": around(new PlotChart(...places("flow-strike")), some("flow/strike"), (chart, views) => mirrored(chart, views["flow/strike"], "strike", f.strike)),
    "flow-expiration": around(new PlotChart(...places("flow-expiration")), some("flow/expiration"), (chart, views) => mirrored(chart, views["flow/expiration"], "expiration", f.shortDay)),
    "smart-money": written("smart-money", (views) => views["flow/smart-money"], (home, views) => prints(home, views["flow/smart-money"])),
  };
}

function byType(chart, body) {
  const rows = ascending(body, "timestamp");
  let sum = 0;
  const net = rows.map((row) => [stamp(row), sum += row.net_flow ?? 0]);
  const [range, rightRange] = sharedZero(rows.flatMap((row) => [row.call_premium, -row.put_premium]), net.map((point) => point[1]));
  chart.draw({
    x: { time: true },
    series: [
      { name: "Calls", color: "call", kind: "bar", data: rows.map((row) => [stamp(row), row.call_premium]) },
      { name: "Puts", color: "put", kind: "bar", data: rows.map((row) => [stamp(row), -row.put_premium]) },
      { name: "Net flow, running sum (inferred)", color: "net", right: true, data: net },
    ],
    format: tick, rightFormat: tick, range, rightRange,
    tip: (_, i) => {
      const row = rows[i];
      return row ? [f.dayAndTime(row.timestamp), `Calls  ${money(row.call_premium)} · ${f.count(row.call_volume)}`, `Puts  ${money(row.put_premium)} · ${f.count(row.put_volume)}`,
        `Net flow  ${money(row.net_flow)}, ${row.sentiment ?? "–"}`, `Confidence  ${share(100 * row.confidence)}`].join("\n") : "";
    },
    label: `Premium of calls and puts in ${rows.length} minutes`,
    note: "$ by minute", rows,
  });
  const newest = rows.at(-1);
  say(byId("note-flow-type"), newest ? `${newest.sentiment ?? "–"}, confidence ${share(100 * newest.confidence)} · inferred` : "");
}

function pressure(chart, body) {
  const rows = ascending(body, "timestamp");
  chart.draw({
    x: { time: true },
    series: [
      { name: "Buying pressure", color: "call", data: rows.map((row) => [stamp(row), row.buying_pressure_pct]) },
      { name: "", color: "faint", dash: [4, 4], width: 1, quiet: true, data: rows.length ? [[stamp(rows[0]), 50], [stamp(rows.at(-1)), 50]] : [] },
      { name: "Price", color: "spot", right: true, data: rows.map((row) => [stamp(row), row.close]) },
    ],
    format: share, rightFormat: (value) => f.price(value), range: { min: 0, max: 100, scale: false },
    tip: (_, i) => {
      const row = rows[i];
      return row ? [f.dayAndTime(row.timestamp), `Up  ${f.count(row.up_volume)}`, `Down  ${f.count(row.down_volume)}`,
        `Pressure  ${share(row.buying_pressure_pct)}, ${row.momentum ?? "–"}`, `Close  ${f.price(row.close)}`].join("\n") : "";
    },
    label: `Share of volume on upticks in ${rows.length} minutes; newest ${share(rows.at(-1)?.buying_pressure_pct ?? NaN)}`,
    note: "50 %: as much up as down", rows,
  });
  say(byId("note-pressure"), `${rows.at(-1)?.momentum ?? "–"} · inferred from upticks, not from orders`);
}

/** The strikes, ascending, that carry all premium but the fortieth that lies lowest and the one that lies highest. */
export function busy(rows) {
  const weight = (row) => row.call_premium + row.put_premium;
  const tail = rows.reduce((sum, row) => sum + weight(row), 0) / 40;
  let [from, until] = [0, rows.length];
  for (let sum = 0; from < until && (sum += weight(rows[from])) < tail;) from += 1;
  for (let sum = 0; from < until && (sum += weight(rows[until - 1])) < tail;) until -= 1;
  return rows.slice(from, until);
}

/** The ranges of two axes, so that both have zero at the same height: [{min, max}, {min, max}]. */
export function sharedZero(left, right) {
  const ranges = [left, right].map((values) => [Math.min(0, ...values), Math.max(0, ...values)]).map(([low, high]) => low === high ? [0, 1] : [low, high]);
  const below = Math.max(...ranges.map(([low, high]) => -low / (high - low)));
  const above = Math.max(...ranges.map(([low, high]) => high / (high - low)));
  return ranges.map(([low, high]) => {
    const size = 1.05 * Math.max(below ? -low / below : 0, above ? high / above : 0);
    return { min: -below * size, max: above * size, axisLabel: { showMinLabel: false, showMaxLabel: false } };
  });
}

function mirrored(chart, body, key, written) {
  const all = ascending(body, key);
  const rows = key === "strike" ? busy(all) : all;
  chart.draw({
    x: { labels: rows.map((row) => written(row[key])) },
    series: [
      { name: "Calls", color: "call", kind: "bar", data: rows.map((row) => row.call_premium) },
      { name: "Puts", color: "put", kind: "bar", data: rows.map((row) => -row.put_premium) },
      { name: "Net flow (inferred)", color: "net", kind: key === "strike" ? "line" : "dots", width: 1.6, data: rows.map((row) => row.net_flow) },
    ],
    format: tick,
    tip: (_, i) => {
      const row = rows[i];
      return row ? [written(row[key]), `Calls  ${money(row.call_premium)} · ${f.count(row.call_volume)}`, `Puts  ${money(row.put_premium)} · ${f.count(row.put_volume)}`,
        `Net flow  ${money(row.net_flow)}`, `Confidence  ${share(100 * row.confidence)}`].join("\n") : "";
    },
    label: `Premium traded in ${rows.length} ${key}s`, note: "$ of premium, puts drawn downward", rows: all,
  });
  say(byId(`note-flow-${key}`), body.minutes ? `newest ${body.minutes} minutes` : "");
}

function prints(home, body) {
  const rows = rowsOf(body, "flow");
  fill(home, [
    { title: "Contract", text: (row) => row.option_symbol },
    { title: "Time", text: (row) => f.minute(row.timestamp) },
    { title: "Score", number: true, text: (row) => f.price(row.unusual_score, 1), tone: (row) => row.unusual_score >= 7 ? "loud" : null },
    { title: "Side", text: (row) => row.side ?? f.NONE },
    { title: "Volume", number: true, text: (row) => f.count(row.volume) },
    { title: "Open int.", number: true, text: (row) => f.count(row.open_interest) },
    { title: "Premium", number: true, text: (row) => money(row.premium) },
    { title: "Last", number: true, text: (row) => f.price(row.last) },
    { title: "Volatility", number: true, text: (row) => row.implied_volatility == null ? f.NONE : f.percent(100 * row.implied_volatility) },
    { title: "Delta", number: true, text: (row) => f.signed(row.delta) },
    { title: "Confidence", number: true, text: (row) => share(100 * row.confidence) },
  ], rows, { caption: "Unusual prints", empty: "No unusual print in this hour: nothing far above the usual size." });
  say(byId("note-smart-money"), `score 0 to 10: size, new positions, distance, volatility, share of premium · ${INFERRED}`);
  return rows;
}

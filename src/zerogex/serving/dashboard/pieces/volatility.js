// Smile and term structure, with the forwards they stand on.

import { PlotChart } from "../charts/plot.js";
import { levelsOf, markLines } from "../charts/levels.js";
import { chosenDays, marketDate } from "../cells.js";
import { byId, say } from "../dom.js";
import * as f from "../format.js";
import { fill } from "../table.js";
import { around, places, rowsOf, written } from "./piece.js";

const CURVES = 5;  // smiles in one picture
const HUES = ["call", "put", "flip", "pain", "spot"];
const SPAN = 4;  // standard deviations of each expiration, on each side of its forward: beyond lies what nobody quotes in earnest
const FEWEST = 5;  // points of a smile, however short its time
const vol = (value) => f.percent(100 * value, 1);

export const SOURCES = { parity: "put-call parity", carry: "carry", chain: "stored with the chain" };

/** Curves of a payload: root, expiration, forward, at-the-money volatility, points [strike, volatility]. */
function curves(body) {
  return rowsOf(body, "smiles").map((one) => ({
    ...one, name: `${one.root} ${f.shortDay(one.expiration)}`,
    points: (one.strikes ?? []).map((strike, i) => [strike, one.iv[i]]).filter((point) => typeof point[1] === "number"),
  })).filter((one) => one.points.length > 1);
}

/** The points of a smile within a few standard deviations of its forward. */
function within({ points, forward, atm_iv: vol, years }) {
  const reach = SPAN * vol * Math.sqrt(years) * forward;
  const near = points.filter(([strike]) => Math.abs(strike - forward) <= reach);
  return near.length >= FEWEST ? near : points;
}

export function volatilityPieces() {
  return {
    smile: around(new PlotChart(...places("smile")), (views) => curves(views.smile).length, (chart, { smile }, page) => drawSmile(chart, smile, page)),
    term: around(new PlotChart(...places("term")), (views) => rowsOf(views.smile, "term_structure").length, (chart, { smile }) => drawTerm(chart, smile)),
    forwards: written("forwards", (views) => views.smile || views.expirations?.forwards, (home, { smile, expirations }) => {
      const rows = smile ? rowsOf(smile, "term_structure") : expirations.forwards;
      const spot = (smile ?? expirations).spot;
      fill(home, [
        { title: "Expiration", text: (row) => `${row.root} ${f.day(row.expiration)}` },
        { title: "Forward", number: true, text: (row) => f.price(row.forward) },
        { title: "Over spot", number: true, text: (row) => f.signed(row.forward - spot) },
        { title: "Rate", number: true, text: (row) => row.rate == null ? f.NONE : f.percent(100 * row.rate, 2) },
        { title: "From", text: (row) => SOURCES[row.source] ?? row.source },
        { title: "Pairs", number: true, text: (row) => f.count(row.pairs) },
      ], rows, { caption: "Forwards by expiration" });
      return rows;
    }),
  };
}

function drawSmile(chart, body, page) {
  const all = curves(body);
  const days = new Set(chosenDays(page.expirations, [...new Set(all.map((one) => one.expiration))], marketDate(body.data_timestamp)));
  const chosen = all.filter((one) => days.has(one.expiration));
  const shown = (chosen.length ? chosen : all).slice(0, CURVES).map((one) => ({ ...one, points: within(one) }));
  const strikes = shown.flatMap((one) => one.points.map((point) => point[0]));
  const ends = [Math.min(...strikes), Math.max(...strikes)];
  chart.draw({
    x: { values: f.strike, from: ends[0], until: ends[1] },
    series: shown.map((one, i) => ({ name: one.name, color: HUES[i], data: one.points, width: i ? 1.6 : 2.4 })),
    format: vol,
    marks: (width, colors) => {
      const forward = shown[0]?.forward;
      const levels = [...levelsOf(body, ["spot"]),
        ...(typeof forward === "number" ? [{ name: "Forward", price: forward, color: HUES[0], dash: [6, 4], width: 1.5 }] : [])];
      return markLines(levels, colors, ends, width);
    },
    tip: (strike) => {
      const near = (one) => one.points.reduce((best, point) => Math.abs(point[0] - strike) < Math.abs(best[0] - strike) ? point : best);
      return [`Strike ${f.strike(near(shown[0])[0])}`, ...shown.map((one) => `${one.name}  ${vol(near(one)[1])}`)].join("\n");
    },
    label: `Implied volatility by strike for ${shown.length} expirations: ${shown.map((one) => `${one.name} ${vol(one.atm_iv ?? NaN)} at the money`).join(", ")}`,
    note: "volatility of the out-of-the-money side",
    rows: all.flatMap((one) => one.strikes.map((strike, i) => ({ root: one.root, expiration: one.expiration, strike, iv: one.iv[i],
      call_iv: one.call_iv?.[i], put_iv: one.put_iv?.[i], iv_source: one.iv_source?.[i], forward: one.forward }))),
  });
  say(byId("note-smile"), [all.length > shown.length ? `${shown.length} of ${all.length} expirations` : `${all.length} expirations`, `each to ${SPAN} σ`].join(" · "));
}

function drawTerm(chart, body) {
  const rows = rowsOf(body, "term_structure").filter((row) => typeof row.atm_iv === "number");
  chart.draw({
    x: { labels: rows.map((row) => `${f.shortDay(row.expiration)}${rows.some((other) => other !== row && other.expiration === row.expiration) ? ` ${row.root}` : ""}`) },
    series: [
      { name: "At-the-money volatility", color: "call", data: rows.map((row) => row.atm_iv) },
      { name: "", color: "call", kind: "dots", data: rows.map((row) => row.atm_iv), quiet: true },
      { name: "Forward over spot", color: "flip", dash: [6, 4], right: true, data: rows.map((row) => row.forward - body.spot) },
    ],
    format: (value) => f.percent(100 * value, 2), range: { minInterval: 0.001 }, rightFormat: (value) => f.signed(value),
    tip: (_, i) => {
      const row = rows[i];
      return [`${row.root} ${f.day(row.expiration)}`, `At the money  ${vol(row.atm_iv)}`, `Forward  ${f.price(row.forward)} (${SOURCES[row.source] ?? row.source})`,
        `Days  ${f.ratio(365 * row.years)}`].join("\n");
    },
    label: `At-the-money volatility of ${rows.length} expirations: ${rows.map((row) => `${f.shortDay(row.expiration)} ${vol(row.atm_iv)}`).join(", ")}`,
    rows,
  });
}

// Strike × expiration, and strike × time through the day.

import { around as nearest, HeatChart } from "../charts/heat.js";
import { choiceWords } from "../choices.js";
import { MEASURES } from "../definitions.js";
import { byId, say } from "../dom.js";
import * as f from "../format.js";
import { around, places } from "./piece.js";

/** How the map of a measure reads a cell of a payload; calls and puts without a net are added. */
function valueOf(measureName) {
  const measure = MEASURES[measureName] ?? MEASURES.gex;
  const name = measure.net ?? measure.call;
  return { measure, read: (body, row, column) => {
    if (measure.net) return body[measure.net]?.[row]?.[column];
    const [call, put] = [body[measure.call]?.[row]?.[column], body[measure.put]?.[row]?.[column]];
    return call == null && put == null ? null : (call ?? 0) + (put ?? 0);
  }, has: (body) => Array.isArray(body[name]) };
}

export function heatPieces() {
  return {
    cells: around(new HeatChart(...places("cells")), (views) => views.heatmap?.strikes?.length, (chart, { heatmap }, page) => {
      draw(chart, heatmap, { keys: heatmap.expirations, labels: heatmap.expirations.map(f.shortDay), key: "expiration", axis: "expiration" }, page);
      say(byId("note-cells"), choiceWords(page));
    }),
    drift: around(new HeatChart(...places("drift")), (views) => views.drift?.strikes?.length, (chart, { drift }, page) => {
      draw(chart, drift, { keys: drift.times, labels: drift.times.map(f.minute), key: "timestamp", axis: "minute" }, page);
      say(byId("note-drift"), [choiceWords({ ...page, model: null }), page.model ? "default dealers, as stored" : ""].filter(Boolean).join(" · "));
    }),
  };
}

/** A matrix [column][strike] of a payload as a map; `keys` name the columns in the CSV, `labels` on the axis. */
function draw(chart, body, { keys, labels, key, axis }, page) {
  let { measure, read, has } = valueOf(page.measure);
  if (!has(body)) ({ measure, read } = valueOf("gex"));
  const money = (value) => f.compact(value, { unit: measure.money ? "$" : "" });
  const spot = body.spot ?? body.spots?.findLast((price) => price !== null) ?? body.strikes[0];
  const shown = nearest(body.strikes, spot, chart.room);
  const places = new Map(shown.map((strike, place) => [strike, place]));
  const [cells, rows] = [[], []];
  keys.forEach((label, column) => body.strikes.forEach((strike, i) => {
    const value = read(body, column, i);
    if (typeof value !== "number") return;
    rows.push({ [key]: label, strike, [measure.net ?? page.measure]: value });
    if (places.has(strike)) cells.push([column, places.get(strike), value]);
  }));
  const across = (values) => keys.map((_, i) => Array.isArray(values) ? values[i] ?? null : values ?? null);
  const lines = [
    { name: "Spot", color: "spot", prices: across(body.spots ?? body.spot) },
    { name: "Flip", color: "flip", dash: [6, 4], prices: across(body.gamma_flips ?? body.gamma_flip) },
  ].filter((line) => line.prices.some((price) => price !== null));
  chart.draw({
    columns: labels, strikes: shown, cells, lines, format: money, rows,
    tip: (label, strike, value) => `${label}   strike ${f.strike(strike)}\n${measure.name}  ${value}`,
    label: `${measure.name} by strike and ${axis}: ${keys.length} columns, ${shown.length} strikes from ${f.strike(shown[0])} to ${f.strike(shown.at(-1))}`,
    note: `${measure.unit}; colour by cube root`,
  });
}

// Strike × expiration, and strike × time through the day.

import { around as nearest, HeatChart } from "../charts/heat.js";
import { MEASURES } from "../definitions.js";
import { byId, say } from "../dom.js";
import * as f from "../format.js";
import { around, places } from "./piece.js";

const PHONE_STRIKES = 41;
const most = () => window.innerWidth < 700 ? PHONE_STRIKES : undefined;

/** The column of the exposure table that a measure's map shows; calls and puts without a net are added. */
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
    cells: around(new HeatChart(...places("cells")), (views) => views.heatmap?.strikes?.length, (chart, { heatmap }, page) =>
      draw(chart, heatmap, heatmap.expirations, heatmap.expirations.map(f.shortDay), page, "cells", "expiration")),
    drift: around(new HeatChart(...places("drift")), (views) => views.drift?.strikes?.length, (chart, { drift }, page) => {
      const stamps = drift.times;
      draw(chart, drift, stamps, stamps.map(f.minute), page, "drift", "timestamp");
    }),
  };
}

/** A matrix [column][strike] of a payload as a map; `keys` name the columns in the CSV, `labels` on the axis. */
function draw(chart, body, keys, labels, page, name, key) {
  let { measure, read, has } = valueOf(page.measure);
  if (!has(body)) ({ measure, read } = valueOf("gex"));
  const money = (value) => f.compact(value, { unit: measure.money ? "$" : "" });
  const shown = nearest(body.strikes, body.spot ?? body.strikes[0], most());
  const index = new Map(body.strikes.map((strike, i) => [strike, i]));
  const cells = [];
  keys.forEach((_, column) => shown.forEach((strike, place) => {
    const value = read(body, column, index.get(strike));
    if (typeof value === "number") cells.push([column, place, value]);
  }));
  const across = (values) => keys.map((_, i) => Array.isArray(values) ? values[i] ?? null : values ?? null);
  const lines = [
    { name: "Spot", color: "spot", prices: across(body.spots ?? body.spot) },
    { name: "Flip", color: "flip", dash: [6, 4], prices: across(body.gamma_flips ?? body.gamma_flip) },
  ].filter((line) => line.prices.some((price) => price !== null));
  chart.draw({
    columns: labels, strikes: shown, cells, lines, format: money,
    tip: (label, strike, value) => `${label}   strike ${f.strike(strike)}\n${measure.name}  ${value}`,
    label: `${measure.name} by strike and ${key === "timestamp" ? "minute" : "expiration"}: ${keys.length} columns, ${shown.length} strikes from ${f.strike(shown[0])} to ${f.strike(shown.at(-1))}`,
    note: `${measure.unit}; colour by cube root`,
    rows: cells.map(([column, place, value]) => ({ [key]: keys[column], strike: shown[place], [measure.net ?? page.measure]: value })),
  });
  say(byId(`note-${name}`), measure.name);
}

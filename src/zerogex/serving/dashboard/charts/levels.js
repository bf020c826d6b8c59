// Levels as lines: which there are, how they look, and labels that do not run into one another.

import * as f from "../format.js";

const SHOWN_SHARE = 0.95;  // of all gross exposure: the strikes of the rest lie too far out to draw
const LOOK = [
  { field: "spot", name: "Spot", color: "spot", dash: false, width: 2 },
  { field: "gamma_flip", name: "Flip", color: "flip", dash: [6, 4], width: 2 },
  { field: "call_wall", name: "Call wall", color: "call", dash: [2, 3], width: 1.5 },
  { field: "put_wall", name: "Put wall", color: "put", dash: [2, 3], width: 1.5 },
  { field: "max_gamma_strike", name: "Max gamma", color: "soft", dash: [2, 3], width: 1.5 },
  { field: "max_pain", name: "Max pain", color: "pain", dash: [8, 3, 2, 3], width: 1.5 },
];

/** The levels a payload has, as [{name, price, color, dash, width}]. */
export function levelsOf(data, fields = LOOK.map((look) => look.field)) {
  return LOOK.filter((look) => fields.includes(look.field) && typeof data?.[look.field] === "number")
    .map((look) => ({ ...look, price: data[look.field] }));
}

/** Vertical mark lines with labels stacked in rows where they would overlap; `range` and `width` place them. */
export function markLines(levels, colors, [low, high], width) {
  const rows = [];
  const shown = levels.filter((level) => level.price >= low && level.price <= high).sort((a, b) => a.price - b.price);
  const data = shown.map((level) => {
    const text = `${level.name} ${f.price(level.price, Number.isInteger(level.price) ? 0 : 2)}`;
    const half = text.length * 3.5 + 5;
    const x = (level.price - low) / (high - low) * width;
    const align = x < half ? "left" : width - x < half ? "right" : "center";
    const from = align === "left" ? x : align === "right" ? x - 2 * half : x - half;
    let row = 0;
    while (rows[row] !== undefined && from < rows[row]) row += 1;
    rows[row] = from + 2 * half;
    return {
      xAxis: level.price,
      lineStyle: { color: colors[level.color], width: level.width, type: level.dash || "solid" },
      label: { formatter: text, color: colors[level.color], align, distance: 4 + 15 * row, fontSize: 12, fontWeight: 600 },
    };
  });
  return { symbol: "none", silent: true, animation: false, label: { position: "end", rotate: 0 }, data };
}

/** Where the mass of the exposures is: the narrowest range around spot with nearly all of it, and the levels near it. */
export function window(rows, spot, weight, levels) {
  const strikes = rows.map((row) => row.strike);
  if (!strikes.length) return [0, 1];
  const [first, last] = [strikes[0], strikes.at(-1)];
  const total = rows.reduce((sum, row) => sum + weight(row), 0);
  let reach = Math.max(spot - first, last - spot);
  if (total > 0) {
    const near = rows.map((row) => [Math.abs(row.strike - spot), weight(row)]).sort((a, b) => a[0] - b[0]);
    let sum = 0;
    for (const [away, mass] of near) {
      sum += mass;
      if (sum >= SHOWN_SHARE * total) { reach = away; break; }
    }
  }
  const inner = levels.map((level) => Math.abs(level.price - spot)).filter((away) => away < 2 * reach);
  const step = strikes.length > 1 ? Math.min(...strikes.slice(1).map((strike, i) => strike - strikes[i])) : 1;
  reach = Math.max(reach, ...inner, 4 * step) + step;
  const snap = Math.max(step, 10 ** Math.floor(Math.log10(reach)) / 2);
  return [Math.max(first - step, Math.floor((spot - reach) / snap) * snap), Math.min(last + step, Math.ceil((spot + reach) / snap) * snap)];
}

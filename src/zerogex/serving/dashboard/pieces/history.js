// What the analyses said through the day and over days: net GEX, spot, flip and walls.

import { PlotChart } from "../charts/plot.js";
import { byId, say } from "../dom.js";
import * as f from "../format.js";
import { around, places, rowsOf } from "./piece.js";

const DAYS_MS = 36 * 3_600_000;  // from this span on the axis names days
const HOLE_MS = 30 * 60_000;  // more time than this between two analyses breaks the line
const ROOM = ["6%", "6%"];  // above and below the curves
const money = (value) => f.compact(value);
const at = (row) => Date.parse(row.data_timestamp ?? row.timestamp);

/** Points [time, value] of a field, broken where nothing was stored for long. */
export function line(rows, field) {
  const points = [];
  rows.forEach((row, i) => {
    if (i && at(row) - at(rows[i - 1]) > HOLE_MS) points.push([at(rows[i - 1]) + 1, null]);
    points.push([at(row), row[field] ?? null]);
  });
  return points;
}

/** The axis of time: minutes of a day, or days. */
const axis = (rows) => ({ time: true, days: at(rows.at(-1)) - at(rows[0]) > DAYS_MS });

/** Whether the area between the curve and zero is in the picture. */
const crossesZero = (rows) => rows.some((row) => row.net_gex > 0) && rows.some((row) => row.net_gex < 0);

/** The row nearest to a time. */
function near(rows, time) {
  return rows.reduce((best, row) => Math.abs(at(row) - time) < Math.abs(at(best) - time) ? row : best, rows[0]);
}

export function historyPieces() {
  const ready = (views) => rowsOf(views.history, "history").length;
  const columns = ["timestamp", "data_timestamp", "spot", "net_gex", "call_gex", "put_gex", "gamma_flip", "gamma_flip_status", "call_wall", "put_wall", "max_pain", "simulated"];
  const taken = (rows) => rows.map((row) => Object.fromEntries(columns.map((name) => [name, row[name]])));
  const tip = (rows) => (time) => {
    const row = near(rows, time);
    return [f.dayAndTime(row.data_timestamp ?? row.timestamp), `Net GEX  ${money(row.net_gex)}`, `Spot  ${f.price(row.spot)}`, `Flip  ${f.price(row.gamma_flip)}`,
      `Walls  ${f.strike(row.put_wall)} · ${f.strike(row.call_wall)}`].join("\n");
  };
  return {
    "history-gex": around(new PlotChart(...places("history-gex")), ready, (chart, { history }) => {
      const rows = rowsOf(history, "history");
      chart.draw({
        x: axis(rows),
        series: [
          { name: "Net GEX, $ per +1 %", color: "net", area: crossesZero(rows), data: line(rows, "net_gex") },
          { name: "Spot", color: "spot", right: true, width: 1.6, data: line(rows, "spot") },
        ],
        format: (value) => f.tick(value), range: { boundaryGap: ROOM }, rightRange: { boundaryGap: ROOM }, rightFormat: (value) => f.price(value), tip: tip(rows),
        label: `Net GEX from ${f.dayAndTime(rows[0].timestamp)} to ${f.dayAndTime(rows.at(-1).timestamp)}, ${rows.length} analyses`,
        rows: taken(rows),
      });
      say(byId("note-history-gex"), `${f.count(rows.length)} analyses`);
    }),
    "history-levels": around(new PlotChart(...places("history-levels")), ready, (chart, { history }) => {
      const rows = rowsOf(history, "history");
      chart.draw({
        x: axis(rows),
        series: [
          { name: "Spot", color: "spot", data: line(rows, "spot") },
          { name: "Flip", color: "flip", dash: [6, 4], data: line(rows, "gamma_flip") },
          { name: "Call wall", color: "call", step: true, width: 1.6, data: line(rows, "call_wall") },
          { name: "Put wall", color: "put", step: true, width: 1.6, data: line(rows, "put_wall") },
          { name: "Max pain", color: "pain", step: true, dash: [2, 3], width: 1.6, data: line(rows, "max_pain") },
        ],
        format: (value) => f.price(value, 0), range: { boundaryGap: ROOM }, tip: tip(rows),
        label: `Spot ${f.price(rows.at(-1).spot)}, flip ${f.price(rows.at(-1).gamma_flip)}, walls ${f.strike(rows.at(-1).put_wall)} and ${f.strike(rows.at(-1).call_wall)} at the end`,
        rows: taken(rows),
      });
    }),
  };
}

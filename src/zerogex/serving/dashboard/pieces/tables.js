// Panels of text: strikes, crossings, walls, quality, levels of every symbol, levels to take away.

import { copy } from "../download.js";
import { byId, el, say } from "../dom.js";
import * as f from "../format.js";
import { asCsv, levelList, thinkorswim, tradingView } from "../levels-text.js";
import { facts, fill } from "../table.js";
import { rowsOf, written } from "./piece.js";

const STRIKES = 30;  // around spot; all are in the file
const LEVELS_SAVED = ["underlying", "state", "spot", "net_gex", "gamma_flip", "gamma_flip_status", "put_wall", "call_wall", "max_gamma_strike", "max_pain", "data_timestamp", "simulated"];
const money = (value) => f.compact(value, { sign: true });
const words = (text) => String(text ?? f.NONE).replaceAll("_", " ");
const tone = (value) => value < 0 ? "minus" : "plus";

export function tablePieces() {
  return {
    "strike-table": written("strike-table", (views) => views.strikes, strikeTable),
    crossings: written("crossings", (views) => views.profile, crossings),
    walls: written("walls", (views) => views.summary, walls),
    coverage: written("coverage", (views) => views.summary, coverage),
    stages: written("stages", (views) => views.quality, stages),
    gaps: written("gaps", (views) => views.quality, gaps),
    levels: written("levels", (views) => views.levels, levels),
    alerts: written("alerts", (views) => views.alerts, alerts),
    "level-text": written("level-text", (views) => views.summary, levelText),
  };
}

function strikeTable(home, { strikes }) {
  const rows = strikes.by_strike;
  const near = [...rows].sort((a, b) => Math.abs(a.strike - strikes.spot) - Math.abs(b.strike - strikes.spot)).slice(0, STRIKES).sort((a, b) => b.strike - a.strike);
  fill(home, [
    { title: "Strike", text: (row) => f.strike(row.strike) },
    { title: "Net GEX", number: true, text: (row) => money(row.net_gex), tone: (row) => tone(row.net_gex) },
    { title: "Calls", number: true, text: (row) => money(row.call_gex) },
    { title: "Puts", number: true, text: (row) => money(row.put_gex) },
    { title: "Call OI", number: true, text: (row) => f.count(row.call_open_interest) },
    { title: "Put OI", number: true, text: (row) => f.count(row.put_open_interest) },
    { title: "Call vol.", number: true, text: (row) => f.count(row.call_volume) },
    { title: "Put vol.", number: true, text: (row) => f.count(row.put_volume) },
  ], near, { caption: "Strikes around spot" });
  if (!home.dataset.placed) {
    home.dataset.placed = "spot in the middle";
    home.scrollTop = (home.scrollHeight - home.clientHeight) / 2;
  }
  say(byId("note-strike-table"), `${near.length} of ${rows.length} strikes; the file has all`);
  return rows;
}

function crossings(home, { profile }) {
  const rows = profile.flip_crossings ?? [];
  fill(home, [
    { title: "Price", text: (row) => f.price(row.price) },
    { title: "From spot", text: (row) => f.distance(row.price, profile.spot) },
    { title: "Slope, $ per $1", number: true, text: (row) => money(row.slope) },
    { title: "Kind", text: (row) => row.structural ? row.price === profile.gamma_flip ? "the flip" : "structural" : "ripple" },
  ], rows, { caption: "Crossings of zero", empty: profile.gamma_flip_reason ?? "Net GEX keeps one sign in the whole range." });
  return rows;
}

function walls(home, { summary }) {
  const names = { call_wall: "Call wall", put_wall: "Put wall", max_gamma: "Max gamma", call_wall_net: "Call wall by net GEX", put_wall_net: "Put wall by net GEX",
    call_wall_oi: "Call wall by open interest", put_wall_oi: "Put wall by open interest", call_wall_volume: "Call wall by volume", put_wall_volume: "Put wall by volume" };
  const rows = Object.entries(names).filter(([name]) => summary.levels?.[name]).map(([level, name]) => ({ level, name, ...summary.levels[level] }));
  fill(home, [
    { title: "Level", text: (row) => row.name },
    { title: "Strike", number: true, text: (row) => f.strike(row.strike) },
    { title: "Weight", number: true, text: (row) => /_(oi|volume)$/.test(row.level) ? f.count(row.gex) : money(row.gex) },
    { title: "Of its side", number: true, text: (row) => f.percent(100 * row.share) },
    { title: "Ahead of next", number: true, text: (row) => f.percent(100 * row.margin) },
  ], rows, { caption: "Levels and their weight" });
  return rows;
}

function coverage(home, { summary }) {
  const c = summary.coverage ?? {};
  const counts = (found) => Object.entries(found ?? {}).map(([name, n]) => `${words(name)} ${f.count(n)}`).join(", ") || "none";
  const pairs = [
    ["Contracts", `${f.count(c.used)} used of ${f.count(c.live)} live, ${f.count(c.contracts)} followed`],
    ["Open interest", `${f.percent(c.pct)} of ${f.count(c.open_interest)}`, c.pct < 90 ? "minus" : null],
    ["Volatility from", counts(c.iv_sources)],
    ["Without volatility", counts(c.iv_failures)],
    ["Greeks, dealers", `${words(summary.greeks)}, ${words(summary.dealer_model)} (assumed)`],
    ["Adjusted, left out", f.count(c.excluded_adjusted)],
    ["Newest quote", `${f.age(c.stale_s)} before the analysis`],
    ["Spot", c.spot_age_s ? `${f.age(c.spot_age_s)} older than the analysis` : "of the analysis"],
    ["Notes", summary.notes?.length ? summary.notes.join(" ") : "none"],
  ];
  facts(home, pairs);
  return pairs.map(([what, value]) => ({ what, value }));
}

function stages(home, { quality }, page) {
  const rows = rowsOf(quality, "lag");
  fill(home, [
    { title: "Stage", text: (row) => words(row.stage) },
    { title: "At", number: true, text: (row) => f.clock(row.at) },
    { title: "Behind now", number: true, text: (row) => f.age(row.lag_seconds) },
    { title: "What it is", text: (row) => row.meaning ?? "" },
  ], rows, { caption: "Lag of each stage", empty: page.at === null ? "No stage has written anything yet." : "Lags are known for now only: press l for live." });
  say(byId("note-stages"), "in market time");
  return rows;
}

function gaps(home, { quality }) {
  const holes = rowsOf(quality, "gaps").map((gap) => ({ kind: `gap in ${gap.of}`, severity: "warning", started_at: gap.start, ended_at: gap.end,
    affected: gap.minutes, total: quality.expected_minutes, message: `${f.count(gap.minutes)} minutes without ${gap.of}`, resolved_at: null }));
  const rows = [...holes, ...rowsOf(quality, "findings").map(({ kind, severity, started_at, ended_at, affected, total, message, resolved_at }) =>
    ({ kind, severity, started_at, ended_at, affected, total, message, resolved_at }))];
  fill(home, [
    { title: "What", text: (row) => words(row.kind) },
    { title: "Severity", text: (row) => words(row.severity), tone: (row) => row.severity === "error" ? "minus" : null },
    { title: "From", text: (row) => f.dayAndTime(row.started_at) },
    { title: "To", text: (row) => f.minute(row.ended_at) },
    { title: "Affected", number: true, text: (row) => f.count(row.affected) },
    { title: "Says", text: (row) => row.message ?? f.NONE },
    { title: "Resolved", text: (row) => row.resolved_at ? f.dayAndTime(row.resolved_at) : "no" },
  ], rows, { caption: "Gaps and findings", empty: "No gap and no finding on this day." });
  const { expected_minutes: expected, bars, chains, day } = quality;
  say(byId("note-gaps"), expected ? `${f.day(day)}: ${f.count(bars)} bars and ${f.count(chains)} chains of ${f.count(expected)} minutes` : day ? `${f.day(day)}: no session` : "");
  return rows;
}

function levels(home, views) {
  const rows = rowsOf(views.levels, "levels");
  fill(home, [
    { title: "Underlying", text: (row) => row.underlying ?? row.symbol },
    { title: "State", text: (row) => row.state ?? "waiting" },
    { title: "Spot", number: true, text: (row) => f.price(row.spot) },
    { title: "Net GEX", number: true, text: (row) => money(row.net_gex), tone: (row) => row.net_gex == null ? null : tone(row.net_gex) },
    { title: "Flip", number: true, text: (row) => f.price(row.gamma_flip) },
    { title: "Put wall", number: true, text: (row) => f.strike(row.put_wall) },
    { title: "Call wall", number: true, text: (row) => f.strike(row.call_wall) },
    { title: "Max gamma", number: true, text: (row) => f.strike(row.max_gamma_strike) },
    { title: "Max pain", number: true, text: (row) => f.strike(row.max_pain) },
    { title: "As of", number: true, text: (row) => f.clock(row.data_timestamp) },
  ], rows, { caption: "Levels of every underlying" });
  return rows.map((row) => Object.fromEntries(LEVELS_SAVED.map((name) => [name, row[name]])));
}

function alerts(home, views) {
  const { alerts: rows, rules, channels } = views.alerts;
  const way = (sent) => sent.delivered_at ? `${sent.channel} ✓` : `${sent.channel} ${sent.given_up_at ? "given up" : "waits"}${sent.last_error ? `: ${sent.last_error}` : ""}`;
  fill(home, [
    { title: "Market time", text: (row) => f.dayAndTime(row.timestamp) },
    { title: "Alert", text: (row) => row.title },
    { title: "Says", text: (row) => row.message },
    { title: "Delivered", text: (row) => row.deliveries.map(way).join(", ") || "no channel", tone: (row) => row.deliveries.some((sent) => !sent.delivered_at) ? "minus" : null },
  ], rows, { caption: "Alerts", empty: rules.length ? "Nothing was crossed yet." : "No rules yet. Make one: zerogex alerts add SPY spot crosses gamma_flip" });
  const served = channels.length ? channels.map(({ channel, place }) => `${channel} (${place})`).join(", ") : "no channel is set";
  say(byId("note-alerts"), `${f.count(rules.length)} ${rules.length === 1 ? "rule" : "rules"} · ${served}`);
  return rows.map(({ deliveries, ...row }) => ({ ...row, delivered: deliveries.filter((sent) => sent.delivered_at).map((sent) => sent.channel).join(" ") }));
}

function levelText(home, { summary }) {
  const ways = [
    { name: "TradingView", file: `zerogex-${summary.underlying}-levels.pine`, text: tradingView, how: "paste into the Pine editor, add to chart" },
    { name: "thinkorswim", file: `zerogex-${summary.underlying}-levels.ts`, text: thinkorswim, how: "paste into a new study" },
    { name: "CSV", file: `zerogex-${summary.underlying}-levels.csv`, text: asCsv, how: "for a spreadsheet" },
  ];
  const rows = levelList(summary);
  const key = JSON.stringify([summary.underlying, summary.data_timestamp, rows.map((row) => row.price)]);
  if (home.dataset.key === key) return rows;
  home.dataset.key = key;
  if (!home.querySelector("button")) {
    home.replaceChildren(el("div", { class: "ways" }, ...ways.map(({ name, how }) => el("div", { class: "copying" },
      el("button", { type: "button", class: "act", id: `copy-${name.toLowerCase()}` }, name === "CSV" ? "Copy as CSV" : `Copy for ${name}`), el("span", { class: "how" }, how)))),
    el("pre", { class: "preview", id: "level-preview", tabindex: "0", "aria-label": "Levels as text" }));
  }
  for (const { name, file, text } of ways) byId(`copy-${name.toLowerCase()}`).onclick = () => copy(text(summary), `Levels for ${name}`, file);
  say(byId("level-preview"), tradingView(summary));
  return rows;
}

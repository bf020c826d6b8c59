// Where in the API each view that a panel needs is to be found, given what the page shows.

import { MEASURES } from "./definitions.js";
import { path } from "./feed.js";

export const TOPICS = ["summary", "strikes", "expirations", "profile", "bars"];
export const CHOSEN = ["strikes", "profile"];  // what the choice of expirations and dealer model changes
const DAY_MS = 86_400_000;
const ROWS = { "flow/strike": "60", "flow/smart-money": "40" };
const SPANS = { day: 0, week: 7 * DAY_MS, month: 30 * DAY_MS };
const STEPS = { week: "15m", month: "1h" };
const FLOW_MINUTES = "120";
const timeOf = new Intl.DateTimeFormat("en-GB", { timeZone: "America/New_York", hour: "numeric", minute: "numeric", second: "numeric" });

/** Whether expirations or dealers are chosen, so that the topics do not show what is wanted. */
export const isChosen = (page) => page.expirations !== "all" || Boolean(page.model);

const iso = (milliseconds) => new Date(milliseconds).toISOString().replace(".000Z", "Z");

/** The words after the question mark for one view. */
function words(name, page) {
  const at = page.at ? { as_of: page.at } : {};
  const model = page.model ? { dealer_model: page.model } : {};
  const days = page.expirations === "all" ? {} : { expirations: page.expirations };
  if (CHOSEN.includes(name)) return { ...at, ...model, ...days };
  if (name === "heatmap") return { ...at, ...model, ...days, measures: columns(page.measure) };
  if (name === "drift") return { ...at, by: "time", ...days, measures: columns(page.measure) };
  if (name === "alerts") return {};
  if (name === "minutes") return dayOf(page.at ?? page.face?.market_time);
  if (name === "history") return past(page);
  if (name.startsWith("flow/")) return { ...at, minutes: FLOW_MINUTES, ...(ROWS[name] ? { limit: ROWS[name] } : {}) };
  return at;
}

function columns(measure) {
  const { call, put, net } = MEASURES[measure] ?? MEASURES.gex;
  return net ?? [call, put].join(",");
}

/** From New York's midnight before an instant to the next. */
function dayOf(instant) {
  const [hours, minutes, seconds] = timeOf.format(new Date(instant)).split(":").map(Number);
  const start = Math.floor(Date.parse(instant) / 1000) * 1000 - 1000 * (3600 * hours + 60 * minutes + seconds);
  return { start: iso(start), end: iso(start + DAY_MS) };
}

/** The span of the history shown: the day, or the days before its end. */
function past(page) {
  const day = dayOf(page.at ?? page.face?.market_time);
  const back = SPANS[page.range];
  return back ? { start: iso(Date.parse(day.end) - back), end: day.end, resolution: STEPS[page.range] } : day;
}

/** Address of a view under what the page shows. */
export function address(name, page) {
  const route = { levels: "/api/v1/levels", alerts: "/api/v1/alerts", drift: path(page.symbol, "heatmap"), minutes: path(page.symbol, "history") }[name] ?? path(page.symbol, name);
  const given = Object.entries(words(name, page)).filter(([, value]) => value != null);
  const text = new URLSearchParams(given).toString();
  return text ? `${route}?${text}` : route;
}

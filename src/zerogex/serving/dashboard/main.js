// The page: one symbol, what is known of it, and the pieces that show it.

import { readAddress, writeAddress } from "./address.js";
import { Asker } from "./asks.js";
import { cleanChoice, marketDate } from "./cells.js";
import { buildChoices, choiceWords, showChoices } from "./choices.js";
import { MEASURES, MODELS } from "./definitions.js";
import { openHelp } from "./dialog.js";
import { blank, byId, el, say } from "./dom.js";
import { Feed, get } from "./feed.js";
import * as f from "./format.js";
import { buildHeadline, showHeadline } from "./headline.js";
import { showFace, showNotice, trouble } from "./notice.js";
import { buildPanels, PANELS } from "./panels.js";
import { buildPieces } from "./pieces/all.js";
import { address, CHOSEN, isChosen, TOPICS } from "./routes.js";
import { Timeline } from "./timeline.js";
import { buildViews, showView, VIEWS, viewNamed } from "./views.js";

const SYMBOLS_EVERY_MS = 15000;
const RANGES = { day: "Day", week: "Week", month: "Month" };
/** `topics`: as the feed says; `asked`: as asked for now; `past`: as of `at`. */
const page = {
  symbol: null, symbols: [], view: VIEWS[0], at: null, measure: "gex", model: null, expirations: "all", range: "day",
  topics: {}, asked: {}, past: {}, problems: {}, face: null, problem: null, link: "connecting", stale: new Set(), all: true,
};

const views = () => {
  if (page.at !== null) return { ...page.past, alerts: page.asked.alerts };
  const chosen = isChosen(page) ? Object.fromEntries(CHOSEN.map((name) => [name, page.asked[name]])) : {};
  return { ...page.asked, ...page.topics, ...chosen };
};

const feed = new Feed({
  heard(view, data, whole) {
    if (view === "bars") pieces.price.chart.take(data.bars, whole, page.at === null);
    page.topics[view] = data;
    page.stale.add(view);
    if (view === "summary") { page.problem = null; takeFace(data); }
    later();
  },
  beat(face) { takeFace({ ...page.face, ...face }); later(); },
  link(state) { page.link = state; later(); },
  trouble(problem) { page.problem = problem; later(); },
});

const asker = new Asker({
  heard(name, body, at) {
    if (name === "minutes") { timeline.take(body.history.map((row) => row.data_timestamp), page.face?.market_time ?? null); return; }
    (at ? page.past : page.asked)[name] = body;
    delete page.problems[name];
    page.stale.add(name);
    later();
  },
  refused(name, problem) { page.problems[name] = problem; page.stale.add(name); later(); },
  lost() { later(); },
});

const timeline = new Timeline((at) => showTime(at));
buildPanels((name) => pieces[name], said);
const pieces = buildPieces();

function takeFace(face) {
  page.face = { ...face, simulated: face.simulated ?? page.face?.simulated ?? false, heard: performance.now() };
}

/** What a picture of this page must say of itself: of what, as of when, and whether it is real. */
function said() {
  const { summary } = views();
  return summary ? [summary.underlying, f.dayAndTime(summary.data_timestamp), choiceWords(page), summary.simulated ? "SIMULATED" : null, "ZeroGEX"].filter(Boolean).join(" · ") : "ZeroGEX";
}

let waiting = false;
/** Show on the next frame, once, however much has come until then. */
function later() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; show(); });
}

/** Ask for what the panels of this view need and no topic brings. */
function ask() {
  if (!page.symbol) return;
  const needs = new Set(PANELS.filter((panel) => page.view.panels.includes(panel.name)).flatMap((panel) => panel.needs));
  const past = page.at !== null;
  if (past) ["summary", "expirations"].forEach((name) => needs.add(name));
  const wanted = [...needs].filter((name) => name !== "alerts").filter((name) => past || !TOPICS.includes(name) || (isChosen(page) && CHOSEN.includes(name)));
  const list = wanted.map((name) => ({ name, where: address(name, page), at: page.at }));
  if (page.face?.market_time) list.push({ name: "minutes", where: address("minutes", page), at: null });
  list.push({ name: "alerts", where: address("alerts", page), at: null });  // whatever is shown: that they fail must be seen
  asker.want(list);
}

function show() {
  ask();
  const now = views();
  const summary = now.summary ?? null;
  const wrong = trouble({ ...page, summary, alerts: page.asked.alerts, empty: !page.symbols.length, problem: page.at === null ? page.problem : page.problems.summary ?? null });
  if (page.all || page.stale.has("summary")) {
    showHeadline(summary);
    showFooter(summary);
  }
  const days = now.expirations?.by_expiration?.map((row) => row.expiration) ?? [];
  showChoices(page, days, marketDate(summary?.data_timestamp ?? page.face?.market_time));
  for (const panel of PANELS.filter(({ name }) => page.view.panels.includes(name))) {
    const piece = pieces[panel.name];
    const ready = piece.ready(now);
    if (ready && (page.all || panel.needs.some((name) => page.stale.has(name)))) piece.draw(now, page);
    showBlank(panel, ready, wrong);
  }
  page.all = false;
  page.stale.clear();
  showFace(page.face, page.link, page.at !== null ? summary : null);
  showNotice(wrong);
  document.documentElement.dataset.symbol = page.symbol ?? "";
  document.title = summary ? `${summary.underlying} ${f.price(summary.spot)} · ${f.compact(summary.net_gex, { sign: true })} · ZeroGEX` : "ZeroGEX";
}

function showBlank(panel, ready, wrong) {
  const home = byId(`${panel.table ? "rows" : "chart"}-${panel.name}`);
  const problem = panel.needs.map((name) => page.problems[name]).find(Boolean);
  const words = ready ? null : problem ? `${problem.detail ?? problem.title} ${problem.hint ?? ""}`.trim()
    : panel.needs.some((name) => name in views()) ? page.at === null ? "Nothing to show yet" : "Nothing is stored for this time" : wrong ? "Nothing to draw yet" : "Loading …";
  if (!ready) pieces[panel.name].clear();
  else if (problem) say(byId(`note-${panel.name}`), `not renewed: ${problem.detail ?? problem.title}`);
  blank(home, words);
}

function showFooter(summary) {
  say(byId("assumption"), `Dealer model (an assumption, not an observation): ${MODELS[summary?.dealer_model] ?? summary?.dealer_model ?? f.NONE}.`);
  const c = summary?.coverage;
  const notes = summary?.notes?.length ? ` ${summary.notes.join(" ")}` : "";
  say(byId("provenance"), c ? `${f.count(c.used)} of ${f.count(c.live)} live contracts carry these numbers, ${f.percent(c.pct)} of open interest. `
    + `Computed ${f.clock(summary.computed_at)}.${notes}` : "");
}

function clearAll() {
  Object.values(pieces).forEach((piece) => piece.clear());
  page.all = true;
}

function choose(symbol) {
  if (symbol === page.symbol) return;
  Object.assign(page, { symbol, topics: {}, asked: {}, past: {}, problems: {}, problem: null, face: page.face && { ...page.face, state: null, age_seconds: null } });
  writeAddress({ symbol });
  showHeadline(null);
  asker.forget();
  clearAll();
  feed.follow(symbol);
  later();
}

function setView(view) {
  page.view = view;
  page.all = true;
  showView(view);
  later();
}

/** Show the page as of an instant; null is live. */
function showTime(at) {
  if (at === page.at) return;
  const live = at === null;
  Object.assign(page, { at, problems: {}, all: true });
  if (live) {
    page.past = {};
    pieces.price.chart.take(page.topics.bars?.bars ?? [], true);
  }
  writeAddress({ time: at });
  later();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("zerogex.theme", theme); } catch { /* storage is off: the address keeps it */ }
  writeAddress({ theme });
  pieces.price.chart.paint();
  page.all = true;
  later();
}

/** Take choices {measure, model, expirations, range}, whatever came, and show them. */
function setChoice(change) {
  Object.assign(page, change);
  if (!(page.measure in MEASURES)) page.measure = "gex";
  if (!(page.model in MODELS)) page.model = null;
  if (!(page.range in RANGES)) page.range = "day";
  page.expirations = cleanChoice(page.expirations);
  if (byId("range")) byId("range").value = page.range;
  const plain = { measure: "gex", model: null, expirations: "all", range: "day" };
  writeAddress(Object.fromEntries(Object.entries(plain).map(([name, usual]) => [name, page[name] === usual ? null : page[name]])));
  page.all = true;
  later();
}

async function learnSymbols() {
  try {
    const { body } = await get("/api/v1/symbols");
    if (!body) return;
    page.symbols = body.symbols.map((row) => row.symbol);
    const select = byId("symbol");
    if ([...select.options].map((option) => option.value).join("\n") !== page.symbols.join("\n")) {
      select.replaceChildren(...page.symbols.map((symbol) => el("option", { value: symbol }, symbol)));
    }
    if (!page.topics.summary) takeFace({ ...body, symbols: null, state: null, age_seconds: null });
    if (!page.symbol && page.symbols.length) {
      const wanted = readAddress().symbol;
      choose(page.symbols.find((symbol) => symbol === wanted || symbol === wanted?.toUpperCase()) ?? page.symbols[0]);
    }
    select.value = page.symbol;
  } catch {
    if (!page.symbol) page.link = "lost";
  }
  later();
}

/** A minute, or with shift a day, on or back. */
function move(event, by) {
  if (event.shiftKey) timeline.day(by, page.face?.market_time); else timeline.step(by);
}

const flipTheme = () => setTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light");
const measures = Object.keys(MEASURES);
const keys = {
  "/": () => byId("symbol").focus(),
  "?": openHelp,
  l: () => { timeline.live(); pieces.price.chart.live(); if (page.link !== "live") feed.reconnect(); },
  t: flipTheme,
  m: () => setChoice({ measure: measures[(measures.indexOf(page.measure) + 1) % measures.length] }),
  ArrowLeft: (event) => move(event, -1),
  ArrowRight: (event) => move(event, 1),
};
VIEWS.forEach((view, i) => { keys[i + 1] = () => setView(view); });

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("dialog").open) return;
  const { target } = event;
  if (target.matches("select, textarea, input:not([type=range])")) return;
  if (event.key.startsWith("Arrow") && target.matches("input, .rows, .rows *, pre")) return;
  if (keys[event.key]) { event.preventDefault(); keys[event.key](event); }
}

function buildRange() {
  const select = el("select", { id: "range" }, ...Object.entries(RANGES).map(([value, text]) => el("option", { value }, text)));
  select.addEventListener("change", () => setChoice({ range: select.value }));
  byId("picks-history-gex").append(el("label", { class: "pick" }, el("span", { class: "hidden" }, "Range of time"), select));
}

function start() {
  const asked = readAddress();
  buildHeadline(() => views().summary ?? null);
  buildViews(setView);
  buildChoices(setChoice);
  buildRange();
  if (Number.isFinite(Date.parse(asked.time ?? ""))) { page.at = asked.time; timeline.set(asked.time); }
  setChoice({ measure: asked.measure ?? "gex", model: asked.model, expirations: asked.expirations ?? "all", range: asked.range ?? "day" });
  setView(viewNamed(asked.view));
  byId("symbol").addEventListener("change", (event) => choose(event.target.value));
  byId("theme").addEventListener("click", flipTheme);
  byId("help").addEventListener("click", openHelp);
  document.addEventListener("keydown", onKey);
  new ResizeObserver(() => { page.all = true; later(); }).observe(byId("panels"));
  learnSymbols();
  setInterval(learnSymbols, SYMBOLS_EVERY_MS);
  setInterval(() => { if (page.at === null) showFace(page.face, page.link, null); }, 500);
}

start();

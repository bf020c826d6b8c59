// The page: one symbol, what is known of it, and the pieces that show it.

import { readAddress, writeAddress } from "./address.js";
import { ExpirationsChart } from "./charts/expirations.js";
import { PriceChart } from "./charts/price.js";
import { ProfileChart } from "./charts/profile.js";
import { StrikesChart } from "./charts/strikes.js";
import { MEASURES, MODELS } from "./definitions.js";
import { openHelp } from "./dialog.js";
import { blank, byId, el, say } from "./dom.js";
import { Feed, get } from "./feed.js";
import * as f from "./format.js";
import { buildHeadline, showHeadline } from "./headline.js";
import { showFace, showNotice, trouble } from "./notice.js";

const SYMBOLS_EVERY_MS = 15000;
const page = { symbol: null, symbols: [], views: {}, face: null, problem: null, link: "connecting", measure: "gex", stale: new Set() };
const charts = {
  price: new PriceChart(byId("chart-price"), byId("legend-price")),
  strikes: new StrikesChart(byId("chart-strikes"), byId("legend-strikes")),
  profile: new ProfileChart(byId("chart-profile"), byId("legend-profile")),
  expirations: new ExpirationsChart(byId("chart-expirations"), byId("legend-expirations")),
};

const feed = new Feed({
  heard(view, data, whole) {
    if (view === "bars") charts.price.take(data.bars, whole);
    page.views[view] = data;
    page.stale.add(view);
    if (view === "summary") { page.problem = null; takeFace(data); }
    later();
  },
  beat(face) { takeFace({ ...page.face, ...face }); later(); },
  link(state) { page.link = state; later(); },
  trouble(problem) { page.problem = problem; later(); },
});

function takeFace(face) {
  page.face = { ...face, simulated: face.simulated ?? page.face?.simulated ?? false, heard: performance.now() };
}

let asked = false;
/** Show on the next frame, once, however much has come until then. */
function later() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; show(); });
}

function show() {
  const { views, stale } = page;
  const summary = views.summary ?? null;
  const now = trouble({ ...page, summary, empty: !page.symbols.length });
  if (stale.has("summary")) {
    showHeadline(summary);
    showFooter(summary);
  }
  if (stale.has("strikes") && views.strikes) charts.strikes.draw(views.strikes, page.measure);
  if (stale.has("profile") && views.profile) charts.profile.draw(views.profile);
  if (stale.has("expirations") && views.expirations) charts.expirations.draw(views.expirations);
  if ((stale.has("bars") || stale.has("summary")) && views.bars) charts.price.draw(summary);
  stale.clear();
  showBlanks(now);
  showFace(page.face, page.link);
  showNotice(now);
  document.title = summary ? `${summary.underlying} ${f.price(summary.spot)} · ${f.compact(summary.net_gex, { sign: true })} · ZeroGEX` : "ZeroGEX";
}

function showBlanks(now) {
  const waiting = now ? "Nothing to draw yet" : "Loading …";
  const empty = { price: !page.views.bars?.bars.length && !page.views.summary, strikes: !page.views.strikes?.by_strike.length,
    profile: !page.views.profile?.profile?.spots.length, expirations: !page.views.expirations?.by_expiration.length };
  for (const [name, is] of Object.entries(empty)) blank(byId(`chart-${name}`), is ? waiting : null);
}

function showFooter(summary) {
  say(byId("assumption"), `Dealer model (an assumption, not an observation): ${MODELS[summary?.dealer_model] ?? f.NONE}.`);
  const c = summary?.coverage;
  const notes = summary?.notes?.length ? ` ${summary.notes.join(" ")}` : "";
  say(byId("provenance"), c ? `${f.count(c.used)} of ${f.count(c.live)} live contracts carry these numbers, ${f.percent(c.pct)} of open interest. `
    + `Computed ${f.clock(summary.computed_at)}.${notes}` : "");
  say(byId("note-price"), "minutes, New York time");
  const status = summary?.gamma_flip_status?.replace("_", " ");
  say(byId("note-profile"), status ? `flip: ${status}` : "");
  say(byId("note-expirations"), page.views.expirations?.by_expiration ? `${page.views.expirations.by_expiration.length} expirations` : "");
}

function choose(symbol) {
  if (symbol === page.symbol) return;
  Object.assign(page, { symbol, views: {}, problem: null, face: page.face && { ...page.face, state: null, age_seconds: null } });
  writeAddress({ symbol });
  showHeadline(null);
  Object.values(charts).forEach((chart) => chart.clear());
  feed.follow(symbol);
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
    if (!page.symbol && page.symbols.length) {
      const wanted = readAddress().symbol;
      choose(page.symbols.find((symbol) => symbol === wanted || symbol === wanted?.toUpperCase()) ?? page.symbols[0]);
    }
    if (!page.views.summary) takeFace({ ...body, symbols: null });
    select.value = page.symbol;
  } catch {
    if (!page.symbol) page.link = "lost";
  }
  later();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("zerogex.theme", theme); } catch { /* storage is off: the address keeps it */ }
  writeAddress({ theme });
  charts.price.paint();
  ["summary", "strikes", "profile", "expirations", "bars"].forEach((view) => page.stale.add(view));
  later();
}

function setMeasure(measure) {
  page.measure = measure in MEASURES ? measure : "gex";
  byId("measure").value = page.measure;
  writeAddress({ measure: page.measure === "gex" ? null : page.measure });
  page.stale.add("strikes");
  later();
}

const flipTheme = () => setTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light");
const names = Object.keys(MEASURES);
const keys = {
  "/": () => byId("symbol").focus(),
  "?": openHelp,
  l: () => { charts.price.live(); feed.reconnect(); },
  t: flipTheme,
  m: () => setMeasure(names[(names.indexOf(page.measure) + 1) % names.length]),
};
["price", "strikes", "profile", "expirations"].forEach((name, i) => {
  keys[i + 1] = () => { const panel = byId(`panel-${name}`); panel.scrollIntoView({ block: "start" }); panel.focus({ preventScroll: true }); };
});

function start() {
  buildHeadline(() => page.views.summary ?? null);
  byId("measure").append(...Object.entries(MEASURES).map(([value, { name }]) => el("option", { value }, name)));
  setMeasure(readAddress().measure ?? "gex");
  byId("symbol").addEventListener("change", (event) => choose(event.target.value));
  byId("measure").addEventListener("change", (event) => setMeasure(event.target.value));
  byId("theme").addEventListener("click", flipTheme);
  byId("help").addEventListener("click", openHelp);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input, textarea") || byId("dialog").open) return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  learnSymbols();
  setInterval(learnSymbols, SYMBOLS_EVERY_MS);
  setInterval(() => { showFace(page.face, page.link); }, 500);
}

start();

// Each headline number: how it is shown, and what it means.  docs/conventions.md says the same at length.
// `field` is its name in the API's `view`; `source` is the module that computes it.

import * as f from "./format.js";

const naive = "dealers long calls, short puts";
export const MODELS = {
  naive: `naive — ${naive}`,
  short_all: "short all — dealers short every option",
  long_all: "long all — dealers long every option",
  inverse: "inverse — dealers short calls, long puts",
};
const FLIP_WORDS = {
  resolved: "one crossing", multiple: "several crossings", none_positive: "positive everywhere",
  none_negative: "negative everywhere", edge: "at the edge of the range", low_coverage: "coverage too low",
};

const wallWords = (wall) => wall ? `${f.compact(wall.gex)} per +1 %, ${f.percent(100 * wall.share)} of its side; ahead of the next strike by ${f.percent(100 * wall.margin)}` : "";
/** Words that stay on one line. */
const glued = (text) => text.replaceAll(" ", "\u00a0").replace("$", "\u2060$");
const ivWords = (sources) => Object.entries(sources ?? {}).map(([name, n]) => `${n} ${name}`).join(", ");

/** What the numbers rest on, in sentences, for the "Inputs" of an explanation. */
export function inputs(s) {
  const c = s.coverage ?? {};
  const forward = s.forwards?.[0];
  const rate = s.rate ?? forward?.rate;
  return [
    `${f.count(c.used)} of ${f.count(c.live)} live contracts (${f.percent(c.pct)} of open interest)`,
    ivWords(c.iv_sources) ? `Implied volatility from: ${ivWords(c.iv_sources)}` : null,
    `Spot ${f.price(s.spot)}, ${f.dayAndTime(s.data_timestamp)}; data ${f.age(s.age_seconds)} old when it came here`,
    forward ? `Forward ${f.price(forward.forward)} for ${f.day(forward.expiration)} (${forward.source})` : null,
    rate == null ? null : `Rate ${f.percent(100 * rate, 2)} a year`,
    `Greeks: ${s.greeks ?? f.NONE}`,
    `Dealer model (assumed): ${MODELS[s.dealer_model] ?? s.dealer_model ?? f.NONE}`,
  ].filter(Boolean);
}

export const HEADLINE = [
  {
    field: "spot", name: "Spot", swatch: "spot", wide: true,
    value: (s) => f.price(s.spot),
    sub: (s) => s.data_timestamp ? s.age_seconds < 43200 ? f.clock(s.data_timestamp) : f.dayAndTime(s.data_timestamp) : "",
    definition: "The last price of the underlying, and the price at which every exposure here is measured.",
    unit: "dollars per share, or index points",
    formula: "last trade received before the chain was read",
    source: "src/zerogex/pipeline/live_chain.py",
  },
  {
    field: "net_gex", key: "regime", name: "Regime", wide: true,
    value: (s) => s.net_gex == null ? f.NONE : s.net_gex >= 0 ? "▲ Positive gamma" : "▼ Negative gamma",
    tone: (s) => s.net_gex,
    sub: (s) => s.net_gex == null ? "" : s.net_gex >= 0
      ? "hedging leans against moves" : "hedging feeds moves",
    definition: "With positive gamma dealers sell into rises and buy into falls, which calms the price; with negative gamma they must buy rises and sell falls, which feeds the move. It rests on an assumption about who holds what (the dealer model).",
    unit: "the sign of net GEX",
    formula: "sign( Σ s·Γ·OI·M·S²·0.01 )",
    source: "src/zerogex/analytics/exposure.py",
  },
  {
    field: "net_gex", name: "Net GEX", swatch: "net", wide: true,
    value: (s) => f.compact(s.net_gex, { sign: true }),
    tone: (s) => s.net_gex,
    sub: (s) => s.net_gex == null ? "" : `${glued(`calls ${f.compact(s.call_gex, { sign: true })}`)} · ${glued(`puts ${f.compact(s.put_gex, { sign: true })}`)}`,
    definition: "Gamma exposure: the dollars of delta that dealers' books gain when the underlying rises 1 %, which is about what they must sell to stay hedged (buy, where it is negative).",
    unit: "dollars of delta per +1 % move",
    formula: "Σ s·Γ·OI·M·S²·0.01    s: +1 calls, −1 puts (naive model); M: shares per contract",
    source: "src/zerogex/analytics/exposure.py",
  },
  {
    field: "gamma_flip", name: "Gamma flip", swatch: "flip",
    value: (s) => f.price(s.gamma_flip),
    sub: (s) => s.gamma_flip == null ? FLIP_WORDS[s.gamma_flip_status] ?? "" : f.distance(s.gamma_flip, s.spot),
    more: (s) => [FLIP_WORDS[s.gamma_flip_status] ?? s.gamma_flip_status, s.gamma_flip_reason,
      s.flip_crossings?.length ? `crossings: ${s.flip_crossings.map((c) => f.price(c.price)).join(", ")}` : null].filter(Boolean).join(" · "),
    definition: "The price at which net GEX would change its sign if the whole chain were valued there, each strike keeping its implied volatility. The nearest structural crossing is the headline; all are listed.",
    unit: "dollars per share, or index points",
    formula: "S′ with G(S′) = Σ s·Γ(S′, K, T, σ_K)·OI·M·S′²·0.01 = 0",
    source: "src/zerogex/analytics/levels.py",
  },
  {
    field: "call_wall", name: "Call wall", swatch: "call",
    value: (s) => f.strike(s.call_wall),
    sub: (s) => f.distance(s.call_wall, s.spot),
    more: (s) => wallWords(s.levels?.call_wall),
    definition: "The strike at or above spot with the largest gross call GEX: where hedging of calls is densest.",
    unit: "strike, dollars or index points",
    formula: "argmax over K ≥ S of Σ Γ·OI·M·S²·0.01 (calls)",
    source: "src/zerogex/analytics/walls.py",
  },
  {
    field: "put_wall", name: "Put wall", swatch: "put",
    value: (s) => f.strike(s.put_wall),
    sub: (s) => f.distance(s.put_wall, s.spot),
    more: (s) => wallWords(s.levels?.put_wall),
    definition: "The strike at or below spot with the largest gross put GEX: where hedging of puts is densest.",
    unit: "strike, dollars or index points",
    formula: "argmax over K ≤ S of Σ Γ·OI·M·S²·0.01 (puts)",
    source: "src/zerogex/analytics/walls.py",
  },
  {
    field: "max_pain", name: "Max pain", swatch: "pain",
    value: (s) => f.strike(s.max_pain),
    sub: (s) => s.max_pain_by_expiration?.[0] ? `for ${f.shortDay(s.max_pain_by_expiration[0].expiration)}` : "",
    more: (s) => (s.max_pain_by_expiration ?? []).slice(0, 8)
      .map((m) => `${m.root} ${f.day(m.expiration)}: ${f.strike(m.max_pain)}`).join(" · "),
    definition: "The settlement price at which the holders of one expiration's options would be paid least. Shown for the nearest live expiration; pooled over expirations it has no meaning.",
    unit: "strike, dollars or index points",
    formula: "argmin over P of Σ max(s·(P − K), 0)·OI·M, one expiration and root",
    source: "src/zerogex/analytics/max_pain.py",
  },
  {
    field: "expected_move", name: "Expected move", swatch: "soft",
    value: (s) => s.expected_move ? `± ${f.price(s.expected_move.sigma)}` : f.NONE,
    sub: (s) => s.expected_move ? `1 σ to ${f.shortDay(s.expected_move.expiration)}` : "",
    more: (s) => s.expected_move ? `at-the-money volatility ${f.percent(100 * s.expected_move.atm_iv)}; straddle ${f.price(s.expected_move.straddle)} ≈ 0.8 σ, the mean absolute move` : "",
    definition: "One standard deviation of the underlying until the nearest live expiration, from at-the-money implied volatility. About two in three outcomes lie inside, if volatility is what options say.",
    unit: "dollars, or index points",
    formula: "σ_ATM·√T·S",
    source: "src/zerogex/analytics/expected_move.py",
  },
  {
    field: "put_call_ratio_oi", name: "Put/call (OI)", swatch: "soft",
    value: (s) => f.ratio(s.put_call_ratio_oi),
    sub: (s) => s.coverage ? `${f.count(s.coverage.open_interest)} open` : "",
    definition: "Open put contracts divided by open call contracts, over the live contracts followed here. Open interest is the morning's print: positions at yesterday's close.",
    unit: "ratio",
    formula: "Σ OI (puts) ÷ Σ OI (calls)",
    source: "src/zerogex/analytics/ratios.py",
  },
  {
    field: "put_call_ratio_volume", name: "Put/call (volume)", swatch: "soft",
    value: (s) => f.ratio(s.put_call_ratio_volume),
    sub: () => "traded today",
    definition: "Put contracts traded today divided by call contracts traded today, over the live contracts followed here.",
    unit: "ratio",
    formula: "Σ volume (puts) ÷ Σ volume (calls)",
    source: "src/zerogex/analytics/ratios.py",
  },
];

/** What "By strike" can show: bars for calls and puts where both exist, else one signed series. */
export const MEASURES = {
  gex: { name: "GEX", call: "call_gex", put: "put_gex", net: "net_gex", unit: "$ per +1 %", money: true },
  volume_gex: { name: "GEX by volume", net: "volume_gex", unit: "$ per +1 %, today's volume as weight", money: true },
  dex: { name: "Delta exposure", net: "dex", unit: "$ of delta", money: true },
  vanna: { name: "Vanna exposure", net: "vanna_exposure", unit: "$ of delta per +1 vol point", money: true },
  charm: { name: "Charm exposure", net: "charm_exposure", unit: "$ of delta per day", money: true },
  vega: { name: "Vega exposure", net: "vega_exposure", unit: "$ per +1 vol point", money: true },
  open_interest: { name: "Open interest", call: "call_open_interest", put: "put_open_interest", mirror: true, unit: "contracts" },
  volume: { name: "Volume", call: "call_volume", put: "put_volume", mirror: true, unit: "contracts today" },
};

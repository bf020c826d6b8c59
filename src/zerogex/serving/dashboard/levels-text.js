// Levels as text that other programs take: Pine script, thinkScript, CSV.

import { csv } from "./download.js";

const LEVELS = [
  { field: "gamma_flip", name: "Gamma flip", word: "GammaFlip", pine: "color.fuchsia", think: "MAGENTA" },
  { field: "call_wall", name: "Call wall", word: "CallWall", pine: "color.blue", think: "CYAN" },
  { field: "put_wall", name: "Put wall", word: "PutWall", pine: "color.orange", think: "ORANGE" },
  { field: "max_gamma_strike", name: "Max gamma", word: "MaxGamma", pine: "color.gray", think: "GRAY" },
  { field: "max_pain", name: "Max pain", word: "MaxPain", pine: "color.teal", think: "GREEN" },
];

const plain = (text) => String(text ?? "").replace(/[^A-Za-z0-9 .:^$/-]/g, "");
const digits = (value) => String(Math.round(value * 100) / 100);

/** The levels of a summary: [{name, word, price …}], the expected move as two of them. */
export function levelList(summary) {
  const found = LEVELS.filter(({ field }) => typeof summary?.[field] === "number").map((level) => ({ ...level, price: summary[level.field] }));
  const { spot } = summary ?? {};
  const sigma = summary?.expected_move?.sigma;
  if (typeof spot !== "number" || typeof sigma !== "number") return found;
  return [...found,
    { name: "+1 sigma", word: "SigmaUp", pine: "color.silver", think: "LIGHT_GRAY", price: spot + sigma },
    { name: "-1 sigma", word: "SigmaDown", pine: "color.silver", think: "LIGHT_GRAY", price: spot - sigma }];
}

const said = (summary) => `${plain(summary.underlying)} levels as of ${plain(summary.data_timestamp)}${summary.simulated ? " SIMULATED" : ""}`;

/** A Pine v6 indicator that draws the levels on a TradingView chart. */
export function tradingView(summary) {
  return [
    "//@version=6", `indicator("ZeroGEX ${said(summary)}", overlay = true)`,
    ...levelList(summary).map(({ name, pine, price }) => `hline(${digits(price)}, "${name}", color = ${pine}, linestyle = hline.style_dashed)`),
  ].join("\n") + "\n";
}

/** A study that draws the levels on a thinkorswim chart. */
export function thinkorswim(summary) {
  return [
    `# ZeroGEX ${said(summary)}`, "declare upper;",
    ...levelList(summary).flatMap(({ name, word, think, price }) => [
      `plot ${word} = ${digits(price)};`, `${word}.SetDefaultColor(Color.${think});`, `${word}.SetStyle(Curve.SHORT_DASH);`,
      `AddChartBubble(IsNaN(close[-1]) and !IsNaN(close), ${word}, "${name}", Color.${think}, yes);`]),
  ].join("\n") + "\n";
}

export function asCsv(summary) {
  return csv(levelList(summary).map(({ name, price }) => ({
    underlying: summary.underlying, level: name, price: Number(digits(price)), data_timestamp: summary.data_timestamp, simulated: summary.simulated })));
}

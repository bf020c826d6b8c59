// The panels: what each is called, what it needs from the API, and the frame around it.

import { announce, csv, save, saveText } from "./download.js";
import { byId, el } from "./dom.js";

/** `needs`: views of the API that a panel draws; `table`: rows of text instead of a chart; `wide`: over all columns. */
export const PANELS = [
  { name: "price", title: "Price and levels", label: "One-minute candles with levels", needs: ["summary", "bars"] },
  { name: "strikes", title: "By strike", label: "Exposure by strike", needs: ["strikes"] },
  { name: "profile", title: "Net GEX if spot were elsewhere", label: "Re-priced net GEX against spot", needs: ["profile"] },
  { name: "expirations", title: "GEX by expiration", label: "GEX by expiration", needs: ["expirations"] },
  { name: "strike-table", title: "Strikes around spot", needs: ["strikes"], table: true },
  { name: "crossings", title: "Crossings of zero", needs: ["profile"], table: true },
  { name: "walls", title: "What makes each a level", needs: ["summary"], table: true },
  { name: "cells", title: "Strike × expiration", label: "Heat map of exposure by strike and expiration", needs: ["heatmap"] },
  { name: "drift", title: "Strike × time", label: "Heat map of exposure by strike through the day", needs: ["drift"] },
  { name: "smile", title: "Smile", label: "Implied volatility by strike", needs: ["smile"], wide: true },
  { name: "term", title: "Term structure", label: "At-the-money volatility by expiration", needs: ["smile"] },
  { name: "forwards", title: "Forwards", needs: ["expirations"], table: true },
  { name: "flow-type", title: "Premium by type", label: "Premium of calls and puts by minute", needs: ["flow/type"] },
  { name: "pressure", title: "Buying pressure", label: "Share of volume on rising prices by minute", needs: ["flow/buying-pressure"] },
  { name: "flow-strike", title: "Premium by strike", label: "Premium traded by strike", needs: ["flow/strike"] },
  { name: "flow-expiration", title: "Premium by expiration", label: "Premium traded by expiration", needs: ["flow/expiration"] },
  { name: "smart-money", title: "Unusual prints", needs: ["flow/smart-money"], table: true, wide: true },
  { name: "history-gex", title: "Net GEX through time", label: "Net GEX and spot through time", needs: ["history"], wide: true },
  { name: "history-levels", title: "Spot, flip and walls", label: "Spot, flip and walls through time", needs: ["history"], wide: true },
  { name: "stages", title: "Lag of each stage", needs: ["quality"], table: true },
  { name: "coverage", title: "Coverage", needs: ["summary"], table: true },
  { name: "gaps", title: "Gaps and findings", needs: ["quality"], table: true, wide: true },
  { name: "levels", title: "Levels of every underlying", needs: ["levels"], table: true, wide: true },
  { name: "alerts", title: "Alerts", needs: ["alerts"], table: true, wide: true },
  { name: "level-text", title: "Levels to take away", needs: ["summary"], table: true, wide: true },
];

/** Make every panel once, hidden; `piece(name)` gives what draws in it: {image?, table?}; `said()` the words under a picture. */
export function buildPanels(piece, said) {
  byId("panels").append(...PANELS.map((panel) => frame(panel, piece, said)));
}

function frame({ name, title, label, table, wide }, piece, said) {
  const tools = el("span", { class: "tools" },
    table ? null : tool("PNG", `PNG of ${title}`, () => download(name, "png", piece(name), `${title} · ${said()}`)),
    name === "level-text" ? null : tool("CSV", `CSV of ${title}`, () => download(name, "csv", piece(name))));
  return el("section", { class: `panel${wide ? " wide" : ""}`, id: `panel-${name}`, "data-panel": name,
    "aria-labelledby": `title-${name}`, tabindex: "-1", hidden: true },
  el("div", { class: "caption" }, el("h2", { id: `title-${name}` }, title),
    el("div", { class: "picks", id: `picks-${name}` }), el("p", { class: "note", id: `note-${name}` }), tools),
  table ? el("div", { class: "rows", id: `rows-${name}`, tabindex: "0", role: "region", "aria-label": title })
    : el("div", { class: "chart", id: `chart-${name}`, role: "img", "aria-label": label ?? title }),
  table ? null : el("ul", { class: "legend", id: `legend-${name}` }));
}

function tool(word, title, act) {
  return el("button", { type: "button", class: "tool", title, "aria-label": title, onclick: act }, word);
}

function download(name, kind, piece, words) {
  const stem = `zerogex-${document.documentElement.dataset.symbol ?? "data"}-${name}`;
  if (kind === "csv") {
    const rows = piece?.table?.() ?? [];
    if (!rows.length) return announce("Nothing to download yet");
    saveText(`${stem}.csv`, csv(rows));
    return announce(`${rows.length} rows saved`);
  }
  const canvas = piece?.image?.();
  if (!canvas) return announce("Nothing to download yet");
  framed(canvas, words, byId(`legend-${name}`)).toBlob((blob) => { save(`${stem}.png`, blob); announce("Image saved"); });
}

/** A picture with its legend and a line of words under it, in the page's colours. */
function framed(canvas, words, legend) {
  const style = getComputedStyle(document.documentElement);
  const whole = document.createElement("canvas");
  const size = Math.max(14, Math.round(canvas.width / 70));
  [whole.width, whole.height] = [canvas.width, canvas.height + 5 * size];
  const brush = whole.getContext("2d");
  brush.fillStyle = style.getPropertyValue("--panel");
  brush.fillRect(0, 0, whole.width, whole.height);
  brush.drawImage(canvas, 0, 0);
  brush.font = `${size}px system-ui, sans-serif`;
  let left = size;
  for (const item of legend?.children ?? []) {
    brush.fillStyle = getComputedStyle(item.firstElementChild).getPropertyValue("--swatch") || "transparent";
    brush.fillRect(left, canvas.height + 0.8 * size, size, 0.7 * size);
    brush.fillStyle = style.getPropertyValue("--soft");
    brush.fillText(item.textContent, left + 1.5 * size, canvas.height + 1.5 * size);
    left += brush.measureText(item.textContent).width + 3 * size;
  }
  brush.fillStyle = style.getPropertyValue("--soft");
  brush.fillText(words, size, whole.height - size, whole.width - 2 * size);
  return whole;
}

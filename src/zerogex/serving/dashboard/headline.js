// The tiles at the top, and what each says of itself when asked.

import { byId, el, say } from "./dom.js";
import { HEADLINE, inputs } from "./definitions.js";
import { NONE } from "./format.js";
import { path } from "./feed.js";
import { openDialog } from "./dialog.js";

const tiles = new Map();

/** Make the tiles once; `current()` gives the summary that an explanation speaks of. */
export function buildHeadline(current) {
  const home = byId("headline");
  for (const item of HEADLINE) {
    const key = item.key ?? item.field;
    const tile = el("button", { class: `tile${item.wide ? " wide" : ""}`, type: "button", id: `tile-${key}`, "data-field": item.field,
      title: `What is ${item.name}?`, onclick: () => explain(item, current()) },
      el("span", { class: "name" }, item.swatch && item.swatch !== "soft" ? el("i", { class: `swatch swatch-${item.swatch}` }) : null, item.name),
      el("span", { class: "value" }, NONE),
      el("span", { class: "sub" }));
    tiles.set(item, tile);
    home.append(tile);
  }
}

/** Write the numbers of a summary; null empties them. */
export function showHeadline(summary) {
  for (const [item, tile] of tiles) {
    const [, value, sub] = tile.children;
    const raw = summary?.[item.field];
    say(value, summary ? item.value(summary) : NONE);
    say(sub, summary ? item.sub(summary) : "");
    sub.title = sub.textContent;
    tile.dataset.raw = raw == null ? "" : typeof raw === "object" ? JSON.stringify(raw) : String(raw);
    if (item.tone) {
      const tone = summary ? item.tone(summary) : null;
      tile.classList.toggle("positive", tone != null && tone >= 0);
      tile.classList.toggle("negative", tone != null && tone < 0);
    }
  }
}

/** Where in the API the very summary shown is to be had. */
const address = ({ underlying, as_of: asOf }) => path(underlying, "summary") + (asOf ? `?as_of=${asOf}` : "");

function explain(item, summary) {
  const more = summary && item.more?.(summary);
  const rows = [
    ["What it is", item.definition],
    more ? ["Now", more] : null,
    ["Unit", item.unit],
    ["Formula", el("div", { class: "formula" }, item.formula)],
    ["Inputs", summary ? el("ul", {}, ...inputs(summary).map((line) => el("li", {}, line))) : "no data yet"],
    summary ? ["API", el("span", {}, el("a", { href: address(summary), target: "_blank", rel: "noopener" }, address(summary)), " → ", el("code", {}, item.field))] : null,
    ["Computed in", el("code", {}, item.source)],
  ].filter(Boolean);
  openDialog(item.name, el("div", {},
    el("p", { class: "dialog-value" }, summary ? item.value(summary) : NONE),
    el("dl", {}, ...rows.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]))));
}

// Tables of text: a head, rows, numbers to the right; rebuilt only where something differs.

import { el } from "./dom.js";

/** Fill `home` with a table; columns are [{name, title, text(row), number, tone(row)}]; no rows: the words of `empty`. */
export function fill(home, columns, rows, { caption, empty = "Nothing to show yet" } = {}) {
  const lines = rows.map((row) => columns.map((column) => ({ text: column.text(row), tone: column.tone?.(row) ?? null })));
  const key = JSON.stringify([caption, empty, columns.map((column) => column.title), lines]);
  if (home.dataset.key === key) return;
  home.dataset.key = key;
  if (!rows.length) {
    home.replaceChildren(el("p", { class: "empty" }, empty));
    return;
  }
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col", class: column.number ? "number" : null }, column.title)));
  const body = lines.map((line) => el("tr", {}, ...line.map(({ text, tone }, i) =>
    el(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, class: [columns[i].number ? "number" : "", tone ?? ""].join(" ").trim() || null }, text))));
  home.replaceChildren(el("table", {}, caption ? el("caption", { class: "hidden" }, caption) : null, el("thead", {}, head), el("tbody", {}, ...body)));
}

/** Pairs of a term and what is so, as a definition list. */
export function facts(home, pairs, empty = "Nothing to show yet") {
  const key = JSON.stringify([pairs, empty]);
  if (home.dataset.key === key) return;
  home.dataset.key = key;
  home.replaceChildren(pairs.length
    ? el("dl", { class: "facts" }, ...pairs.flatMap(([term, text, tone]) => [el("dt", {}, term), el("dd", { class: tone ?? null }, text)]))
    : el("p", { class: "empty" }, empty));
}

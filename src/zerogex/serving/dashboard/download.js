// Files and texts to take away: PNG of a chart, CSV of what it draws, levels as text.

import { byId, say } from "./dom.js";

const FORMULA = /^[=+\-@\t\r]/;  // what a spreadsheet would run

/** One cell: text that looks like a formula is made text; numbers stay numbers. */
export function cell(value) {
  if (value == null || (typeof value === "number" && !Number.isFinite(value))) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows (objects) as CSV with the columns given, or those of the first row. */
export function csv(rows, columns = Object.keys(rows[0] ?? {})) {
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, "-");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const saveText = (name, text, kind = "text/csv") => save(name, new Blob([text], { type: `${kind};charset=utf-8` }));

let quiet = null;
/** A short word about what was just done. */
export function announce(text) {
  const home = byId("said");
  say(home, text);
  home.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => { home.hidden = true; }, 2500);
}

/** Put text on the clipboard; where that is forbidden it becomes a file. */
export async function copy(text, what, fileName) {
  try {
    await navigator.clipboard.writeText(text);
    announce(`${what} copied`);
  } catch {
    saveText(fileName, text, "text/plain");
    announce(`${what} saved as a file: copying is not allowed here`);
  }
}

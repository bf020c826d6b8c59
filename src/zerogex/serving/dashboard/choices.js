// What the page shows of a chain: which expirations, which measure, under whose dealer model.

import { chosenDays, toggled } from "./cells.js";
import { MEASURES, MODELS } from "./definitions.js";
import { byId, el } from "./dom.js";
import * as f from "./format.js";

const WORDS = [["all", "All", "Every live expiration"], ["0dte", "0DTE", "Only what expires today"], ["next", "Next", "The first expiration after today"]];

/** Make the pickers once; `changed({measure | model | expirations})` hears of each choice. */
export function buildChoices(changed) {
  const select = (id, label, options) => {
    const made = el("select", { id, title: label }, ...options.map(([value, text]) => el("option", { value }, text)));
    made.addEventListener("change", () => changed({ [id]: made.value }));
    return el("label", { class: "pick", id: `pick-${id}` }, el("span", { class: "hidden" }, label), made);
  };
  byId("picks").append(
    select("measure", "Measure", Object.entries(MEASURES).map(([value, { name }]) => [value, name])),
    select("model", "Dealer model", [["", "Dealers: default"], ...Object.entries(MODELS).map(([value, text]) => [value, `Dealers: ${text.split(" — ")[0]}`])]));
  byId("chips").addEventListener("click", (event) => {
    const chip = event.target.closest("button");
    if (chip) changed({ expirations: chip.dataset.word ?? toggled(chip.dataset.choice, chip.dataset.day, chip.dataset.days.split(","), chip.dataset.today) });
  });
}

/** Show what is chosen; `days` are the expirations there are, `today` the market's day. */
export function showChoices({ measure, model, expirations }, days, today) {
  byId("measure").value = measure;
  byId("model").value = model ?? "";
  const home = byId("chips");
  const key = JSON.stringify([expirations, days, today]);
  if (home.dataset.key === key) return;
  home.dataset.key = key;
  const shown = new Set(chosenDays(expirations, days, today));
  const chip = (on, text, title, data) => el("button", { type: "button", class: "chip-choice", "aria-pressed": String(on), title, ...data }, text);
  const focused = document.activeElement?.closest("#chips button");
  const [word, day] = [focused?.dataset.word, focused?.dataset.day];
  home.replaceChildren(
    ...WORDS.map(([name, text, title]) => {
      const made = chip(expirations === name, text, title, { "data-word": name });
      made.disabled = days.length > 0 && chosenDays(name, days, today).length === 0;
      return made;
    }),
    ...days.map((each) => chip(expirations !== "all" && shown.has(each), f.shortDay(each), `Expiration ${f.day(each)}`,
      { "data-day": each, "data-days": days.join(","), "data-choice": expirations, "data-today": today })));
  if (focused) [...home.children].find((each) => word ? each.dataset.word === word : each.dataset.day === day)?.focus();
}

/** The choice in words, for captions and files. */
export function choiceWords({ expirations, model }) {
  const days = { all: "", "0dte": "0DTE only", next: "next expiration only" }[expirations] ?? expirations.split(",").map(f.shortDay).join(", ");
  return [days, model ? `dealers ${model.replace("_", " ")}` : ""].filter(Boolean).join(" · ");
}

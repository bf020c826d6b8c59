// The one dialog: explanations and help.

import { byId, el } from "./dom.js";
import { VIEWS } from "./views.js";

const KEYS = [
  ["/", "choose the underlying"], ["1 … 9", VIEWS.map((view) => view.title.toLowerCase()).join(", ")],
  ["← →", "one minute back or on: the whole page as of then; with Shift one day"], ["l", "live again: the newest minute"],
  ["m", "next measure by strike"], ["t", "dark or light"], ["?", "this help"], ["Esc", "close"],
];

export function openDialog(title, body) {
  const dialog = byId("dialog");
  const close = el("button", { class: "icon", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  byId("dialog-body").replaceChildren(
    el("div", { class: "dialog-head" }, el("h2", { id: "dialog-title" }, title), close), body);
  if (!dialog.open) dialog.showModal();
}

export function openHelp() {
  openDialog("Help", el("div", {},
    el("p", {}, "Each number at the top explains itself when you click it: what it is, its unit and formula, what it rests on, and where it is computed."),
    el("p", {}, "The address of the page holds all that you choose (underlying, view, expirations, measure, dealer model, range, time, theme): a link shows the same. PNG and CSV beside a title save what the panel shows."),
    el("h3", {}, "Keys"),
    el("dl", {}, ...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)]))));
}

byId("dialog").addEventListener("click", (event) => {
  if (event.target === byId("dialog")) byId("dialog").close();  // a click beside it
});

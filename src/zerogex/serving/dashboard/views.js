// The nine views, and which panels each shows.

import { addressWith, writeAddress } from "./address.js";
import { byId, el } from "./dom.js";

export const VIEWS = [
  { name: "overview", title: "Overview", panels: ["price", "strikes", "profile", "expirations"] },
  { name: "strikes", title: "Strikes", panels: ["strikes", "expirations", "strike-table"] },
  { name: "profile", title: "Profile", panels: ["profile", "crossings", "walls"] },
  { name: "heatmap", title: "Heat map", panels: ["cells", "drift"] },
  { name: "volatility", title: "Volatility", panels: ["smile", "term", "forwards"] },
  { name: "flow", title: "Flow", panels: ["flow-type", "pressure", "flow-strike", "flow-expiration", "smart-money"] },
  { name: "history", title: "History", panels: ["history-gex", "history-levels"] },
  { name: "quality", title: "Quality", panels: ["stages", "coverage", "gaps"] },
  { name: "levels", title: "Levels", panels: ["levels", "alerts", "level-text"] },
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];

/** Make the links; `chosen(view)` hears of each choice. */
export function buildViews(chosen) {
  byId("views").append(...VIEWS.map((view, i) => {
    const link = el("a", { href: addressWith({ view: view.name }), id: `view-${view.name}`, title: `${view.title} ( ${i + 1} )` },
      el("kbd", { "aria-hidden": "true" }, String(i + 1)), view.title);
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;  // another tab: the browser's own affair
      event.preventDefault();
      chosen(view);
    });
    return link;
  }));
}

/** Show one view: its link is marked, its panels are there in its order. */
export function showView(view) {
  document.documentElement.dataset.view = view.name;
  writeAddress({ view: view === VIEWS[0] ? null : view.name });
  for (const { name } of VIEWS) {
    const link = byId(`view-${name}`);
    link.href = addressWith({ view: name === VIEWS[0].name ? null : name });
    if (name === view.name) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const chosen = byId(`view-${view.name}`);
  byId("views").scrollLeft = chosen.offsetLeft - byId("views").clientWidth / 2 + chosen.offsetWidth / 2;
  for (const panel of byId("panels").children) {
    const place = view.panels.indexOf(panel.dataset.panel);
    panel.hidden = place < 0;
  }
  // in the order of the view, for readers and keyboards too
  const wanted = view.panels.map((name) => byId(`panel-${name}`));
  wanted.forEach((panel, i) => {
    if (byId("panels").children[i] !== panel) byId("panels").insertBefore(panel, byId("panels").children[i] ?? null);
  });
}

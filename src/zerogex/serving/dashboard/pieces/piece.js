// The shape of what draws in a panel: {ready(views), draw(views, page), clear(), image?(), table()}.

import { byId } from "../dom.js";

/** A chart's element and the list under it. */
export const places = (name) => [byId(`chart-${name}`), byId(`legend-${name}`)];

/** A piece around a chart: `draw(chart, views, page)`, called only where `ready(views)`. */
export function around(chart, ready, draw) {
  return {
    ready,
    draw: (views, page) => draw(chart, views, page),
    clear: () => chart.clear(),
    image: () => chart.image(),
    table: () => chart.table(),
  };
}

/** A piece that fills the rows of a panel with text; `write(home, views, page)` gives the rows for the CSV. */
export function written(name, ready, write) {
  let rows = [];
  return {
    ready,
    draw: (views, page) => { rows = write(byId(`rows-${name}`), views, page) ?? []; },
    clear: () => { rows = []; const home = byId(`rows-${name}`); home.replaceChildren(); delete home.dataset.key; },
    table: () => rows,
  };
}

/** The rows of a payload: its one list of objects, whatever the route calls it. */
export const rowsOf = (body, ...names) => names.map((name) => body?.[name]).find(Array.isArray) ?? [];

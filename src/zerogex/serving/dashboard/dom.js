// The only way this page makes elements: text is always text, never markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text nodes. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Set text only where it differs, so that nothing is laid out for nothing. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set a sentence whose `back-ticked` words are commands. */
export function prose(node, text) {
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  node.replaceChildren(...text.split("`").map((part, i) => i % 2 ? el("code", {}, part) : part));
}

/** A legend under a chart: [{text, swatch, kind}], kind one of line, dash, block. */
export function legend(list, items) {
  const key = JSON.stringify(items);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...items.map(({ text, swatch, kind = "line" }) =>
    el("li", {}, el("i", { class: `swatch-${swatch} ${kind}` }), text)));
}

/** A few words in the middle of an empty chart; null takes them away. */
export function blank(chart, words) {
  const old = chart.querySelector(":scope > .blank");
  if (words === null) old?.remove();
  else if (old) say(old, words);
  else chart.append(el("div", { class: "blank" }, words));
}

// Asks the API for what no topic brings: some views again and again, any view as of a past minute.

import { get } from "./feed.js";

const AGAIN_MS = { strikes: 2000, profile: 2000, heatmap: 3000, levels: 2000, smile: 5000, "flow/type": 5000, quality: 10000, history: 15000, minutes: 15000, alerts: 5000, drift: 30000 };
const OTHERS_MS = 5000;
const HIDDEN_MS = 15000;
const KEPT = 80;  // answers about the past, which do not change

/** Keeps what somebody looks at fresh; tells `heard(name, body, at)`, `refused(name, problem, at)`, `lost(name)`. */
export class Asker {
  #hear; #wanted = new Map(); #etags = new Map(); #kept = new Map();

  constructor(hear) { this.#hear = hear; }

  /** From now on these: [{name, where, at}]; what is no longer wanted is no longer asked. */
  want(list) {
    const names = new Set(list.map(({ name }) => name));
    for (const [name, { timer }] of this.#wanted) if (!names.has(name)) { clearTimeout(timer); this.#wanted.delete(name); }
    for (const wish of list) {
      const known = this.#wanted.get(wish.name);
      if (known?.where === wish.where) continue;
      clearTimeout(known?.timer);
      this.#etags.delete(wish.where);
      const entry = { ...wish, timer: null };
      this.#wanted.set(wish.name, entry);
      this.#ask(entry);
    }
  }

  /** Forget what was asked, so that the next `want` asks all of it anew. */
  forget() {
    for (const { timer } of this.#wanted.values()) clearTimeout(timer);
    this.#wanted.clear();
  }

  async #ask(entry) {
    const { name, where, at } = entry;
    const still = () => this.#wanted.get(name) === entry;
    try {
      const kept = at && this.#kept.get(where);
      const answer = kept ? { body: kept } : await get(where, at ? null : this.#etags);
      if (!still()) return;
      if (answer.problem) this.#hear.refused(name, answer.problem, at);
      else if (answer.body) {
        if (at) this.#keep(where, answer.body);
        this.#hear.heard(name, answer.body, at);
      }
    } catch {
      if (still()) this.#hear.lost(name);
    }
    if (still() && !at) entry.timer = setTimeout(() => this.#ask(entry), document.hidden ? HIDDEN_MS : AGAIN_MS[name] ?? OTHERS_MS);
  }

  #keep(where, body) {
    this.#kept.set(where, body);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
  }
}

// The page's only source: the public API.  WebSocket first; while it is cut, polling; both say so.

const VIEWS = ["summary", "strikes", "expirations", "profile", "bars"];
const POLL_MS = 2000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

export const path = (symbol, view) => `/api/v1/${encodeURIComponent(symbol)}/${view}`;

/** GET a JSON document; a problem document comes back as {problem}; a dead server throws. */
export async function get(address, etags = null) {
  const headers = etags?.has(address) ? { "If-None-Match": etags.get(address) } : {};
  const answer = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (answer.status === 304) return { unchanged: true };
  const body = await answer.json();
  if (!answer.ok) return { problem: body };
  etags?.set(address, answer.headers.get("ETag"));
  return { body };
}

/** Follows one symbol; tells `heard(view, data, whole)`, `beat(face)`, `link(state, detail)`, `trouble(problem)`. */
export class Feed {
  #hear; #symbol = null; #socket = null; #epoch = null; #seen = new Map(); #etags = new Map();
  #wait = FIRST_WAIT_MS; #timers = {}; #patience = 15000;

  constructor(hear) { this.#hear = hear; }

  follow(symbol) {
    const before = this.#symbol;
    this.#symbol = symbol;
    this.#seen.clear();
    this.#etags.clear();
    if (this.#socket?.readyState === WebSocket.OPEN && this.#epoch) {
      if (before) this.#ask("unsubscribe", before);
      this.#ask("subscribe", symbol);
    } else {
      this.reconnect();
    }
  }

  /** Drop what is there and connect at once. */
  reconnect() {
    clearTimeout(this.#timers.retry);
    const old = this.#socket;
    this.#socket = null;
    old?.close();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.#socket = socket;
    const mine = (act) => (event) => { if (this.#socket === socket) act(event); };
    socket.onmessage = mine((event) => this.#receive(JSON.parse(event.data)));
    socket.onclose = mine((event) => this.#lost(event));
    this.#watch(8000);
  }

  #receive(message) {
    this.#watch(this.#patience);
    switch (message.type) {
      case "hello":
        this.#patience = 3000 * message.heartbeat_s + 2000;
        this.#wait = FIRST_WAIT_MS;
        if (this.#epoch !== message.epoch) this.#seen.clear();
        this.#epoch = message.epoch;
        clearInterval(this.#timers.poll);
        this.#timers.poll = null;
        this.#hear.link("live");
        this.#ask("subscribe", this.#symbol);
        break;
      case "snapshot":
      case "change": {
        const [view, symbol] = split(message.topic);
        if (symbol !== this.#symbol) return;
        this.#seen.set(message.topic, message.seq);
        this.#hear.heard(view, message.data, message.type === "snapshot");
        break;
      }
      case "heartbeat":
        this.#hear.beat(message.symbols[this.#symbol] ?? message);
        break;
      case "problem":
        this.#hear.trouble(message);
        break;
    }
  }

  #ask(op, symbol) {
    if (!symbol) return;
    const topics = VIEWS.map((view) => `${view}:${symbol}`);
    const last_seq = Object.fromEntries([...this.#seen].filter(([topic]) => topics.includes(topic)));
    this.#socket.send(JSON.stringify({ op, topics, last_seq, epoch: this.#epoch }));
  }

  /** Give the socket so long to say something before it counts as dead. */
  #watch(patience) {
    clearTimeout(this.#timers.silence);
    const socket = this.#socket;
    this.#timers.silence = setTimeout(() => {
      if (this.#socket === socket) { socket.onclose = null; socket.close(); this.#lost({ code: 1006 }); }
    }, patience);
  }

  #lost(event) {
    clearTimeout(this.#timers.silence);
    this.#socket = null;
    this.#hear.link("polling");
    if (!this.#timers.poll) {
      this.#timers.poll = setInterval(() => this.#poll(), POLL_MS);
      this.#poll();
    }
    const pause = (event.code === 1013 ? 4 : 1) * this.#wait * (0.75 + Math.random() / 2);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT_MS);
    this.#timers.retry = setTimeout(() => this.reconnect(), pause);
  }

  async #poll() {
    const symbol = this.#symbol;
    try {
      for (const view of VIEWS) {
        const answer = await get(path(symbol, view), this.#etags);
        if (symbol !== this.#symbol || !this.#timers.poll) return;
        if (answer.problem) this.#hear.trouble(answer.problem);
        else if (answer.body) this.#hear.heard(view, answer.body, true);
      }
      this.#hear.link("polling");
    } catch {
      if (this.#timers.poll) this.#hear.link("lost");
    }
  }
}

function split(topic) {
  const at = topic.indexOf(":");
  return [topic.slice(0, at), topic.slice(at + 1)];
}

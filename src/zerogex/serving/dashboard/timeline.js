// The time slider: the minutes there are, the one shown, and live again.

import { marketDate } from "./cells.js";
import { byId, say } from "./dom.js";
import * as f from "./format.js";

const RATHER_MS = 120;  // a slider being dragged asks when it rests this long
const DAY_MS = 86_400_000;

export class Timeline {
  #stamps = []; #at = null; #now = null; #go; #timer = null;

  /** `go(instant)` hears of each choice: ISO 8601, or null for live. */
  constructor(go) {
    this.#go = go;
    byId("time-slider").addEventListener("input", (event) => this.#pick(Number(event.target.value)));
    byId("time-back").addEventListener("click", () => this.step(-1));
    byId("time-on").addEventListener("click", () => this.step(1));
    byId("time-live").addEventListener("click", () => this.live());
  }

  get at() { return this.#at; }

  /** Take the instants of a day that have an analysis, ascending; `now` is the market's time. */
  take(stamps, now) {
    this.#stamps = stamps;
    this.#now = now;
    this.#show();
  }

  /** Show an instant without telling: the address said so. */
  set(instant) {
    this.#at = instant;
    this.#show();
  }

  live() {
    clearTimeout(this.#timer);
    this.#at = null;
    this.#show();
    this.#go(null);
  }

  /** So many minutes on or back; past the newest is live. */
  step(by) {
    const last = this.#stamps.length - 1;
    if (last < 0) return;
    this.#pick((this.#at === null ? last + 1 : this.#index()) + by);
  }

  /** So many days on or back, at the same time of day. */
  day(by, now) {
    const wanted = Date.parse(this.#at ?? now) + by * DAY_MS;
    if (!Number.isFinite(wanted)) return;
    if (wanted >= Date.parse(now)) this.live();
    else this.#choose(new Date(wanted).toISOString().replace(/\.\d+Z$/, "Z"));
  }

  /** Whether the minutes are those of the newest day, after which comes live. */
  get #today() { return this.#now === null || marketDate(this.#stamps.at(-1)) === marketDate(this.#now); }

  #index() {
    const wanted = Date.parse(this.#at);
    let found = 0;
    this.#stamps.forEach((stamp, i) => { if (Date.parse(stamp) <= wanted) found = i; });
    return found;
  }

  #pick(index) {
    if (index >= this.#stamps.length && this.#today) this.live();
    else this.#choose(this.#stamps[Math.max(0, Math.min(index, this.#stamps.length - 1))] ?? null);
  }

  #choose(instant) {
    this.#at = instant;
    this.#show();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#go(this.#at), RATHER_MS);
  }

  #show() {
    const slider = byId("time-slider");
    const count = this.#stamps.length;
    const last = this.#today ? count : count - 1;
    const place = this.#at === null ? last : this.#index();
    slider.disabled = byId("time-back").disabled = count === 0;
    byId("time-on").disabled = this.#at === null;
    slider.max = String(Math.max(0, last));
    slider.value = String(place);
    const words = this.#at === null ? "now" : `${f.marketDay(this.#at)} ${f.minute(this.#at)}`;
    say(byId("time-shown"), words);
    slider.setAttribute("aria-valuetext", words);
    byId("time-live").setAttribute("aria-pressed", String(this.#at === null));
    document.documentElement.toggleAttribute("data-past", this.#at !== null);
  }
}

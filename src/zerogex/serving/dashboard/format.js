// Numbers and times as people read them.  A missing number is an en dash, never a zero.

export const NONE = "–";
const MINUS = "−";
const MARKET = "America/New_York";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const timeParts = new Intl.DateTimeFormat("en-GB", { timeZone: MARKET, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteParts = new Intl.DateTimeFormat("en-GB", { timeZone: MARKET, hour: "2-digit", minute: "2-digit" });
const dayParts = new Intl.DateTimeFormat("en-US", { timeZone: MARKET, weekday: "short", month: "short", day: "numeric" });
const dateOnly = new Intl.DateTimeFormat("en-US", { timeZone: "UTC", month: "short", day: "numeric", year: "2-digit" });

/** 4718.5 → "4,718.50" */
export function price(value, digits = 2) {
  return known(value) ? value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : NONE;
}

/** A strike: as many digits as it has. */
export const strike = (value) => known(value) ? value.toLocaleString("en-US", { maximumFractionDigits: 3 }) : NONE;

/** −11432000000 → "−$11.43 bn"; `sign` also writes the plus; `unit` leads the number. */
export function compact(value, { unit = "$", sign = false, digits = 3 } = {}) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  const [scale, word] = size >= 1e12 ? [1e12, " tn"] : size >= 1e9 ? [1e9, " bn"] : size >= 1e6 ? [1e6, " m"] : size >= 1e3 ? [1e3, " k"] : [1, ""];
  const scaled = size / scale;
  const places = scale === 1 && Number.isInteger(scaled) ? 0 : Math.max(0, digits - 1 - Math.max(0, Math.floor(Math.log10(scaled || 1))));
  const prefix = value < 0 ? MINUS : sign && value > 0 ? "+" : "";
  return `${prefix}${unit}${scaled.toFixed(places)}${word}`;
}

/** The same for an axis, where a zero after the point says nothing: "$5 bn", "−$2.5 m". */
export const tick = (value, unit = "$") => compact(value, { unit }).replace(/(\.\d*?)0+(?= |$)/, "$1").replace(/\.(?= |$)/, "");

export const count = (value) => known(value) ? Math.round(value).toLocaleString("en-US") : NONE;
export const ratio = (value) => known(value) ? value.toFixed(2) : NONE;
export const percent = (value, digits = 1) => known(value) ? `${value.toFixed(digits).replace("-", MINUS)} %` : NONE;

/** 1.234 → "+1.23", −1.234 → "−1.23" */
export const signed = (value, digits = 2) => known(value) ? `${value < 0 ? MINUS : value > 0 ? "+" : ""}${price(Math.abs(value), digits)}` : NONE;

/** How far a level lies from spot: "0.45 % above". */
export function distance(level, spot) {
  if (!known(level) || !known(spot) || spot === 0) return "";
  const off = 100 * (level / spot - 1);
  return Math.abs(off) < 0.005 ? "at spot" : `${Math.abs(off).toFixed(2)} % ${off > 0 ? "above" : "below"}`;
}

/** Seconds to "0.4 s", "42 s", "3 min", "5 h", "3 d". */
export function age(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

const instant = (value) => value == null ? null : new Date(value);
export const clock = (value) => value == null ? NONE : `${timeParts.format(instant(value))} ET`;
export const minute = (value) => value == null ? NONE : minuteParts.format(instant(value));
export const dayAndTime = (value) => value == null ? NONE : `${dayParts.format(instant(value))}, ${minuteParts.format(instant(value))} ET`;
/** "2026-02-20" → "Feb 20, 26": a calendar day, no time zone. */
export const day = (iso) => iso == null ? NONE : dateOnly.format(new Date(`${iso}T00:00:00Z`));
const shortParts = new Intl.DateTimeFormat("en-US", { timeZone: "UTC", month: "short", day: "numeric" });
/** "2026-02-20" → "Feb 20" */
export const shortDay = (iso) => iso == null ? NONE : shortParts.format(new Date(`${iso}T00:00:00Z`));
export const marketDay = (value) => dayParts.format(instant(value));

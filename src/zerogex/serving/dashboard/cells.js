// Which expirations a choice means, and rows out of the API's matrices.  Pure functions.

const dayOf = new Intl.DateTimeFormat("en-CA", { timeZone: "America/New_York", year: "numeric", month: "2-digit", day: "2-digit" });

/** The New York day of an instant, "2026-11-20". */
export const marketDate = (instant) => instant == null ? null : dayOf.format(new Date(instant));

/** The expirations a choice means among those there are: `all`, `0dte`, `next`, or days with commas. */
export function chosenDays(choice, days, today) {
  if (choice === "all") return days;
  if (choice === "0dte") return days.filter((day) => day === today);
  if (choice === "next") return days.filter((day) => day > today).slice(0, 1);
  const wanted = new Set(choice.split(","));
  return days.filter((day) => wanted.has(day));
}

/** A choice with one expiration more or less; none left, or every one, is `all`. */
export function toggled(choice, day, days, today) {
  const before = choice === "all" ? [] : chosenDays(choice, days, today);
  const after = days.filter((each) => before.includes(each) !== (each === day));
  return after.length === 0 || after.length === days.length ? "all" : after.join(",");
}

/** Only what the API understands may go into an address: `all`, `0dte`, `next`, or ISO days. */
export function cleanChoice(text) {
  if (["0dte", "next"].includes(text)) return text;
  const days = (text ?? "").split(",").filter((day) => /^\d{4}-\d{2}-\d{2}$/.test(day));
  return days.length ? days.join(",") : "all";
}

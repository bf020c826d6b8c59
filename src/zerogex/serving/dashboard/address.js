// What is shown lives in the address, so that a link shows the same.

const NAMES = ["symbol", "view", "expirations", "measure", "model", "range", "time", "theme"];

export function readAddress() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
}

/** The address with a change, as text that a link can have. */
export function addressWith(change) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value == null) query.delete(name); else query.set(name, value);
  }
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text ? `?${text}` : location.pathname;
}

export function writeAddress(change) {
  history.replaceState(null, "", addressWith(change));
}

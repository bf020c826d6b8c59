// What is wrong, if anything, and what to do about it: one line at the bottom, gone when all is well.

import { byId, prose, say } from "./dom.js";
import * as f from "./format.js";

const TONES = { live: "good", simulated: "good", replay: "good", delayed: "warn", closed: "idle", stale: "bad" };

/** The worst thing that is so now, as {tone, what, todo}; null when there is none. */
export function trouble({ link, summary, problem, face, empty, at, alerts }) {
  const last = summary ? ` The numbers are those of ${f.dayAndTime(summary.data_timestamp)}.` : "";
  if (link === "lost") {
    return { tone: "bad", what: "Connection to the server lost.", todo: `Trying again by itself.${last} See that \`zerogex serve\` (or \`zerogex up\`) runs.` };
  }
  if (face?.database === "down" || problem?.code === "database_unavailable") {
    return { tone: "bad", what: "The database cannot be reached.", todo: `${summary ? "Showing the last known numbers." + last : "Nothing is known yet."} It is tried again every second; see that PostgreSQL runs where \`zerogex config\` says.` };
  }
  if (empty) {
    return { tone: "calm", what: "No data yet.", todo: "Start the feed: `zerogex up` for everything (simulated where there are no credentials), or `zerogex ingest`." };
  }
  if (at !== null) {
    return problem ? { tone: "warn", what: problem.detail ?? problem.title, todo: `${problem.hint ?? ""} Press \`l\` for live.`.trim() } : null;
  }
  if (problem) {
    return { tone: problem.code === "waiting_for_data" ? "calm" : "warn", what: problem.detail, todo: problem.hint };
  }
  if (summary && face?.spot_stale && face.session === "regular") {
    return { tone: "warn", what: `The price of ${summary.underlying} is ${f.age(face.spot_age_seconds)} old, its options go on.`, todo: "Exposures and levels stand at that price until the underlying is heard again; ingest asks for it by itself." };
  }
  if (summary && face?.state === "stale") {
    return { tone: "warn", what: face.age_seconds == null ? "The data is of another time than the feed's." : `The data is ${f.age(face.age_seconds)} old.`, todo: "The market is open, but nothing new arrives: see that `zerogex ingest` and `zerogex analyze` run." };
  }
  if (alerts?.alerting === "failing") {
    const bad = alerts.channels.filter((channel) => channel.trouble);
    const waiting = bad.reduce((sum, channel) => sum + channel.pending, 0);
    return { tone: "warn", what: "Alerting is failing.", todo: `${bad.map((channel) => `${channel.channel}: ${channel.trouble}`).join("; ")}. ${waiting ? `${waiting === 1 ? "1 alert waits and is" : `${waiting} alerts wait and are`} tried again. ` : ""}\`zerogex alerts test\` tries it now.` };
  }
  if (link === "polling" && summary) {
    return { tone: "calm", what: "Live updates are cut.", todo: "Asking every two seconds instead, and reconnecting." };
  }
  if (summary && face?.state === "closed") {
    return { tone: "calm", what: "The market is closed.", todo: `${last.trim()}${face.next_open ? ` It opens ${f.dayAndTime(face.next_open)}.` : ""}` };
  }
  return null;
}

export function showNotice(now) {
  const home = byId("notice");
  home.hidden = !now;
  if (!now) return;
  home.dataset.tone = now.tone;
  prose(byId("notice-what"), now.what);
  prose(byId("notice-do"), now.todo);
}

/** The two chips and the SIMULATED mark, from the newest face of the clock; of a past minute from its summary. */
export function showFace(now, link, past) {
  const [session, state] = [byId("session"), byId("state")];
  const face = past ? { ...past, market_time: past.as_of ?? past.data_timestamp, heard: performance.now() } : now;
  byId("simulated").hidden = !face?.simulated;
  if (!face) return;
  const elapsed = (performance.now() - face.heard) / 1000 * (face.clock_speed ?? 1);
  say(session.children[0], { regular: "Open", pre: "Pre-market", post: "After hours", closed: "Closed" }[face.session] ?? f.NONE);
  if (face.market_time) say(session.children[1], f.clock(Date.parse(face.market_time) + 1000 * elapsed));
  const word = link === "lost" ? "disconnected" : face.state ?? "waiting";
  say(state.children[0], word);
  say(state.children[1], face.age_seconds == null ? "" : f.age(face.age_seconds + elapsed));
  state.dataset.tone = link === "lost" ? "bad" : TONES[word] ?? "idle";
}

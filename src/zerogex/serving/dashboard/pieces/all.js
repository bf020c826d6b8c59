// What draws in each panel: {draw(views, page), clear?, image?, table?}, by the panel's name.

import { ExpirationsChart } from "../charts/expirations.js";
import { PriceChart } from "../charts/price.js";
import { ProfileChart } from "../charts/profile.js";
import { StrikesChart } from "../charts/strikes.js";
import { choiceWords } from "../choices.js";
import { byId, say } from "../dom.js";
import { around, places } from "./piece.js";
import { flowPieces } from "./flow.js";
import { heatPieces } from "./heat.js";
import { historyPieces } from "./history.js";
import { tablePieces } from "./tables.js";
import { volatilityPieces } from "./volatility.js";

export function buildPieces() {
  const price = new PriceChart(...places("price"));
  return {
    price: {
      ...around(price, (views) => views.bars && (views.bars.bars.length || views.summary), (chart, views, page) => {
        if (page.at !== null) chart.take(views.bars?.bars ?? [], true);
        chart.draw(views.summary ?? null, page.at === null);
        say(byId("note-price"), "minutes, New York time");
      }),
      chart: price,
    },
    strikes: around(new StrikesChart(...places("strikes")), (views) => views.strikes?.by_strike.length, (chart, { strikes }, page) => {
      chart.draw(strikes, page.measure);
      say(byId("note-strikes"), choiceWords(page));
    }),
    profile: around(new ProfileChart(...places("profile")), (views) => views.profile?.profile?.spots.length, (chart, { profile }, page) => {
      chart.draw(profile);
      const status = `flip: ${profile.gamma_flip_status?.replaceAll("_", " ")}`;
      say(byId("note-profile"), [choiceWords(page), status].filter(Boolean).join(" · "));
    }),
    expirations: around(new ExpirationsChart(...places("expirations")), (views) => views.expirations?.by_expiration?.length, (chart, { expirations }) => {
      chart.draw(expirations);
      say(byId("note-expirations"), `${expirations.by_expiration.length} expirations`);
    }),
    ...heatPieces(),
    ...volatilityPieces(),
    ...flowPieces(),
    ...historyPieces(),
    ...tablePieces(),
  };
}

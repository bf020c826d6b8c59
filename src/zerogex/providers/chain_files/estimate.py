"""What a file forgot to say, inferred from its own quotes: the spot, and the session they belong to."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist, median

import numpy as np
import polars as pl

from zerogex.domain.calendar import (
    SECONDS_PER_YEAR,
    is_session,
    previous_session,
    session_open,
    settlement,
    trading_date,
)
from zerogex.domain.chain import Floats, OptionChain

_RATE = 0.03  # per year; on the days to the first expirations any rate gives the same spot
_PAIRS = 8  # strikes around the forward that vote
_EXPIRATIONS = 6
_MISJUDGED = timedelta(hours=4)  # how far before an open the votes may lie and still speak for its session


def parity_spot(chain: OptionChain) -> float | None:
    """Spot by put-call parity at the first expiration with three strikes quoted on both sides; None without one."""
    groups = sorted({(moment, root) for moment, root in zip(chain.settlement.tolist(), chain.root, strict=True)})
    now = chain.as_of.timestamp()
    for least in (3, 1):
        for moment, root in groups[: 2 * _EXPIRATIONS]:
            years = max(moment - now, 0.0) / SECONDS_PER_YEAR
            strike, call, put, width = _pairs(chain.select((chain.settlement == moment) & (chain.root == root)))
            if len(strike) >= least:
                implied = strike * math.exp(-_RATE * years) + call - put
                near = np.argsort(np.abs(call - put) + width)[:_PAIRS]
                return float(np.median(implied[near]))
    return None


def _pairs(chain: OptionChain) -> tuple[Floats, Floats, Floats, Floats]:
    """Strikes with both sides quoted: strike, call mid, put mid, summed spread."""
    width = chain.ask - chain.bid
    mid = chain.mid
    quoted = np.isfinite(mid) & ((chain.bid > 0) | (chain.ask < 0.02 * chain.strike))
    calls = {k: row for row, k in enumerate(chain.strike.tolist()) if quoted[row] and chain.is_call[row]}
    puts = {k: row for row, k in enumerate(chain.strike.tolist()) if quoted[row] and not chain.is_call[row]}
    both = sorted(calls.keys() & puts.keys())
    c, p = np.array([calls[k] for k in both], int), np.array([puts[k] for k in both], int)
    return np.array(both, float), mid[c], mid[p], width[c] + width[p]


def session_of_quotes(rows: pl.DataFrame) -> date | None:
    """The session whose close the quotes were taken at, from how much time value is left.

    At the money a straddle is worth F(4N(σ√T/2) - 2), so straddle and stated volatility give the
    time left; each of the first expirations votes for an instant.  `rows` are identified rows
    (`assemble.identify`).  Without usable volatilities: the session of the first expiration.
    """
    days = rows["expiration"].unique().sort().to_list()
    votes = [vote for day in days[:_EXPIRATIONS] if (vote := _instant(rows.filter(pl.col("expiration") == day)))]
    if not votes:
        return _on_or_before(days[0]) if days else None
    instant = datetime.fromtimestamp(median(votes), UTC)
    day = trading_date(instant + _MISJUDGED)
    if not is_session(day) or session_open(day) > instant + _MISJUDGED:
        day = previous_session(day)
    return min(day, _on_or_before(days[0]))  # a page never lists what expired before its session


def _instant(rows: pl.DataFrame) -> float | None:
    """The instant (seconds since the epoch) one expiration's at-the-money straddle speaks for."""
    columns = set(rows.columns)
    if not {"bid", "ask", "iv"} <= columns:
        return None
    quoted = rows.filter((pl.col("ask") > 0) & (pl.col("bid") > 0) & (pl.col("bid") <= pl.col("ask")))
    quoted = quoted.filter(pl.col("iv") > 0.01).with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
    sides = [quoted.filter(pl.col("right") == right).select("root", "strike", "mid", "iv") for right in "CP"]
    both = sides[0].join(sides[1], on=["root", "strike"], suffix="_put")
    if not len(both):
        return None
    gap = (both["mid"] - both["mid_put"]).abs()
    root, strike, call, call_iv, put, put_iv = both.row(int(gap.arg_min() or 0))
    if abs(call - put) > 0.3 * (call + put):
        return None
    expiration: date = rows["expiration"][0]
    forward = float(strike + call - put)
    share = (call + put) / forward
    if not 0 < share < 1:
        return None
    deviation = 2 * NormalDist().inv_cdf((share + 2) / 4)  # sigma times root of years
    years = (deviation / float(0.5 * (call_iv + put_iv))) ** 2
    return settlement(root, expiration).timestamp() - years * SECONDS_PER_YEAR


def _on_or_before(day: date) -> date:
    return day if is_session(day) else previous_session(day)

"""The forward of one expiration, as its own options say it: put-call parity.

A call less a put of the same strike is the discounted forward less the strike, whatever the
volatility.  Each strike with honest quotes of both kinds so names a forward; near the money,
where spreads are tight and (for American contracts) early exercise is worth least, they agree to cents.
Their weighted median is taken, so one absurd quote moves nothing.

Source  Stoll, "The relationship between put and call option prices", J. Finance 24 (1969).
"""

from __future__ import annotations

import math

import numpy as np

from zerogex.domain.chain import Floats
from zerogex.pricing.normal import compiled

LEAST_PAIRS = 2  # one strike alone has no witness
WIDEST_SPREAD = 0.5  # call and put spread together, as a share of call plus put: wider quotes do not vote
FARTHEST_LOG = 0.5  # |ln(forward/spot)| beyond this is a wrong quote (volatility futures come to 0.4)
STRADDLES_NEAR = 0.25  # a strike this many straddles from the money has 0.6 of the weight of one at it
LEAST_WIDTH = 1e-5  # of spot, added to each spread: one quoted at nothing must not outvote the rest
AGREEMENT = 1e-4  # of spot: strikes this close to the median agree with it
STRADDLES_APART = 0.02  # early exercise lets American strikes disagree by about this much


@compiled
def _weighted_median(values: Floats, weights: Floats) -> float:
    """The value at which half of the weight is reached, between neighbours where the half falls exactly.

    Sorts both in place, by insertion: strikes come ascending and so, nearly, do their votes.
    """
    for i in range(1, values.size):
        value, weight, k = values[i], weights[i], i
        while k > 0 and values[k - 1] > value:
            values[k], weights[k] = values[k - 1], weights[k - 1]
            k -= 1
        values[k], weights[k] = value, weight
    total = 0.0
    for weight in weights:
        total += weight
    reached = 0.0
    for i in range(values.size):
        reached += weights[i]
        if reached > 0.5 * total:
            return values[i]
        if reached == 0.5 * total and i + 1 < values.size:
            return 0.5 * (values[i] + values[i + 1])
    return math.nan


@compiled
def _votes(
    strike: Floats, call_bid: Floats, call_ask: Floats, put_bid: Floats, put_ask: Floats, growth: float, spot: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """(strike, forward, half width, call plus put) of each strike whose quotes may vote."""
    count = 0
    voter, forward = np.empty(strike.size), np.empty(strike.size)
    width, straddle = np.empty(strike.size), np.empty(strike.size)
    for i in range(strike.size):
        if not (0.0 < call_bid[i] <= call_ask[i] < math.inf and 0.0 < put_bid[i] <= put_ask[i] < math.inf):
            continue
        spread = call_ask[i] - call_bid[i] + put_ask[i] - put_bid[i]
        call, put = 0.5 * (call_bid[i] + call_ask[i]), 0.5 * (put_bid[i] + put_ask[i])
        value = strike[i] + growth * (call - put)
        if spread > WIDEST_SPREAD * (call + put) or not value > 0.0 or abs(math.log(value / spot)) > FARTHEST_LOG:
            continue
        voter[count], forward[count] = strike[i], value
        width[count], straddle[count] = 0.5 * growth * spread, call + put
        count += 1
    return voter[:count], forward[:count], width[:count], straddle[:count]


@compiled
def _parity(
    strike: Floats, call_bid: Floats, call_ask: Floats, put_bid: Floats, put_ask: Floats,
    years: float, rate: float, spot: float,
) -> tuple[float, int]:  # fmt: skip
    growth = math.exp(rate * years)
    voter, forward, width, straddle = _votes(strike, call_bid, call_ask, put_bid, put_ask, growth, spot)
    count = forward.size
    if count < LEAST_PAIRS:
        return math.nan, count
    tightness = 1.0 / (width + LEAST_WIDTH * spot)
    rough = _weighted_median(forward.copy(), tightness.copy())
    money = 0
    for i in range(count):
        if abs(voter[i] - rough) < abs(voter[money] - rough):
            money = i
    near = max(STRADDLES_NEAR * straddle[money], abs(voter[money] - rough))
    slack = STRADDLES_APART * straddle[money] + AGREEMENT * spot
    weights = np.empty(count)
    for i in range(count):
        weights[i] = tightness[i] ** 2 * math.exp(-0.5 * ((voter[i] - rough) / near) ** 2)
    value = _weighted_median(forward.copy(), weights.copy())
    total = agreeing = 0.0
    for i in range(count):
        total += weights[i]
        if abs(forward[i] - value) <= 2.0 * width[i] + slack:
            agreeing += weights[i]
    return (value if agreeing >= 0.5 * total else math.nan), count


def parity_forward(
    strike: Floats, call_bid: Floats, call_ask: Floats, put_bid: Floats, put_ask: Floats,
    years: float, rate: float, spot: float,
) -> tuple[float, int]:  # fmt: skip
    """(forward, pairs) of one root and expiration from its quotes, aligned by strike.

    Shapes  columns of one length, one entry a strike; the order does not matter.
    Units   dollars, years, per year (continuous).
    Limits  NaN where fewer than two strikes have two-sided, uncrossed and tight enough quotes of both kinds
            (bids above zero), where every one of them is absurd against spot, or where they contradict one another;
            the caller then carries spot forward.  NaN also where years <= 0 or spot is not a positive number.
            `pairs` counts the strikes that were allowed to vote.
    Source  Stoll (1969); see the module.
    """
    if not (years > 0.0 and 0.0 < spot < math.inf and math.isfinite(rate)):
        return math.nan, 0
    columns = (np.require(column, np.float64, ["C", "W"]) for column in (strike, call_bid, call_ask, put_bid, put_ask))
    forward, pairs = _parity(*columns, float(years), float(rate), float(spot))
    return float(forward), int(pairs)

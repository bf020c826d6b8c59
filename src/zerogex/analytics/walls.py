"""Walls: the strikes where one side's gamma, or interest, is largest.

Call wall: at or above spot, the strike with the largest gross call GEX.  Put wall: at or below
spot, the largest gross put GEX.  The variants ask the same of net GEX, open interest and volume,
under their own names.  All expirations and roots of a strike are one.
"""

from __future__ import annotations

import numpy as np

from zerogex.domain.chain import Bools, Floats
from zerogex.domain.exposure import DealerModel, ExposureTable, Levels, Wall


def levels(by_strike: ExposureTable, spot: float, model: DealerModel) -> Levels:
    """Every wall of a chain; None where no strike on that side has any of the quantity."""
    assert by_strike.strike is not None
    strike, columns = by_strike.strike, by_strike.totals
    above, below, anywhere = strike >= spot, strike <= spot, np.ones(len(strike), bool)
    call_gex, put_gex, net = (columns[name].astype(float) for name in ("call_gex", "put_gex", "net_gex"))
    call_sign, put_sign = model.signs
    side = {
        "call": (above, call_gex, np.abs(call_gex), np.maximum(call_sign * net, 0.0)),
        "put": (below, put_gex, np.abs(put_gex), np.maximum(put_sign * net, 0.0)),
    }
    walls: dict[str, Wall | None] = {}
    for kind, (where, gex, gross, toward) in side.items():
        walls[f"{kind}_wall"] = wall(strike, spot, gex, gross, where)
        walls[f"{kind}_wall_net"] = wall(strike, spot, net, toward, where)
        for name, column in (("oi", "open_interest"), ("volume", "volume")):
            count = columns[f"{kind}_{column}"].astype(float)
            walls[f"{kind}_wall_{name}"] = wall(strike, spot, count, count, where)
    return Levels(
        call_wall=walls.pop("call_wall"),
        put_wall=walls.pop("put_wall"),
        max_gamma=wall(strike, spot, net, np.abs(net), anywhere),
        variants=walls,
    )


def wall(strike: Floats, spot: float, value: Floats, size: Floats, where: Bools) -> Wall | None:
    """The strike of the largest `size` among those of `where`; of equals the nearest to spot, then the lower.

    `value` is what is shown of it; its share is of the size at all strikes, its margin the lead
    over the runner-up among the candidates, as a share of its own size.
    """
    rows = np.flatnonzero(where & (size > 0.0))
    if len(rows) == 0:
        return None
    nearest_first = rows[np.argsort(np.abs(strike[rows] - spot), kind="stable")]
    best = nearest_first[np.argmax(size[nearest_first])]
    runner_up = float(size[rows[rows != best]].max(initial=0.0))
    return Wall(
        strike=float(strike[best]),
        gex=float(value[best]),
        share=float(size[best] / size.sum()),
        margin=float((size[best] - runner_up) / size[best]),
    )

"""Which contracts to follow: the first expirations, and the strikes near spot.

All functions are pure; the engine decides when to ask again and carries out the answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from zerogex.domain.calendar import settlement
from zerogex.domain.contract import OptionContract
from zerogex.errors import SettingsError
from zerogex.ports import ChainWindow

STREAMS_MAX = 10  # what one vendor account may hold open: tradestation-v3.md §5
_REFERENCE_PRICE = 500.0  # dollars; the price of the ETF that PRICE_MOVE_THRESHOLD was chosen for
_RECENTER_SHARE = 0.05  # of the half-width: a move smaller than this changes next to nothing

Key = tuple[str, date]  # (root, expiration): what one chain stream follows


@dataclass(frozen=True, slots=True)
class StrikeDistance:
    """How far from spot strikes are followed, on each side."""

    amount: float
    percent: bool

    def dollars(self, spot: float) -> float:
        """The half-width of the window at a spot."""
        return spot * self.amount / 100 if self.percent else self.amount


def parse_distance(text: str) -> StrikeDistance:
    """Read `20` (dollars) or `5%` (of spot).

    Raises SettingsError where it is neither, or not above zero.
    """
    match = re.fullmatch(r"\s*\$?\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*", text)
    if not match or not float(match[1]) > 0 or (match[2] and float(match[1]) > 100):
        raise SettingsError(
            f"strike distance is {text!r}; expected dollars above zero such as '20', or percent of spot such as '5%'"
        )
    return StrikeDistance(float(match[1]), bool(match[2]))


def first_expirations(listed: Sequence[Key], now: datetime, count: int) -> list[Key]:
    """The (root, expiration) pairs of the first `count` dates that have not settled, ascending.

    A pair leaves at its own settlement: a 0DTE chain at 16:00 ET, an AM-settled root at 09:30.  Two
    roots on one date (SPX and SPXW on a third Friday) count as one date.
    """
    live = sorted({(expiration, root) for root, expiration in listed if settlement(root, expiration) > now})
    dates = sorted({expiration for expiration, _ in live})[:count]
    return [(root, expiration) for expiration, root in live if expiration in dates]


def contracts_near(contracts: Sequence[OptionContract], center: float, width: float) -> tuple[OptionContract, ...]:
    """Those with a strike within `width` dollars of a price; never none where any are listed.

    A window narrower than the distance between strikes keeps the nearest strike: an at-the-money
    contract is the least an analysis needs.
    """
    near = tuple(c for c in contracts if abs(float(c.strike) - center) <= width)
    if near or not contracts:
        return near
    nearest = min(abs(float(c.strike) - center) for c in contracts)
    return tuple(c for c in contracts if abs(float(c.strike) - center) <= nearest)


def plan_window(
    underlying: str, key: Key, contracts: Sequence[OptionContract], spot: float, distance: StrikeDistance
) -> ChainWindow:
    """The contracts of one expiration to follow while spot is about here."""
    root, expiration = key
    near = contracts_near(contracts, spot, distance.dollars(spot))
    return ChainWindow(underlying, root, expiration, spot, near)


def move_threshold(spot: float, distance: StrikeDistance, dollars: float) -> float:
    """The move of spot, in dollars, that makes a window worth re-opening.

    PRICE_MOVE_THRESHOLD is meant for a symbol that trades at some hundreds of dollars.  It grows
    with the price (an index at 6,000 moves a dollar every second) and is never less than 5 % of
    the half-width: each re-opening costs a request an expiration and a fresh snapshot.
    """
    return max(dollars, dollars * spot / _REFERENCE_PRICE, _RECENTER_SHARE * distance.dollars(spot))


def should_recenter(center: float, spot: float, distance: StrikeDistance, dollars: float) -> bool:
    """Whether spot is far enough from the centre of what is followed.

    The new centre is the spot of that moment, so that a price swinging about the threshold does not
    re-open on each swing: it has to go all the way again.
    """
    return abs(spot - center) >= move_threshold(spot, distance, dollars)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """Who gets a push stream, and who is polled because the account has no more."""

    streamed: tuple[ChainWindow, ...]
    polled: tuple[ChainWindow, ...]


def plan_streams(
    windows: Sequence[ChainWindow], underlyings: Collection[str], streams_max: int = STREAMS_MAX
) -> StreamPlan:
    """Share the account's streams: one for the bars of each underlying, then the nearest expirations.

    Underlyings take turns within an expiration's rank, so that a long watch list leaves each one its
    front expiration before anyone gets a second.
    """
    rank: dict[str, int] = {}
    order = []
    for window in sorted(windows, key=lambda w: (w.expiration, w.root)):
        rank[window.underlying] = rank.get(window.underlying, -1) + 1
        order.append((rank[window.underlying], window.expiration, window.underlying, window.root, window))
    order.sort(key=lambda entry: entry[:4])
    room = max(streams_max - len(set(underlyings)), 0)
    ranked = [entry[-1] for entry in order]
    return StreamPlan(tuple(ranked[:room]), tuple(ranked[room:]))

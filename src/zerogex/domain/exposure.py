"""The answer to "where do the dealers stand": everything one analysis of one chain says.

Units are those of docs/conventions.md: GEX in dollars of delta per +1 % move, vanna and vega
exposure per +1 volatility point, charm per calendar day, all signed from the dealer's side.
None means "there is no such number", and a status or reason beside it says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import numpy as np

from zerogex.domain.chain import Bools, Dates, Floats, Ints, Texts


class DealerModel(StrEnum):
    """Who is assumed to hold what.  None of these is observed; each is an assumption and is shown as one."""

    NAIVE = "naive"  # dealers long calls, short puts: customers overwrite calls and buy puts
    SHORT_ALL = "short_all"  # dealers short every option: customers buy both
    LONG_ALL = "long_all"  # dealers long every option: customers sell both
    INVERSE = "inverse"  # dealers short calls, long puts

    @property
    def signs(self) -> tuple[float, float]:
        """The sign of the dealers' position in (calls, puts)."""
        return _SIGNS[self]


_SIGNS = {
    DealerModel.NAIVE: (1.0, -1.0),
    DealerModel.SHORT_ALL: (-1.0, -1.0),
    DealerModel.LONG_ALL: (1.0, 1.0),
    DealerModel.INVERSE: (-1.0, 1.0),
}


class FlipStatus(StrEnum):
    """What the search for the gamma flip found."""

    RESOLVED = "resolved"  # exactly one sign change
    MULTIPLE = "multiple"  # several; the nearest structural one is the headline
    NONE_POSITIVE = "none_positive"  # the whole curve is above zero
    NONE_NEGATIVE = "none_negative"  # the whole curve is below zero
    EDGE = "edge"  # the only change lies at the border of the searched range
    LOW_COVERAGE = "low_coverage"  # too little of the open interest could be priced to say


@dataclass(frozen=True, slots=True)
class Totals:
    """Exposure sums over some set of contracts."""

    call_gex: float = 0.0
    put_gex: float = 0.0
    net_gex: float = 0.0
    gross_gex: float = 0.0  # call_gex - put_gex under the naive model: sum of absolute values by side
    gex_shares_per_dollar: float = 0.0
    dex: float = 0.0  # dollars of delta
    vanna_exposure: float = 0.0
    charm_exposure: float = 0.0
    vega_exposure: float = 0.0
    volume_gex: float = 0.0  # like net_gex, weighted by today's volume instead of open interest
    call_open_interest: int = 0
    put_open_interest: int = 0
    call_volume: int = 0
    put_volume: int = 0


TOTALS = tuple(Totals.__dataclass_fields__)


@dataclass(frozen=True, slots=True, eq=False)
class ExposureTable:
    """`Totals` by group, as columns; sorted by its keys.

    `strike` and `expiration` are the group's keys; a table by strike alone has no expirations
    (None), one by expiration alone no strikes.  `totals[name]` has one entry a group.
    """

    strike: Floats | None
    expiration: Dates | None
    totals: dict[str, Floats | Ints]

    def __len__(self) -> int:
        return len(self.totals["net_gex"])

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a group, plain numbers, NaN as None."""
        keys: dict[str, Any] = {}
        if self.expiration is not None:
            keys["expiration"] = [day.isoformat() for day in self.expiration.tolist()]
        if self.strike is not None:
            keys["strike"] = self.strike.tolist()
        columns = {**keys, **{name: plain_list(column) for name, column in self.totals.items()}}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A spot level at which the re-priced net GEX changes sign."""

    price: float
    slope: float  # dollars of GEX per dollar of spot; above zero: positive gamma above the level
    structural: bool = True  # False: a ripple far from spot or too shallow to matter


@dataclass(frozen=True, slots=True)
class Flip:
    """Where net gamma changes sign, by re-pricing the whole chain at other spots."""

    price: float | None
    status: FlipStatus
    crossings: tuple[Crossing, ...] = ()
    reason: str | None = None  # a sentence, where price is None or the status needs a word


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Net GEX re-priced at other spots, sticky strike."""

    spots: Floats
    net_gex: Floats


@dataclass(frozen=True, slots=True)
class Wall:
    """The strike that dominates one side."""

    strike: float
    gex: float  # dollars per 1 %, of the wall's own side (or net, or count, for a variant)
    share: float  # of the side's total, 0…1
    margin: float  # lead over the runner-up as a share of the wall, 0…1


@dataclass(frozen=True, slots=True)
class Levels:
    """The prices a trader draws on the chart."""

    call_wall: Wall | None
    put_wall: Wall | None
    max_gamma: Wall | None  # strike of the largest |net GEX|, all expirations summed
    variants: dict[str, Wall | None] = field(default_factory=dict)  # call_wall_net, put_wall_oi …


@dataclass(frozen=True, slots=True)
class MaxPain:
    """The settlement price of one (root, expiration) at which option holders are paid least."""

    root: str
    expiration: date
    strike: float
    payout: float  # dollars paid out at that price
    open_interest: int


@dataclass(frozen=True, slots=True)
class ExpectedMove:
    """One standard deviation to one expiration, and the straddle that pays about 0.8 of it."""

    expiration: date
    sigma: float  # dollars; spot * atm_iv * sqrt(years)
    atm_iv: float
    straddle: float | None  # dollars, mid; about the mean absolute move, 0.8 sigma
    years: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the chain the numbers rest on."""

    contracts: int  # in the chain
    live: int  # not settled yet
    used: int  # live, with open interest and a usable gamma
    open_interest: int  # of live contracts
    open_interest_used: int
    pct: float  # 100 * open_interest_used / open_interest
    iv_sources: dict[str, int]  # api, mid, last, default, vendor …
    iv_failures: dict[str, int]  # by IvStatus label
    stale_s: float  # age of the youngest quote at `as_of`, seconds
    spot_age_s: float = 0.0  # how much older than `as_of` the spot is, seconds
    excluded_adjusted: int = 0  # contracts with a non-standard deliverable, never valued


@dataclass(frozen=True, slots=True)
class ForwardPoint:
    """The forward one (root, expiration) was priced on, and where it came from."""

    root: str
    expiration: date
    years: float
    forward: float
    rate: float
    source: str  # parity | carry (no usable pairs: spot * exp((r - q) T)) | chain (read back with the chain)
    pairs: int  # strikes that voted


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that ZeroGEX says of one chain at one instant."""

    underlying: str
    spot: float
    data_timestamp: datetime
    dealer_model: DealerModel
    greeks: str  # own | vendor
    rate: float | None  # the setting used; per year, continuous
    totals: Totals
    flip: Flip
    profile: Profile
    levels: Levels
    max_pain: tuple[MaxPain, ...]  # ascending expiration
    put_call_ratio_oi: float | None
    put_call_ratio_volume: float | None
    expected_move: ExpectedMove | None  # nearest live expiration
    coverage: Coverage
    by_strike: ExposureTable
    by_expiration: ExposureTable
    by_cell: ExposureTable  # strike x expiration
    forwards: tuple[ForwardPoint, ...]
    simulated: bool = False
    delayed: bool = False
    notes: tuple[str, ...] = ()  # sentences a person should read: fallbacks, exclusions

    @property
    def headline_max_pain(self) -> MaxPain | None:
        """Max pain of the nearest live expiration."""
        return self.max_pain[0] if self.max_pain else None


def plain_list(column: Floats | Ints | Bools | Texts) -> list[Any]:
    """An array as plain Python values, with None for NaN and the infinities."""
    if column.dtype.kind == "f":
        return [value if math.isfinite(value) else None for value in column.tolist()]
    return list(np.asarray(column).tolist())

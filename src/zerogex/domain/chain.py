"""Every contract of one underlying at one instant, as aligned columns.

A chain is a value: nothing in it changes.  It is read from a file, from the live columns in
memory, or from the database, and the same functions answer questions about all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerogex.domain.calendar import SECONDS_PER_YEAR, settlement
from zerogex.domain.contract import OptionContract, OptionKind, parse_symbol

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]
Texts = NDArray[np.object_]
Dates = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class OptionChain:
    """One instant of one underlying; all columns have one entry a contract.  NaN means "no value"."""

    underlying: str
    spot: float  # dollars or index points
    as_of: datetime  # UTC; the instant that years and Greeks are measured from

    symbol: Texts  # TradeStation's name: the key
    root: Texts
    expiration: Dates  # datetime64[D]
    settlement: Floats  # seconds since the epoch
    strike: Floats  # dollars
    is_call: Bools
    multiplier: Floats  # shares per contract

    bid: Floats  # dollars per share
    ask: Floats
    last: Floats
    volume: Ints  # contracts since the open, cumulative
    open_interest: Ints  # contracts, from the previous clearing

    iv: Floats  # per 1.00
    iv_source: Codes  # IvSource
    iv_status: Codes  # IvStatus
    delta: Floats  # shares per share
    gamma: Floats  # change of delta per dollar
    theta: Floats  # dollars per calendar day
    vega: Floats  # dollars per volatility point (0.01)
    forward: Floats  # of the contract's settlement, dollars; what iv and Greeks were computed on
    rate: Floats  # continuous, per year, to the contract's settlement

    event_time: Floats  # seconds since the epoch, when the market said it
    received_time: Floats  # seconds since the epoch, when we heard it

    spot_time: datetime | None = None  # when the spot was true; None: as_of
    simulated: bool = False
    delayed: bool = False

    def __post_init__(self) -> None:
        count = len(self.symbol)
        for name in COLUMNS:
            column = getattr(self, name)
            if column.shape != (count,):
                raise ValueError(f"column {name} has shape {column.shape}, expected ({count},)")

    def __len__(self) -> int:
        return len(self.symbol)

    @property
    def years(self) -> Floats:
        """Time to each settlement in years of 365 days, to the second; never floored, negative once settled."""
        return (self.settlement - self.as_of.timestamp()) / SECONDS_PER_YEAR

    @property
    def is_live(self) -> Bools:
        """Contracts whose settlement lies ahead."""
        return self.settlement > self.as_of.timestamp()

    @property
    def sign(self) -> Floats:
        """+1 for calls, -1 for puts."""
        return np.where(self.is_call, 1.0, -1.0)

    @property
    def mid(self) -> Floats:
        """Middle of two-sided, uncrossed quotes; NaN elsewhere."""
        with np.errstate(invalid="ignore"):
            return np.where((self.bid <= self.ask) & (self.ask > 0), 0.5 * (self.bid + self.ask), np.nan)

    def select(self, rows: Bools | Ints) -> OptionChain:
        """The same instant with only some contracts, by mask or by index."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def contract(self, row: int) -> OptionContract:
        """The contract of one row."""
        return parse_symbol(self.symbol[row])


_SCALARS = ("underlying", "spot", "as_of", "spot_time", "simulated", "delayed")
COLUMNS = tuple(field.name for field in fields(OptionChain) if field.name not in _SCALARS)
_FLOATS = ("bid", "ask", "last", "iv", "delta", "gamma", "theta", "vega", "forward", "rate")


def build_chain(
    underlying: str,
    spot: float,
    as_of: datetime,
    contracts: Sequence[OptionContract],
    *,
    spot_time: datetime | None = None,
    simulated: bool = False,
    delayed: bool = False,
    **columns: Any,
) -> OptionChain:
    """A chain from contracts and whatever columns are known; the others get NaN, zero or "not tried"."""
    count = len(contracts)
    now = as_of.astimezone(UTC).timestamp()
    known: dict[str, Any] = {
        "symbol": objects([c.symbol for c in contracts]),
        "root": objects([c.root for c in contracts]),
        "expiration": np.array([c.expiration for c in contracts], "datetime64[D]"),
        "settlement": np.array([settlement(c.root, c.expiration).timestamp() for c in contracts], float),
        "strike": np.array([float(c.strike) for c in contracts], float),
        "is_call": np.array([c.kind is OptionKind.CALL for c in contracts], bool),
        "multiplier": np.array([c.multiplier for c in contracts], float),
        "volume": np.zeros(count, np.int64),
        "open_interest": np.zeros(count, np.int64),
        "iv_source": np.zeros(count, np.int8),
        "iv_status": np.full(count, 9, np.int8),
        "event_time": np.full(count, now),
        "received_time": np.full(count, now),
        **{name: np.full(count, np.nan) for name in _FLOATS},
    }
    for name, column in columns.items():
        if name not in known:
            raise TypeError(f"an option chain has no column {name!r}")
        known[name] = np.asarray(column, dtype=known[name].dtype)
    return OptionChain(underlying, spot, as_of, **known, spot_time=spot_time, simulated=simulated, delayed=delayed)


def objects(values: Sequence[str]) -> Texts:
    """Strings as an object column; numpy's fixed-width text would cut and copy."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


def expirations(chain: OptionChain) -> list[date]:
    """The dates a chain has contracts for, ascending."""
    return list(np.unique(chain.expiration).tolist())

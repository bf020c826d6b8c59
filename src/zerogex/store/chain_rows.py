"""An option chain as rows of the database, and back.

What cannot be stored costs only itself: a row whose price, volume, time or name is impossible is
left out and counted; a derived number that is infinite becomes "no value".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerogex.domain.chain import Bools, OptionChain
from zerogex.store import binary_copy as wire

PRICE_MAX = 99_999_999.0  # NUMERIC(12,4) holds eight digits before the point
TIME_MIN, TIME_MAX = 0.0, 32_503_680_000.0  # 1970…3000 in Unix seconds
SYMBOL_WIDTH, ROOT_WIDTH = 32, 8

_FIELDS = {
    "symbol": wire.text(SYMBOL_WIDTH),
    "root": wire.text(ROOT_WIDTH),
    "expiration": wire.DATE,
    "strike": wire.FLOAT8,
    "is_call": wire.BOOL,
    "multiplier": wire.INT4,
    "settlement": wire.TIMESTAMPTZ,
    "bid": wire.FLOAT8,
    "ask": wire.FLOAT8,
    "last": wire.FLOAT8,
    "volume": wire.INT8,
    "open_interest": wire.INT8,
    "iv": wire.FLOAT8,
    "iv_source": wire.INT2,
    "iv_status": wire.INT2,
    "delta": wire.FLOAT8,
    "gamma": wire.FLOAT8,
    "theta": wire.FLOAT8,
    "vega": wire.FLOAT8,
    "forward": wire.FLOAT8,
    "rate": wire.FLOAT8,
    "event_time": wire.TIMESTAMPTZ,
    "received_time": wire.TIMESTAMPTZ,
}
_TEXTS = ("symbol", "root")
_TIMES = ("settlement", "event_time", "received_time")
_QUOTES = ("bid", "ask", "last")
_PRICES = ("strike", *_QUOTES)
_DERIVED = ("iv", "delta", "gamma", "theta", "vega", "forward", "rate")
_NEVER_NEGATIVE = ("iv", "forward")
LAYOUT = wire.Layout({**_FIELDS, **dict.fromkeys(_PRICES, wire.INT8)})  # as chains come back
STAGED = wire.Layout({**_FIELDS, **dict.fromkeys(_PRICES, wire.PRICE)})  # as they go in


@dataclass(frozen=True, slots=True, eq=False)
class ChainRows:
    """The storable rows of a chain as COPY bytes, ordered by symbol, each symbol once."""

    data: bytes
    count: int
    rejected: dict[str, int]  # reason → rows left out
    blanked: int  # derived numbers that became "no value"


@dataclass(frozen=True, slots=True)
class ChainHeader:
    """What a chain says once, rather than for each contract."""

    underlying: str
    as_of: datetime
    spot: float
    spot_time: datetime | None
    simulated: bool
    delayed: bool


def encode(chain: OptionChain) -> ChainRows:
    """Validate whole columns, drop impossible rows, keep the last of each symbol."""
    reasons = _impossible(chain)
    keep = ~np.logical_or.reduce(list(reasons.values())) if len(chain) else np.zeros(0, bool)
    rejected = {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    kept = np.flatnonzero(keep)
    # np.unique keeps the first of equals: turned round, that is the newest reading
    _, first = np.unique(chain.symbol[kept][::-1].astype(f"U{SYMBOL_WIDTH}"), return_index=True)
    rows = kept[::-1][first]
    if len(rows) < len(kept):
        rejected["duplicate"] = len(kept) - len(rows)
    columns: dict[str, NDArray[Any]] = {name: getattr(chain, name)[rows] for name in LAYOUT.names}
    blanked = 0
    for name in _DERIVED:
        column = columns[name]
        unusable = np.isinf(column) | (column < 0 if name in _NEVER_NEGATIVE else np.abs(column) > 1e300)
        blanked += int(unusable.sum())
        columns[name] = np.where(unusable, np.nan, column)
    for name in _TIMES:
        columns[name] = wire.timestamps(columns[name])
    for name in _PRICES:
        columns[name] = wire.prices(columns[name])
    columns["expiration"] = wire.dates(columns["expiration"])
    return ChainRows(STAGED.encode(columns), len(rows), rejected, blanked)


def decode(header: ChainHeader, records: bytes) -> OptionChain:
    """The chain of a header and its rows, ordered by expiration, root, strike and kind."""
    columns = LAYOUT.decode_records(records)
    order = np.lexsort((~columns["is_call"].astype(bool), columns["strike"], columns["root"], columns["expiration"]))
    columns = {name: column[order] for name, column in columns.items()}
    for name in _TEXTS:
        columns[name] = wire.texts(columns[name])
    for name in _TIMES:
        columns[name] = wire.unix_seconds(columns[name])
    for name in _PRICES:
        columns[name] = wire.prices_of(columns[name])
    columns["expiration"] = wire.days(columns["expiration"])
    columns["is_call"] = columns["is_call"].astype(bool)
    columns["multiplier"] = columns["multiplier"].astype(float)
    for name in ("iv_source", "iv_status"):
        columns[name] = columns[name].astype(np.int8)
    return OptionChain(
        header.underlying,
        header.spot,
        header.as_of,
        **columns,
        spot_time=header.spot_time,
        simulated=header.simulated,
        delayed=header.delayed,
    )


def header_of(chain: OptionChain) -> ChainHeader | None:
    """The header of a chain; None where its spot cannot be stored."""
    if not (np.isfinite(chain.spot) and chain.spot > 0):
        return None
    spot = float(chain.spot)
    return ChainHeader(chain.underlying, chain.as_of, spot, chain.spot_time, chain.simulated, chain.delayed)


def _impossible(chain: OptionChain) -> dict[str, Bools]:
    """Reason → rows that cannot be stored for it."""
    with np.errstate(invalid="ignore"):
        prices = np.zeros(len(chain), bool)
        for name in _QUOTES:
            column = getattr(chain, name)
            prices |= (column < 0) | (column > PRICE_MAX)  # NaN is "no quote" and passes; the infinities do not
        return {
            "symbol": ~_storable_texts(chain.symbol, SYMBOL_WIDTH) | ~_storable_texts(chain.root, ROOT_WIDTH),
            "strike": ~((chain.strike >= 0) & (chain.strike <= PRICE_MAX)),
            "price": prices,
            "count": (chain.volume < 0) | (chain.open_interest < 0),
            "multiplier": ~((chain.multiplier >= 1) & (chain.multiplier <= 1_000_000)),
            "time": ~np.logical_and.reduce([_storable_times(getattr(chain, name)) for name in _TIMES]),
            "iv_code": _outside(chain.iv_source, 4) | _outside(chain.iv_status, 9),
        }


def _outside(codes: NDArray[np.int8], largest: int) -> Bools:
    outside: Bools = (codes < 0) | (codes > largest)
    return outside


def _storable_times(seconds: NDArray[np.float64]) -> Bools:
    inside: Bools = (seconds > TIME_MIN) & (seconds < TIME_MAX)
    return inside


def _storable_texts(values: NDArray[np.object_], width: int) -> Bools:
    """Plain ASCII without control characters, not empty, not too long."""
    strings = values.tolist()
    everything = "".join(strings)
    if everything.isascii() and everything.isprintable() and all(0 < len(s) <= width for s in strings):
        return np.ones(len(strings), bool)
    return np.array([0 < len(s) <= width and s.isascii() and s.isprintable() and s.strip() == s for s in strings], bool)

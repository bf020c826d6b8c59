"""The option chain as it lives in memory: one row a contract, aligned columns, changed in place.

Messages merge into it field by field.  What a message does not say (None, NaN) wipes nothing,
and each field keeps the reading with the newest event time, so the order in which messages
of one moment arrive does not matter and hearing one twice changes nothing.

Volume is cumulative over the option day, which begins at 09:30 ET: within a day the largest
reading stands; at the turn of the day every row starts again from zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from zerogex.domain.calendar import is_session, previous_session, session_open, settlement, trading_date
from zerogex.domain.chain import Bools, Floats, Ints, OptionChain, Texts, objects
from zerogex.domain.contract import OptionContract, OptionKind, parse_symbol
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.domain.quote import OptionQuote

FIELDS = ("bid", "ask", "last", "open_interest", "iv", "delta", "gamma", "theta", "vega")
_BID, _ASK, _LAST, _OPEN_INTEREST, _IV = range(5)
ECHO_S = 120.0  # after 09:30 ET a vendor may still repeat yesterday's volume for this long
IV_STALE_S = 60.0  # a vendor's IV older than the price beside it by more than this is not its IV
_FIRST_CAPACITY = 256


@lru_cache(maxsize=65536)
def option_day(minute: int) -> float:
    """The last 09:30 ET of a session at or before a minute (both seconds since the epoch, UTC)."""
    instant = datetime.fromtimestamp(minute, UTC)
    day = trading_date(instant)
    if not is_session(day) or session_open(day) > instant:
        day = previous_session(day)
    return session_open(day).timestamp()


@dataclass(slots=True)
class Merged:
    """What became of the messages of one update."""

    merged: int = 0  # taken into a row
    unknown: int = 0  # of contracts nobody follows


class LiveChain:
    """The newest known state of every contract of one underlying.  Not thread safe: one task owns it."""

    def __init__(self, underlying: str) -> None:
        self.underlying = underlying
        self._contracts: list[OptionContract] = []
        self._row_of: dict[OptionContract, int] = {}
        self._row_of_object: dict[int, int] = {}  # id(contract) → row, for providers that share contract objects
        self._kept_objects: list[OptionContract] = []  # keeps those ids from being used again
        self._day = 0.0  # the option day that `volume` counts, seconds since the epoch of its 09:30 ET
        self._allocate(_FIRST_CAPACITY)

    # -- rows ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many contracts are followed."""
        return int(np.count_nonzero(self._followed[: len(self._contracts)]))

    @property
    def rows(self) -> int:
        """How many contracts memory holds, followed or not."""
        return len(self._contracts)

    @property
    def contracts(self) -> list[OptionContract]:
        """The followed contracts, in the order of a snapshot's rows."""
        return [self._contracts[row] for row in self._followed_rows()]

    def follow(self, contracts: Iterable[OptionContract]) -> list[OptionContract]:
        """Follow these and no others; returns those that are followed no longer.

        A contract new to memory gets an empty row.  One no longer followed is hidden, not
        forgotten, until `compact`: should spot swing back, its last state is still there.
        """
        wanted = set(contracts)
        gone = [contract for contract in self.contracts if contract not in wanted]
        rows = [self._row(contract) for contract in sorted(wanted)]
        before = self._followed.copy()
        self._followed[:] = False
        self._followed[rows] = True
        self._dirty |= ~before
        self._dirty &= self._followed
        return gone

    def compact(self) -> int:
        """Forget every row that is not followed; returns how many that were."""
        keep = self._followed_rows()
        removed = len(self._contracts) - len(keep)
        if not removed:
            return 0
        contracts = [self._contracts[row] for row in keep]
        old = self._columns()
        self._allocate(max(_FIRST_CAPACITY, len(keep)))
        for name, column in old.items():
            getattr(self, name)[..., : len(keep)] = column[..., keep]
        self._contracts = contracts
        self._row_of = {contract: row for row, contract in enumerate(contracts)}
        self._forget_objects()
        return removed

    def seed(self, chain: OptionChain) -> None:
        """Take over what the store last knew; the rows are hidden until `follow` names them."""
        if not len(chain):
            return
        contracts = [parse_symbol(symbol) for symbol in chain.symbol]
        rows = np.array([self._row(contract) for contract in contracts], np.int64)
        values = np.full((len(FIELDS), len(rows)), np.nan)
        values[_BID], values[_ASK], values[_LAST] = chain.bid, chain.ask, chain.last
        values[_OPEN_INTEREST] = np.where(chain.open_interest > 0, chain.open_interest, np.nan)
        values[_IV] = np.where(chain.iv_source == IvSource.API, chain.iv, np.nan)
        volume = chain.volume
        seconds = chain.event_time
        for day in np.unique([option_day(int(s) // 60 * 60) for s in seconds.tolist()]).tolist():
            this_day = np.array([option_day(int(s) // 60 * 60) == day for s in seconds.tolist()])
            self._merge_volume(rows[this_day], volume[this_day], seconds[this_day], day)
        self._merge_values(rows, values, seconds)
        self._stamp(rows, seconds, chain.received_time)

    def copy(self) -> LiveChain:
        """The same state, independent from now on."""
        twin = LiveChain.__new__(LiveChain)
        twin.underlying = self.underlying
        twin._contracts = list(self._contracts)
        twin._row_of = dict(self._row_of)
        twin._forget_objects()
        twin._day = self._day
        for name, column in self._columns().items():
            setattr(twin, name, column.copy())
        return twin

    # -- messages --------------------------------------------------------------------------------

    def update(self, quotes: Sequence[OptionQuote]) -> Merged:
        """Merge messages, in any order; those of unknown contracts are counted and left out."""
        rows = self._rows_of(quotes)
        unknown = int(np.count_nonzero(rows < 0))
        if unknown:
            known = np.flatnonzero(rows >= 0)
            quotes, rows = [quotes[i] for i in known.tolist()], rows[known]
        if not len(rows):
            return Merged(0, unknown)
        seconds = seconds_of([quote.event_time for quote in quotes])
        if len(seconds) > 1 and np.any(seconds[1:] < seconds[:-1]):
            order = np.argsort(seconds, kind="stable")
            quotes, rows, seconds = [quotes[i] for i in order.tolist()], rows[order], seconds[order]
        self._merge_values(rows, _values(quotes), seconds)
        self._merge_volumes(rows, quotes, seconds)
        self._stamp(rows, seconds, seconds_of([quote.received_time for quote in quotes]))
        return Merged(len(rows), unknown)

    def turn_day(self, instant: datetime) -> None:
        """Start the option day an instant lies in: volumes of an earlier day become zero."""
        self._turn_to(option_day(int(instant.timestamp()) // 60 * 60))

    def counts_day_of(self, instant: datetime) -> bool:
        """Whether volumes are those of the option day an instant lies in, or of a later one."""
        return option_day(int(instant.timestamp()) // 60 * 60) <= self._day

    # -- questions -------------------------------------------------------------------------------

    @property
    def dirty_count(self) -> int:
        """How many followed rows changed since `mark_clean`."""
        return int(np.count_nonzero(self._dirty[: len(self._contracts)]))

    def mark_clean(self) -> None:
        """Forget which rows changed."""
        self._dirty[:] = False

    def snapshot(
        self,
        as_of: datetime,
        spot: float,
        *,
        spot_time: datetime | None = None,
        settled_by: datetime | None = None,
        simulated: bool = False,
        delayed: bool = False,
    ) -> OptionChain:
        """The followed contracts as a value: raw quotes, no Greeks yet (`enrich` computes them).

        Left out are contracts settled at or before `settled_by` (None: at or before `as_of`) and those
        nothing was ever heard of.  A vendor's IV stands with source `api`, unless its quote is crossed
        or it is older than its price.
        """
        rows = self._known_rows(settled_by or as_of)
        values = self._values[:, rows]
        iv = np.where(self._vendor_iv_stands(rows), values[_IV], np.nan)
        has_iv = ~np.isnan(iv)
        vendor_greeks = {name: np.where(has_iv, values[FIELDS.index(name)], np.nan) for name in FIELDS[5:]}
        return OptionChain(
            self.underlying,
            spot,
            as_of,
            symbol=self._symbol[rows],
            root=self._root[rows],
            expiration=self._expiration[rows],
            settlement=self._settlement[rows],
            strike=self._strike[rows],
            is_call=self._is_call[rows],
            multiplier=self._multiplier[rows],
            bid=values[_BID],
            ask=values[_ASK],
            last=values[_LAST],
            volume=self._volume[rows],
            open_interest=np.nan_to_num(values[_OPEN_INTEREST]).astype(np.int64),
            iv=iv,
            iv_source=np.where(has_iv, IvSource.API, IvSource.NONE).astype(np.int8),
            iv_status=np.full(len(rows), IvStatus.NOT_TRIED, np.int8),
            **vendor_greeks,
            forward=np.full(len(rows), np.nan),
            rate=np.full(len(rows), np.nan),
            event_time=self._event_time[rows],
            received_time=self._received_time[rows],
            spot_time=spot_time,
            simulated=simulated,
            delayed=delayed,
        )

    def dirty(self, as_of: datetime) -> Bools:
        """The rows of `snapshot(as_of, …)` that changed since `mark_clean`."""
        return self._dirty[self._known_rows(as_of)]

    def quiet(self, now: datetime, before: datetime) -> list[tuple[OptionContract, float]]:
        """Followed contracts that live and were last heard of before an instant, with when that was (0: never)."""
        rows = self._followed_rows()
        heard = self._event_time[rows]
        rows = rows[(heard < before.timestamp()) & (self._settlement[rows] > now.timestamp())]
        return [(self._contracts[row], float(self._event_time[row])) for row in rows]

    def heard_at(self, contract: OptionContract) -> float:
        """When a contract was last heard of, seconds since the epoch; 0 for never, or for one nobody follows."""
        row = self._row_of.get(contract)
        return 0.0 if row is None else float(self._event_time[row])

    # -- inside ----------------------------------------------------------------------------------

    def _followed_rows(self) -> Ints:
        return np.flatnonzero(self._followed[: len(self._contracts)])

    def _known_rows(self, instant: datetime) -> Ints:
        """Followed contracts that were heard of and settle after an instant."""
        rows = self._followed_rows()
        return rows[(self._event_time[rows] > 0) & (self._settlement[rows] > instant.timestamp())]

    def _vendor_iv_stands(self, rows: Ints) -> Bools:
        times = self._times[:, rows]
        priced = np.maximum(times[_BID], times[_ASK])
        with np.errstate(invalid="ignore"):
            crossed = self._values[_BID, rows] > self._values[_ASK, rows]
            return ~crossed & ~(times[_IV] < priced - IV_STALE_S)

    def _merge_values(self, rows: Ints, values: Floats, seconds: Floats) -> None:
        """Each field of each row takes the reading with the newest event time; `seconds` ascend."""
        times = self._times[:, rows]
        taken = ~np.isnan(values) & (seconds >= times)
        news = taken & ((seconds > times) | (values != self._values[:, rows]))
        self._dirty[rows[news.any(axis=0)]] = True
        fields, readings = np.nonzero(taken)  # ascending readings a field: of equal rows the last one stays
        targets = rows[readings]
        self._values[fields, targets] = values[fields, readings]
        self._times[fields, targets] = seconds[readings]

    def _merge_volumes(self, rows: Ints, quotes: Sequence[OptionQuote], seconds: Floats) -> None:
        volume = np.array([-1 if quote.volume is None else quote.volume for quote in quotes], np.int64)
        first, last = (option_day(int(s) // 60 * 60) for s in (seconds[0], seconds[-1]))
        if first == last:
            self._merge_volume(rows, volume, seconds, last)
            return
        days = np.array([option_day(int(s) // 60 * 60) for s in seconds.tolist()])
        for day in np.unique(days).tolist():
            self._merge_volume(rows[days == day], volume[days == day], seconds[days == day], day)

    def _merge_volume(self, rows: Ints, volume: Ints, seconds: Floats, day: float) -> None:
        """The largest reading of the day stands; an echo of yesterday's right after the open is none."""
        if day > self._day:
            self._turn_to(day)
        elif day < self._day:
            self._prior_volume[rows] = np.maximum(self._prior_volume[rows], volume)
            return
        if np.any(echo := seconds < day + ECHO_S):
            volume = np.where(echo & (volume == self._prior_volume[rows]), -1, volume)
        self._dirty[rows[volume > self._volume[rows]]] = True
        np.maximum.at(self._volume, rows, volume)

    def _turn_to(self, day: float) -> None:
        if day <= self._day:
            return
        self._dirty |= (self._volume > 0) & self._followed
        self._prior_volume[:] = self._volume
        self._volume[:] = 0
        self._day = day

    def _stamp(self, rows: Ints, seconds: Floats, received: Floats) -> None:
        self._dirty[rows[seconds > self._event_time[rows]]] = True
        np.maximum.at(self._event_time, rows, seconds)
        np.maximum.at(self._received_time, rows, received)
        self._dirty &= self._followed

    def _rows_of(self, quotes: Sequence[OptionQuote]) -> Ints:
        find = self._row_of_object.get
        rows = [find(id(quote.contract), -1) for quote in quotes]
        if -1 in rows:
            for place, row in enumerate(rows):
                if row < 0:
                    rows[place] = self._recognise(quotes[place].contract)
        return np.array(rows, np.int64)

    def _recognise(self, contract: OptionContract) -> int:
        """The row of a contract object seen for the first time, -1 where nobody follows it."""
        row = self._row_of.get(contract, -1)
        if row >= 0:
            if len(self._kept_objects) > 4 * max(len(self._contracts), _FIRST_CAPACITY):
                self._forget_objects()  # a provider that makes new objects for each message
            self._row_of_object[id(contract)] = row
            self._kept_objects.append(contract)
        return row

    def _forget_objects(self) -> None:
        self._row_of_object = {}
        self._kept_objects = []

    def _row(self, contract: OptionContract) -> int:
        """The row of a contract, made if need be."""
        known = self._row_of.get(contract)
        if known is not None:
            return known
        row = len(self._contracts)
        if row == len(self._followed):
            old = self._columns()
            self._allocate(2 * row)
            for name, column in old.items():
                getattr(self, name)[..., :row] = column
        self._contracts.append(contract)
        self._row_of[contract] = row
        self._symbol[row] = contract.symbol
        self._root[row] = contract.root
        self._expiration[row] = contract.expiration
        self._settlement[row] = settlement(contract.root, contract.expiration).timestamp()
        self._strike[row] = float(contract.strike)
        self._is_call[row] = contract.kind is OptionKind.CALL
        self._multiplier[row] = contract.multiplier
        return row

    def _allocate(self, capacity: int) -> None:
        self._symbol: Texts = objects([""] * capacity)
        self._root: Texts = objects([""] * capacity)
        self._expiration = np.zeros(capacity, "datetime64[D]")
        self._settlement = np.zeros(capacity)
        self._strike = np.zeros(capacity)
        self._is_call = np.zeros(capacity, bool)
        self._multiplier = np.full(capacity, 100.0)
        self._values: Floats = np.full((len(FIELDS), capacity), np.nan)
        self._times: Floats = np.full((len(FIELDS), capacity), -np.inf)
        self._volume: Ints = np.zeros(capacity, np.int64)
        self._prior_volume: Ints = np.zeros(capacity, np.int64)
        self._event_time = np.zeros(capacity)
        self._received_time = np.zeros(capacity)
        self._followed: Bools = np.zeros(capacity, bool)
        self._dirty: Bools = np.zeros(capacity, bool)

    def _columns(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}


def _values(quotes: Sequence[OptionQuote]) -> Floats:
    """One row a field, one column a message; NaN where nothing usable is said."""
    values = np.array(
        [
            [q.bid for q in quotes],
            [q.ask for q in quotes],
            [q.last for q in quotes],
            [q.open_interest for q in quotes],
            [q.iv for q in quotes],
            [q.delta for q in quotes],
            [q.gamma for q in quotes],
            [q.theta for q in quotes],
            [q.vega for q in quotes],
        ],
        float,
    )
    # Deltas carry an open interest of 0 and last of 0 for "nothing new": tradestation-v3.md §3.2.
    for field in (_OPEN_INTEREST, _LAST):
        values[field, values[field] <= 0] = np.nan
    return values


def seconds_of(instants: Sequence[datetime]) -> Floats:
    """Seconds since the epoch; the messages of one network read share one instant."""
    known = {instant: instant.timestamp() for instant in set(instants)}
    return np.array([known[instant] for instant in instants])

"""A past day of options, replayed from the trades of each contract through the live pipeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from zerogex.domain.bar import OptionBar
from zerogex.domain.calendar import session_open
from zerogex.domain.contract import OptionContract
from zerogex.domain.quote import OptionQuote
from zerogex.engines.outbox import batch_id
from zerogex.pipeline.bar_book import BarBook
from zerogex.pipeline.enrich import EnrichConfig, enrich
from zerogex.pipeline.live_chain import LiveChain
from zerogex.pipeline.validate import Validator
from zerogex.ports import MinuteBatch

_BAR_S = 60


class OptionHistory:
    """The trades of many contracts in little memory: columns of end, close, volume and open interest a contract."""

    def __init__(self) -> None:
        self._columns: dict[OptionContract, NDArray[np.float64]] = {}
        self._received: dict[OptionContract, datetime] = {}

    def add(self, contract: OptionContract, bars: Sequence[OptionBar]) -> None:
        """Take a contract's bars, ascending; bars that still form are left out."""
        rows = [
            (bar.start.timestamp() + _BAR_S, bar.close, bar.volume, _number(bar.open_interest))
            for bar in bars
            if bar.closed
        ]
        if rows:
            self._columns[contract] = np.array(rows, float)
            self._received[contract] = bars[-1].received_time

    def quotes(
        self, contracts: Sequence[OptionContract], start: datetime, end: datetime
    ) -> dict[int, list[OptionQuote]]:
        """What was said at each minute's end in (start, end]: last price, volume since the start, open interest."""
        found: dict[int, list[OptionQuote]] = defaultdict(list)
        low, high = start.timestamp(), end.timestamp()
        for contract in contracts:
            columns = self._columns.get(contract)
            if columns is None:
                continue
            first, last = np.searchsorted(columns[:, 0], (low, high), side="right")
            of_day = columns[first:last]
            total = np.cumsum(of_day[:, 2])
            for (second, close, _, held), volume in zip(of_day.tolist(), total.tolist(), strict=True):
                said = datetime.fromtimestamp(second, start.tzinfo)
                open_interest = None if np.isnan(held) else int(held)
                found[int(second)].append(
                    OptionQuote(contract, None, None, close, int(volume), open_interest, said, self._received[contract])
                )
        return found


@dataclass(slots=True)
class DayReplay:
    """One session of one underlying whose option minutes are missing, all or some."""

    underlying: str
    day: date
    minutes: Sequence[datetime]  # every minute of the session that is over, ascending
    missing: frozenset[datetime]  # those to write
    book: BarBook  # of the underlying's day
    bucket_seconds: int = 60
    simulated: bool = False
    empty: int = field(default=0, init=False)  # missing minutes before the first trade, or without a price

    @property
    def price_range(self) -> tuple[float, float] | None:
        """The lowest and highest close of the day's minutes; None where no price is known."""
        prices = [spot for minute in self.minutes if (spot := self.book.spot_at(self._end(minute))[0]) is not None]
        return (min(prices), max(prices)) if prices else None

    def batches(
        self, history: OptionHistory, contracts: Sequence[OptionContract], config: EnrichConfig
    ) -> Iterator[MinuteBatch]:
        """The missing minutes, ascending, valued at their own spot and time."""
        live, validator = LiveChain(self.underlying), Validator(self.underlying)
        live.follow(contracts)
        last = max(self.missing)
        said = history.quotes(contracts, session_open(self.day), self._end(last))
        seconds = sorted(said)
        heard = 0
        for minute in self.minutes:
            if minute > last:
                return
            end = self._end(minute)
            while heard < len(seconds) and seconds[heard] <= end.timestamp():
                live.update(validator.option_quotes(said[seconds[heard]], end))
                heard += 1
            if minute not in self.missing:
                continue
            spot, spot_time = self.book.spot_at(end)
            if spot is None or not len(live):
                self.empty += 1
                continue
            chain = live.snapshot(end, spot, spot_time=spot_time, settled_by=minute, simulated=self.simulated)
            if not len(chain):
                self.empty += 1
                continue
            valued = enrich(chain, config).chain
            yield MinuteBatch(batch_id(minute), self.underlying, minute, valued, (), trades_only=True)

    def _end(self, minute: datetime) -> datetime:
        return minute + timedelta(seconds=self.bucket_seconds)


def _number(value: int | None) -> float:
    return np.nan if value is None else value

"""The bars of one underlying as they are known: readings by minute, volumes summed over the day.

A vendor says a minute many times: forming, closed, replayed after a reconnect, corrected.  The
book keeps one reading a minute, chosen by what the reading is and not by when it was heard,
so that any order and any repetition leave the same book.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from zerogex.domain.bar import MinuteBar, UnderlyingBar
from zerogex.domain.calendar import new_york, trading_date

_BAR_S = 60
_DAYS_KEPT = 2
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Day:
    """One New York date."""

    starts: list[int] = field(default_factory=list)  # ascending, seconds since the epoch
    up: list[int] = field(default_factory=list)  # cumulated, aligned with `starts`
    down: list[int] = field(default_factory=list)
    summed: int = 0  # how many entries of `up` and `down` are up to date


class BarBook:
    """Knows the minutes of one symbol; hands out those that are new or changed."""

    def __init__(self, symbol: str, bucket_seconds: int = _BAR_S) -> None:
        self.symbol = symbol
        self.bucket = bucket_seconds
        self._readings: dict[int, UnderlyingBar] = {}
        self._days: dict[date, _Day] = {}
        self._handed: dict[int, MinuteBar] = {}  # by bucket start, as last handed out or stored
        self._changed: set[int] = set()  # bucket starts that may differ from `_handed`
        self._noted: tuple[float, datetime] | None = None

    def anchor(self, stored: Iterable[MinuteBar]) -> None:
        """Take over minutes that are stored already: their volumes continue, and only changes are handed out."""
        earlier: MinuteBar | None = None
        for bar in sorted(stored, key=lambda b: b.timestamp):
            same_day = earlier is not None and trading_date(earlier.timestamp) == trading_date(bar.timestamp)
            up, down = (earlier.up_volume, earlier.down_volume) if earlier and same_day else (0, 0)
            reading = UnderlyingBar(
                self.symbol, bar.timestamp, bar.open, bar.high, bar.low, bar.close,
                max(bar.up_volume - up, 0), max(bar.down_volume - down, 0), _NEVER, closed=False,
            )  # fmt: skip
            self._put(int(bar.timestamp.timestamp()), reading)
            earlier = bar
        for bucket in list(self._changed):
            if (minute := self._minute(bucket)) is not None:
                self._handed[bucket] = minute
        self._changed.clear()

    def add(self, bar: UnderlyingBar) -> bool:
        """Take a reading; whether it says anything new."""
        start = int(bar.start.timestamp()) // _BAR_S * _BAR_S
        known = self._readings.get(start)
        if known is not None and _weight(bar) <= _weight(known):
            return False
        self._put(start, bar)
        return known is None or _said(known) != _said(bar)

    def note_price(self, price: float, at: datetime) -> None:
        """A price heard outside of any bar (a quote snapshot): the spot until a bar says more."""
        if self._noted is None or at >= self._noted[1]:
            self._noted = (price, at)

    def spot_at(self, end: datetime) -> tuple[float | None, datetime | None]:
        """The price known at the end of a bucket, and since when it is old (None: it is of that moment)."""
        last = self._last_before(int(end.timestamp()))
        noted = self._noted if self._noted and self._noted[1] < end else None
        if last is None:
            return noted if noted else (None, None)
        reading = self._readings[last]
        said_at = datetime.fromtimestamp(last + _BAR_S, UTC)
        if said_at >= end:
            return _stored(reading.close), None
        return noted if noted and noted[1] > said_at else (_stored(reading.close), said_at)

    def spot_now(self) -> tuple[float | None, datetime | None]:
        """The newest price, and when it was heard."""
        last = self._last_before(None)
        if last is None:
            return self._noted or (None, None)
        reading = self._readings[last]
        heard = reading.received_time
        if not reading.realtime:  # replayed history is as old as its minute
            heard = min(heard, datetime.fromtimestamp(last + _BAR_S, UTC))
        if self._noted and self._noted[1] > heard:
            return self._noted
        return _stored(reading.close), heard

    def changes(self, end: datetime) -> tuple[MinuteBar, ...]:
        """Buckets over by `end` that differ from what was handed out, ascending."""
        limit = int(end.timestamp()) - self.bucket
        out = []
        for bucket in sorted(start for start in self._changed if start <= limit):
            minute = self._minute(bucket)
            if minute is not None and minute != self._handed.get(bucket):
                out.append(minute)
        return tuple(out)

    def has(self, minute: datetime) -> bool:
        """Whether any reading of a minute is known."""
        return int(minute.timestamp()) in self._readings

    def is_settled(self, minute: datetime) -> bool:
        """Whether the closing reading of a minute is known."""
        reading = self._readings.get(int(minute.timestamp()))
        return reading is not None and reading.closed

    def handed(self, bucket: int) -> MinuteBar | None:
        """What was last handed out for a bucket (its start in seconds since the epoch)."""
        return self._handed.get(bucket)

    def mark(self, minutes: Sequence[MinuteBar]) -> None:
        """These were handed out; a bucket that changed while they were on their way stays changed."""
        for minute in minutes:
            bucket = int(minute.timestamp.timestamp())
            self._handed[bucket] = minute
            if self._minute(bucket) == minute:
                self._changed.discard(bucket)

    def _put(self, start: int, bar: UnderlyingBar) -> None:
        known = self._readings.get(start)
        self._readings[start] = bar
        day = self._day(start)
        place = bisect_left(day.starts, start)
        if known is None:
            insort(day.starts, start)
        self._changed.add(start // self.bucket * self.bucket)
        moved = known is None or (known.up_volume, known.down_volume) != (bar.up_volume, bar.down_volume)
        if moved:
            day.summed = min(day.summed, place)
            # Every later minute of the day sums over this one.
            self._changed.update(s // self.bucket * self.bucket for s in day.starts[place:])

    def _day(self, start: int) -> _Day:
        key = trading_date(datetime.fromtimestamp(start, UTC))
        day = self._days.get(key)
        if day is None:
            day = self._days[key] = _Day()
            for old in sorted(self._days)[:-_DAYS_KEPT]:
                self._forget(old)
        return day

    def _forget(self, key: date) -> None:
        for start in self._days.pop(key).starts:
            self._readings.pop(start, None)
            bucket = start // self.bucket * self.bucket
            self._handed.pop(bucket, None)
            self._changed.discard(bucket)

    def _sum(self, day: _Day) -> None:
        del day.up[day.summed :], day.down[day.summed :]
        for start in day.starts[day.summed :]:
            reading = self._readings[start]
            day.up.append((day.up[-1] if day.up else 0) + reading.up_volume)
            day.down.append((day.down[-1] if day.down else 0) + reading.down_volume)
        day.summed = len(day.starts)

    def _minute(self, bucket: int) -> MinuteBar | None:
        """A bucket from its readings: open of the first, close of the last, volumes since the day began."""
        timestamp = datetime.fromtimestamp(bucket, UTC)
        day = self._days.get(trading_date(timestamp))
        if day is None:
            return None
        first, last = bisect_left(day.starts, bucket), bisect_left(day.starts, bucket + self.bucket)
        if first == last:
            return None
        if day.summed < last:
            self._sum(day)
        readings = [self._readings[start] for start in day.starts[first:last]]
        return MinuteBar(
            self.symbol,
            timestamp,
            _stored(readings[0].open),
            _stored(max(r.high for r in readings)),
            _stored(min(r.low for r in readings)),
            _stored(readings[-1].close),
            day.up[last - 1],
            day.down[last - 1],
        )

    def _last_before(self, second: int | None) -> int | None:
        """The start of the newest minute, or of the newest one that began before a second."""
        for key in sorted(self._days, reverse=True):
            starts = self._days[key].starts
            place = len(starts) if second is None else bisect_left(starts, second)
            if place:
                return starts[place - 1]
        return None


def day_start(instant: datetime) -> datetime:
    """Midnight in New York of an instant's trading day, UTC: where cumulative volumes begin."""
    return new_york(trading_date(instant), time(0))


def _stored(price: float) -> float:
    """A price to the four decimals it is stored with: a stored minute's close and its chain's spot are one number."""
    return round(price, 4)


def _said(bar: UnderlyingBar) -> tuple[float, float, float, float, int, int]:
    return bar.open, bar.high, bar.low, bar.close, bar.up_volume, bar.down_volume


def _weight(bar: UnderlyingBar) -> tuple[object, ...]:
    """Which of two readings of one minute stands: a closed one; the later of the closed; the fuller of the forming."""
    volume = bar.up_volume + bar.down_volume
    if bar.closed:
        return (1, bar.received_time, volume, _said(bar))
    return (0, volume, bar.received_time, _said(bar))

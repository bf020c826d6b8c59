"""Minutes in event time: what of the market's stream becomes history.

A bucket (a minute, unless AGGREGATION_BUCKET_SECONDS says otherwise) is labelled by its start.
It **ends** when an event or the clock passes its end: the live chain is then copied, only messages
stamped before the end still reach that copy, and the bucket is handed out at once, so that a
process killed a moment later has lost nothing.  It **closes** when the watermark (the newest time
heard of) is a grace beyond the end; if it changed within the grace, it is handed out again.  What
arrives later still is counted as late and merged; what changes by it comes out as a revision.

The order of messages within the grace does not matter, and hearing one twice changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from zerogex.domain.bar import MinuteBar, UnderlyingBar
from zerogex.domain.calendar import Session, session_at
from zerogex.domain.chain import Floats, OptionChain
from zerogex.domain.gap import DataGap
from zerogex.domain.quote import OptionQuote
from zerogex.errors import SettingsError
from zerogex.pipeline.bar_book import BarBook
from zerogex.pipeline.live_chain import LiveChain, seconds_of

FILL_MAX = 15  # buckets; a longer silence of events and clock is a gap, not a row of copies
_RETAINED = 2  # closed buckets that late quotes can still revise


@dataclass(frozen=True, slots=True, eq=False)
class ClosedMinute:
    """What one bucket leaves behind, before IV and Greeks.

    `chain` is None where the bucket has no options, or where it left memory: with `reprice`
    its stored rows then deserve Greeks at a corrected close (`spot`).
    """

    timestamp: datetime  # start of the bucket, UTC
    end: datetime  # the instant its Greeks are measured from
    chain: OptionChain | None
    bars: tuple[MinuteBar, ...]  # of this bucket, and of earlier ones that changed since they were handed out
    late: int = 0  # events that came after an earlier closing of this bucket
    again: bool = False  # handed out before, within its grace; this reading replaces it
    revision: bool = False  # handed out before, and closed; this reading replaces it
    reprice: bool = False
    spot: float | None = None
    gaps: tuple[DataGap, ...] = ()  # what is known to be missing, declared with this bucket


@dataclass(slots=True)
class _Bucket:
    """A bucket that ended."""

    chain: LiveChain
    touched: bool  # an option said something in it
    shared: bool = False  # the copy belongs to several buckets of silence
    late: int = 0
    changed: bool = True  # since it was last handed out
    handed: bool = False
    spot: float | None = None  # the close its chain was last handed out with


@dataclass(slots=True)
class Counts:
    """What the builder did, for the log and the metrics."""

    bars: int = 0
    quotes: int = 0
    late: int = 0  # merged into a bucket that had closed
    too_late: int = 0  # merged into the live chain only: their bucket left memory
    unknown: int = 0  # of contracts that are not followed
    gaps: int = 0  # buckets not written because neither event nor clock was heard in them


def check_bucket(seconds: int) -> int:
    """A bucket length that divides the hour into whole minutes, or a minute into whole parts.

    Raises SettingsError otherwise.
    """
    fits = seconds > 0 and (60 % seconds == 0 if seconds < 60 else seconds % 60 == 0 and 3600 % seconds == 0)
    if not fits:
        raise SettingsError(
            f"AGGREGATION_BUCKET_SECONDS is {seconds}; expected a part of a minute (15, 30) "
            "or whole minutes that divide the hour (60, 300, 900)"
        )
    return seconds


class MinuteBuilder:
    """Builds the buckets of one underlying: feed it, `advance` it, and take what closed."""

    def __init__(self, live: LiveChain, *, bucket_seconds: int = 60, grace_s: float = 2.0) -> None:
        self.live = live
        self.bucket = check_bucket(bucket_seconds)
        self.grace_s = grace_s
        self.book = BarBook(live.underlying, max(self.bucket, 60))
        self.counts = Counts()
        self.simulated = False
        self.delayed = False
        self._open: int | None = None  # start of the open bucket, seconds since the epoch
        self._first = 0  # start of the first bucket of this life
        self._touched = False
        self._watermark = float("-inf")
        self._ended: OrderedDict[int, _Bucket] = OrderedDict()
        self._closed: OrderedDict[int, _Bucket] = OrderedDict()
        self._revised: set[int] = set()

    # -- events ----------------------------------------------------------------------------------

    def start(self, now: datetime) -> None:
        """Open the bucket of this instant; no options are written for any before it."""
        self._first = self._open = self._bucket_of(now.timestamp())
        self._watermark = now.timestamp()
        self.live.turn_day(now)

    def add_bar(self, bar: UnderlyingBar) -> None:
        """A reading of the underlying's bar: forming, closed, replayed or corrected."""
        self.counts.bars += 1
        start = bar.start.timestamp()
        if self.book.add(bar) and self._first <= self._bucket_of(start) < self._next_to_close():
            self.counts.late += 1
            if (bucket := self._closed.get(self._bucket_of(start))) is not None:
                bucket.late += 1
        # A forming bar proves that its minute has begun, a closed one that it is over.
        self._hear(start + 60 if bar.closed else start)

    def add_quotes(self, quotes: Sequence[OptionQuote]) -> None:
        """Option messages, each merged into the buckets its event time belongs to."""
        if not quotes:
            return
        self.counts.quotes += len(quotes)
        if self._open is None:
            self.counts.unknown += self.live.update(quotes).unknown
            return
        seconds = seconds_of([quote.event_time for quote in quotes])
        newest = float(seconds.max())
        while newest >= (end := self._open + self.bucket):
            within = np.flatnonzero(seconds < end)
            self._merge([quotes[i] for i in within.tolist()], seconds[within])
            beyond = np.flatnonzero(seconds >= end)
            quotes, seconds = [quotes[i] for i in beyond.tolist()], seconds[beyond]
            self._end_until(float(seconds.min()))
        self._merge(quotes, seconds)
        self._watermark = max(self._watermark, newest)

    def advance(self, now: datetime) -> list[ClosedMinute]:
        """Tell the time; returns what ended, what closed and what was revised by it, in order."""
        if self._open is None:
            self.start(now)
        self._hear(now.timestamp())
        out = self._revisions()
        for start, bucket in list(self._ended.items()):
            closes = start + self.bucket + self.grace_s <= self._watermark
            if closes or not bucket.handed:
                out += self._hand_out(start, bucket)
            if closes:
                self._closed[start] = self._ended.pop(start)
        while len(self._closed) > _RETAINED:
            self._revised.discard(self._closed.popitem(last=False)[0])
        return out

    def drain(self, now: datetime) -> list[ClosedMinute]:
        """Everything that ended, closed or not, and the open bucket as it stands; feed it nothing afterwards."""
        out = self.advance(now)
        for start, bucket in self._ended.items():
            out += self._hand_out(start, bucket)
        return out + self.open_minute()

    def open_minute(self) -> list[ClosedMinute]:
        """The open bucket as it stands, should the process end here; it comes out again when it closes."""
        if self._open is None:
            return []
        return self._hand_out(self._open, _Bucket(self.live, self._touched))

    # -- inside ----------------------------------------------------------------------------------

    def _bucket_of(self, second: float) -> int:
        return int(second // self.bucket) * self.bucket

    def _next_to_close(self) -> int:
        """The start of the oldest bucket that has not closed."""
        return next(iter(self._ended), self._open or 0)

    def _hear(self, second: float) -> None:
        self._end_until(second)
        self._watermark = max(self._watermark, second)

    def _end_until(self, second: float) -> None:
        """End every bucket that is over at a second of event time."""
        if self._open is None or second < self._open + self.bucket:
            return
        silent = (self._bucket_of(second) - self._open) // self.bucket
        frozen = self.live.copy()
        if silent > FILL_MAX:
            self.counts.gaps += silent - self._touched
            if self._touched:
                self._end_one(frozen, shared=False)
            self._open = self._bucket_of(second)
        while self._open + self.bucket <= second:
            if silent > 1 and not frozen.counts_day_of(_utc(self._open)):
                frozen = frozen.copy()  # the buckets before the turn keep the volumes of their own day
            self._end_one(frozen, shared=silent > 1)
        self.live.turn_day(_utc(self._open))

    def _end_one(self, chain: LiveChain, *, shared: bool) -> None:
        assert self._open is not None
        chain.turn_day(_utc(self._open))
        self._ended[self._open] = _Bucket(chain, self._touched, shared)
        self._open += self.bucket
        self._touched = False

    def _merge(self, quotes: Sequence[OptionQuote], seconds: Floats) -> None:
        """Messages stamped before the open bucket's end: to the live chain, and to the copies they precede."""
        if not len(quotes):
            return
        merged = self.live.update(quotes)
        self.counts.unknown += merged.unknown
        assert self._open is not None
        late = np.flatnonzero(seconds < self._open)
        self._touched |= len(late) < len(quotes) and merged.merged > 0
        if len(late):
            self._merge_late([quotes[i] for i in late.tolist()], seconds[late])

    def _merge_late(self, quotes: list[OptionQuote], seconds: Floats) -> None:
        """Messages of buckets that ended: every copy from theirs on takes them."""
        known = (*self._closed.items(), *self._ended.items())
        for start, bucket in known:
            seen = np.flatnonzero(seconds < start + self.bucket)
            if not len(seen):
                continue
            if bucket.shared:
                bucket.chain, bucket.shared = bucket.chain.copy(), False
            bucket.chain.mark_clean()
            bucket.chain.update([quotes[i] for i in seen.tolist()])
            own = int(np.count_nonzero(seconds[seen] >= start))
            bucket.touched |= own > 0
            bucket.changed |= bucket.chain.dirty_count > 0
            if start in self._closed and bucket.chain.dirty_count:
                bucket.late += own
                self.counts.late += own
                self._revised.add(start)
        oldest = known[0][0] if known else self._first
        self.counts.too_late += int(np.count_nonzero(seconds < oldest))

    def _hand_out(self, start: int, bucket: _Bucket, *, revision: bool = False) -> list[ClosedMinute]:
        """What is new of a bucket; nothing where it has neither bar nor options worth a row."""
        timestamp, end = _utc(start), _utc(start + self.bucket)
        own = start - self.book.bucket
        bars = tuple(bar for bar in self.book.changes(end) if bar.timestamp.timestamp() > own)
        self.book.mark(bars)
        spot, spot_time = self.book.spot_at(end)
        stored = bucket.touched or session_at(timestamp) is Session.REGULAR
        chain = None
        if spot is not None and stored and len(bucket.chain) and (bucket.changed or spot != bucket.spot):
            chain = bucket.chain.snapshot(
                end, spot, spot_time=spot_time, settled_by=timestamp, simulated=self.simulated, delayed=self.delayed
            )
            chain, bucket.spot = chain if len(chain) else None, spot
        again = bucket.handed and not revision
        bucket.handed, bucket.changed = True, False
        if not bars and chain is None:
            return []
        return [ClosedMinute(timestamp, end, chain, bars, bucket.late, again, revision, spot=spot)]

    def _revisions(self) -> list[ClosedMinute]:
        """What changed after it closed: by late quotes, or by a late or corrected bar."""
        limit = self._next_to_close()
        bars = self.book.changes(_utc(limit))
        self._revised |= {
            bucket
            for bar in bars
            if self._first <= (bucket := self._bucket_of(bar.timestamp.timestamp())) < limit
            and self._close_moved(bucket, bar)
        }
        out = []
        for start in sorted(self._revised & self._closed.keys()):  # options and bar together
            out += self._hand_out(start, self._closed[start], revision=True)
        bars = self.book.changes(_utc(limit))
        self.book.mark(bars)
        if bars:
            out.append(ClosedMinute(bars[0].timestamp, bars[0].timestamp, None, bars, revision=True))
        for start in sorted(self._revised - self._closed.keys()):
            end = _utc(start + self.bucket)
            spot, _ = self.book.spot_at(end)
            out.append(ClosedMinute(_utc(start), end, None, (), revision=True, reprice=True, spot=spot))
        self._revised.clear()
        return out

    def _close_moved(self, start: int, bar: MinuteBar) -> bool:
        """Whether a bucket's options were handed out with another spot than its bar now closes at."""
        bucket = self._closed.get(start)
        if bucket is not None:
            return bucket.spot is not None and bucket.spot != bar.close
        before = self.book.handed(start)
        return before is None or before.close != bar.close


def _utc(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)

"""The messages of one bar stream become our bars.  Pure.

A stream begins with history, then sends the forming bar again and again, then once as closed.
Each reopening replays old bars, so a bar proves the feed alive only if it is of this hour and new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from zerogex.domain.bar import UnderlyingBar
from zerogex.errors import BadPayload
from zerogex.providers.tradestation import parse, wire

MOST_BARS_BACK = 2000  # two days of minutes; a longer gap is the backfill's business
_FRESH = timedelta(minutes=2)  # a live bar's end lies ahead of now, or hardly behind


class BarMerge:
    """What is known of one underlying's bars since the stream began."""

    def __init__(self, symbol: str) -> None:
        self.refused: list[BadPayload] = []  # frames of the last call that made no bar
        self._symbol = symbol
        self._last: UnderlyingBar | None = None
        self._proof: tuple[object, ...] = ()

    def bars(self, frames: Sequence[wire.Bar], received: datetime) -> list[UnderlyingBar]:
        """The bars of one network read, in order; `refused` has the bad ones."""
        self.refused = []
        found = []
        for frame in frames:
            try:
                bar = self._with_volumes(parse.underlying_bar(frame, self._symbol, received), frame)
            except BadPayload as error:
                self.refused.append(error)
                continue
            self.remember([bar])
            found.append(bar)
        return found

    def remember(self, bars: Sequence[UnderlyingBar]) -> None:
        """Bars that came another way: a stream need not ask for them again."""
        for bar in bars:
            if self._last is None or bar.start >= self._last.start:
                self._last = bar

    def bars_back(self, now: datetime) -> int:
        """How much history to ask for, so that an outage leaves no hole."""
        if self._last is None:
            return 1
        missed = int((now - self._last.start).total_seconds() // 60) + 1
        return min(max(missed, 1), MOST_BARS_BACK)

    def is_alive(self, frames: Sequence[wire.Bar], received: datetime) -> bool:
        """Whether the frames show a market that moves: a bar of now that differs from the one before."""
        for frame in reversed(frames):
            try:
                end = parse.stamp(frame.time_stamp, "TimeStamp", frame)
            except BadPayload:
                continue
            proof = (end, frame.open, frame.high, frame.low, frame.close, frame.total_volume)
            if end > received - _FRESH and proof != self._proof:
                self._proof = proof
                return True
        return False

    def _with_volumes(self, bar: UnderlyingBar, frame: wire.Bar) -> UnderlyingBar:
        """A bar that says nothing of volume keeps what the same bar said before."""
        old = self._last
        said = frame.up_volume is not None or frame.down_volume is not None
        if said or old is None or old.start != bar.start:
            return bar
        return msgspec.structs.replace(bar, up_volume=old.up_volume, down_volume=old.down_volume)

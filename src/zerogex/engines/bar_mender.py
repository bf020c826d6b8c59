"""Minutes of the underlying that a stream left out, or left unfinished, are asked for again.

A closing bar may be lost (a cut connection, a poisoned message), and nobody repeats it.  Whatever has
no closed reading when its minute is well over is fetched from the feed's history while following goes on.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from zerogex.domain.calendar import Session, minute_of, session_at
from zerogex.pipeline.bar_book import BarBook

_OVERDUE = timedelta(seconds=90)  # after its start a minute is over, and its closing bar has had half a minute
_LOOKS_BACK = timedelta(minutes=390)
_MINUTE = timedelta(minutes=1)
_TRIES = 3  # a share may not have traded in a minute: then the feed has no bar of it


class BarMender:
    """Knows which minutes of a book deserve another question."""

    def __init__(self, book: BarBook) -> None:
        self.book = book
        self.mended = 0  # bars fetched this way
        self._from: datetime | None = None
        self._followed_from: datetime | None = None
        self._tried: Counter[datetime] = Counter()

    def begin(self, filled: datetime, now: datetime) -> None:
        """Following begins now; before `filled` the back-fill asked, and what lies between no stream says again."""
        self._from, self._followed_from = minute_of(filled), minute_of(now)

    def span(self, now: datetime) -> tuple[datetime, datetime] | None:
        """From which minute to before which one the feed has to be asked; None where all is well."""
        if self._from is None:
            return None
        first = max(self._from, minute_of(now) - _LOOKS_BACK)
        wanted, minute = [], first
        while minute + _OVERDUE <= now:
            if self._lacks(minute):
                wanted.append(minute)
            minute += _MINUTE
        if not wanted:
            self._from = max(first, minute)
            return None
        return wanted[0], wanted[-1] + _MINUTE

    def asked(self, span: tuple[datetime, datetime]) -> None:
        """The feed answered for these minutes; what it did not say is not asked for without end."""
        minute = span[0]
        while minute < span[1]:
            self._tried[minute] += 1
            minute += _MINUTE
        for old in [at for at in self._tried if at < span[0] - _LOOKS_BACK]:
            del self._tried[old]

    def _lacks(self, minute: datetime) -> bool:
        if self._tried[minute] >= _TRIES or self.book.is_settled(minute):
            return False
        unheard = self._followed_from is not None and minute < self._followed_from
        return unheard or self.book.has(minute) or session_at(minute) is Session.REGULAR

"""How far the vendor's clock is from ours, by the Date of its answers.

A chain is valued at our clock's time, and minutes of options are labelled by it: an hour that is wrong by seconds
is a wrong price at the end of a zero-day option's life.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from statistics import median

LIMIT_S = 2.0  # beyond, somebody should look
SAY_EVERY_S = 300.0
_SLOW_S = 2.0  # an answer that took longer tells the time too vaguely
_ANSWERS = 5  # the middle of the last ones counts, so that one odd Date is no alarm


class SkewWatch:
    """Listens to Date headers; `skew_s` is the vendor's clock minus ours, 0 while nothing is known."""

    def __init__(
        self,
        say: Callable[[str], None],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.skew_s = 0.0
        self._say = say
        self._wall = wall
        self._now = monotonic
        self._heard: deque[float] = deque(maxlen=_ANSWERS)
        self._said_at = float("-inf")

    def heard(self, headers: Mapping[str, str], took_s: float) -> None:
        """An answer's headers are here, so long after it was asked for."""
        said = _date(headers.get("Date"))
        if said is None or took_s > _SLOW_S:
            return
        # Date is cut to whole seconds; it was written somewhere in the time the answer took
        self._heard.append((said - self._wall()).total_seconds() + 0.5 + took_s / 2.0)
        self.skew_s = median(self._heard)
        if abs(self.skew_s) > LIMIT_S and self._now() - self._said_at >= SAY_EVERY_S:
            self._said_at = self._now()
            side = "behind" if self.skew_s > 0 else "ahead of"
            self._say(f"this machine's clock is {abs(self.skew_s):.1f} s {side} the feed's; synchronise it (NTP)")


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found

"""Stored minutes whose analysis is missing or older than they are: back-filled ones, and those of a time when
nobody analysed.

They are found by asking the store, a few at a time, newest first, and are analysed as any other minute. After
each one comes a pause as long as it took, so that the live answer never waits for the past.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from zerogex.domain.exposure import Analysis
from zerogex.ports import ChainVersion, Store

AT_ONCE = 10  # minutes between two questions to the store


class AnalysisHistory:
    """Fills the analyses of one underlying; its calls block."""

    def __init__(
        self, store: Store, underlying: str, step: timedelta, write: Callable[[ChainVersion], Analysis | None]
    ) -> None:
        self.store = store
        self.underlying = underlying
        self.step = step  # no two analyses are closer together
        self._write = write
        self._empty: set[datetime] = set()  # minutes whose rows are gone

    def fill(self, start: datetime, end: datetime, stopping: threading.Event) -> list[datetime]:
        """Analyse up to `AT_ONCE` minutes of [start, end); those that were, newest first."""
        limit = AT_ONCE + len(self._empty)
        missing = self.store.unanalysed_minutes(self.underlying, start, end, self.step, limit)
        done: list[datetime] = []
        for chain in missing:
            minute = chain.timestamp
            if stopping.is_set():
                break
            too_close = chain.analysed is None and any(abs(minute - other) < self.step for other in done)
            if too_close or minute in self._empty:
                continue
            began = time.perf_counter()
            if self._write(chain) is None:
                self._empty.add(minute)
                continue
            done.append(minute)
            stopping.wait(time.perf_counter() - began)
        return done

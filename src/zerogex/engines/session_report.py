"""How good one session's stored data is: what the calendar expects, what is there, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from zerogex.analytics.quality import field_findings, gap_findings, verdict
from zerogex.domain.calendar import is_session, session_close, session_open
from zerogex.domain.finding import Finding
from zerogex.pipeline.gaps import MINUTE_S, Gap, expected_minutes, missing_minutes
from zerogex.ports import Store


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One session of one underlying, looked at."""

    underlying: str
    day: date
    expected: int  # minutes the session has had so far
    bars: int
    chains: int
    rows: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """good, usable or poor; `no data` where nothing is stored, `no session` where there should be nothing."""
        if self.bars or self.chains:
            return verdict(self.findings)
        return "no data" if is_session(self.day) else "no session"


def inspect(store: Store, symbol: str, day: date, now: datetime, bucket_seconds: int = MINUTE_S) -> SessionReport:
    """Look at one New York day of one underlying as it stands at `now`."""
    first, last = session_open(day), min(session_close(day), now)
    buckets = len(expected_minutes(first, last, bucket_seconds)) if is_session(day) and first < last else 0
    expected = buckets * bucket_seconds // MINUTE_S
    bars = [bar.timestamp for bar in store.bars(symbol, first, session_close(day))]
    chains = store.chain_minutes(symbol, first, session_close(day))
    findings: list[Finding] = []
    if expected:
        for what, stored in (("bars", bars), ("chains", chains)):
            gaps: list[Gap] = missing_minutes(stored, first, last, bucket_seconds)
            findings += gap_findings(what, gaps, expected)
    columns, rows = store.query("quality_fields", symbol=symbol, day=day)
    counts: Mapping[str, Any] = dict(zip(columns, rows[0], strict=True)) if rows else {"rows": 0}
    if rows:
        findings += field_findings(day, counts)
    return SessionReport(symbol, day, expected, len(bars), len(chains), counts["rows"], tuple(findings))


def report(store: Store, symbol: str, day: date, now: datetime, bucket_seconds: int = MINUTE_S) -> SessionReport:
    """Look at a day and write what was found to data_quality_log."""
    found = inspect(store, symbol, day, now, bucket_seconds)
    store.record_findings(symbol, day, found.findings)
    return found

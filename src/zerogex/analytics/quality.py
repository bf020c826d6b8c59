"""What a day's counts say about its data: findings with a sentence each, and one verdict.

Option data is never perfect: deep strikes have no bid, quotes of quiet contracts stand for hours. The
limits below separate that from trouble; they are shares of a day's rows, so they hold for any symbol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol

from zerogex.domain.calendar import NEW_YORK, session_close, session_open
from zerogex.domain.finding import Finding, FindingKind, Severity

# Share of the rows from which a finding is a warning, and from which it is an error.
LIMITS: Mapping[FindingKind, tuple[float, float]] = {
    FindingKind.STALE: (0.50, 0.95),
    FindingKind.CROSSED: (0.005, 0.05),
    FindingKind.MISSING: (0.25, 0.75),
    FindingKind.IV_FAILED: (0.15, 0.60),
    FindingKind.DEFAULT_IV: (0.10, 0.50),
}
FIELDS = {
    "no_bid": "bid",
    "no_ask": "ask",
    "no_last": "last price",
    "no_iv": "implied volatility",
    "no_greeks": "Greeks",
}
REASONS = {
    "below_intrinsic": "the price is below intrinsic value",
    "above_maximum": "the price is above any possible value",
    "no_quote": "there is no usable quote",
    "expired": "the contract had expired",
    "below_iv_min": "the volatility is below IV_MIN",
    "above_iv_max": "the volatility is above IV_MAX",
    "no_convergence": "the solver did not converge",
    "bad_input": "an input was not a number",
}
LONG_GAP_MINUTES = 5
FROM_TRADES = "quotes"  # what rows of a minute that was back-filled lack, by nature


class Interval(Protocol):
    """A gap: from start to before end, UTC."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def minutes(self) -> int: ...


def gap_findings(what: str, gaps: Sequence[Interval], expected: int) -> list[Finding]:
    """One finding a gap; `what` is bars or chains, `expected` the minutes the session has had so far."""
    found = []
    for gap in gaps:
        severity = Severity.ERROR if gap.minutes >= LONG_GAP_MINUTES else Severity.WARNING
        first, last = (instant.astimezone(NEW_YORK).strftime("%H:%M") for instant in (gap.start, gap.end))
        minutes = "minute is" if gap.minutes == 1 else "minutes are"
        message = f"{gap.minutes} {minutes} missing from {what}, {first} to {last} ET"
        found.append(Finding(FindingKind.GAP, what, gap.start, gap.end, severity, gap.minutes, expected, message))
    return found


def field_findings(day: date, counts: Mapping[str, int]) -> list[Finding]:
    """What the counts of a day's rows say; `counts` has the columns of the query `quality_fields`."""
    rows = counts["rows"]
    asked = [
        (FindingKind.STALE, "quotes", counts["stale"], "had no news for 15 minutes or more"),
        (FindingKind.CROSSED, "quotes", counts["crossed"], "are crossed: bid above ask"),
        *(
            (FindingKind.MISSING, name.removeprefix("no_"), counts[name], f"have no {words}")
            for name, words in FIELDS.items()
        ),
        (FindingKind.DEFAULT_IV, "iv", counts["default_iv"], "carry the default volatility, a placeholder"),
        *(
            (FindingKind.IV_FAILED, name, counts[name], f"have no volatility because {words}")
            for name, words in REASONS.items()
        ),
    ]
    found = [
        _finding(kind, subject, day, affected, rows, words) for kind, subject, affected, words in asked if affected
    ]
    if counts["from_trades"]:
        words = "have no quotes: their minutes were back-filled from trades"
        lacking = _finding(FindingKind.MISSING, FROM_TRADES, day, counts["from_trades"], rows, words)
        found.append(replace(lacking, severity=Severity.INFO))
    return found


def _finding(kind: FindingKind, subject: str, day: date, affected: int, rows: int, words: str) -> Finding:
    share = affected / rows if rows else 0.0
    warning, error = LIMITS[kind]
    severity = Severity.ERROR if share >= error else Severity.WARNING if share >= warning else Severity.INFO
    message = f"{affected:,} of {rows:,} rows ({100 * share:.1f} %) {words}"
    return Finding(kind, subject, session_open(day), session_close(day), severity, affected, rows, message)


def verdict(findings: Sequence[Finding]) -> str:
    """The day in one word: good, usable (something deserves a look) or poor (something is lost)."""
    found = {finding.severity for finding in findings}
    if Severity.ERROR in found:
        return "poor"
    return "usable" if Severity.WARNING in found else "good"

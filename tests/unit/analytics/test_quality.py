"""What a day's counts say about its data."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from zerogex.analytics.quality import FIELDS, REASONS, field_findings, gap_findings, verdict
from zerogex.domain.finding import Finding, FindingKind, Severity

DAY = date(2025, 11, 28)  # a half day: 09:30 to 13:00
CLEAN = dict.fromkeys(("stale", "crossed", "default_iv", "from_trades", *FIELDS, *REASONS), 0) | {"rows": 1000}


@dataclass(frozen=True)
class Interval:
    start: datetime
    minutes: int

    @property
    def end(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)


def only(**counts: int) -> Finding:
    (found,) = field_findings(DAY, CLEAN | counts)
    return found


def test_a_clean_day_has_no_findings_and_is_good() -> None:
    assert field_findings(DAY, CLEAN) == []
    assert verdict([]) == "good"


@pytest.mark.parametrize(
    ("crossed", "severity", "word"),
    [(4, Severity.INFO, "good"), (5, Severity.WARNING, "usable"), (50, Severity.ERROR, "poor")],
)
def test_a_share_of_the_rows_decides_how_much_a_finding_matters(crossed: int, severity: Severity, word: str) -> None:
    finding = only(crossed=crossed)
    assert (finding.kind, finding.severity, finding.affected, finding.total) == (
        FindingKind.CROSSED, severity, crossed, 1000,
    )  # fmt: skip
    assert verdict([finding]) == word
    assert finding.share == crossed / 1000


def test_a_finding_spans_the_session_of_its_day() -> None:
    finding = only(no_bid=100)
    assert (finding.started_at.hour, finding.ended_at) == (14, datetime(2025, 11, 28, 18, tzinfo=UTC))
    assert finding.message == "100 of 1,000 rows (10.0 %) have no bid"
    assert finding.subject == "bid"


def test_every_reason_of_a_failed_volatility_is_named() -> None:
    found = field_findings(DAY, CLEAN | dict.fromkeys(REASONS, 7))
    assert [finding.subject for finding in found] == list(REASONS)
    assert all("because" in finding.message for finding in found)


def test_back_filled_minutes_without_quotes_are_no_complaint() -> None:
    finding = only(from_trades=900)
    assert (finding.kind, finding.subject, finding.severity) == (FindingKind.MISSING, "quotes", Severity.INFO)
    assert "back-filled from trades" in finding.message


def test_gaps_are_told_in_new_york_time_and_long_ones_are_errors() -> None:
    start = datetime(2025, 11, 28, 14, 37, tzinfo=UTC)
    short, long = gap_findings("bars", [Interval(start, 1), Interval(start + timedelta(hours=1), 5)], 210)
    assert short.message == "1 minute is missing from bars, 09:37 to 09:38 ET"
    assert long.message == "5 minutes are missing from bars, 10:37 to 10:42 ET"
    assert (short.severity, long.severity) == (Severity.WARNING, Severity.ERROR)
    assert (long.affected, long.total) == (5, 210)


def test_no_rows_are_no_division_by_zero() -> None:
    assert Finding(FindingKind.STALE, "x", datetime.now(UTC), None, Severity.INFO, 0, 0, "").share == 0

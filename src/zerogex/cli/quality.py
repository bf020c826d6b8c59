"""`zerogex quality`: how good a day's data is, in sentences; every finding goes to data_quality_log."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerogex import app, settings
from zerogex.cli.output import Output, emit
from zerogex.domain.calendar import NEW_YORK, is_session, previous_session, session_close, session_open, trading_date
from zerogex.domain.finding import Finding, FindingKind, Severity
from zerogex.feed_clock import clock_of

if TYPE_CHECKING:
    from zerogex.store.postgres import PostgresStore

Symbol = Annotated[str | None, typer.Option("--underlying", "-u", help="Only this symbol.")]
Form = Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")]
WIDTH = 80
SESSIONS = 20  # how far back `gaps` looks
MARKS = {Severity.INFO: " ", Severity.WARNING: "!", Severity.ERROR: "X"}


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
        """good, usable or poor; `no data` where nothing is stored."""
        from zerogex.analytics.quality import verdict

        return "no data" if not (self.bars or self.chains) else verdict(self.findings)


def quality(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="New York day; the newest with data.")
    ] = None,
    underlying: Symbol = None,
    output: Form = Output.TABLE,
) -> None:
    """Report gaps, stale and crossed quotes, missing fields and IV failures of a day; note them in data_quality_log."""
    with app.open_store(settings.load()) as store:
        show_quality(store, underlying, day.date() if day else None, output)


def show_quality(store: PostgresStore, symbol: str | None, day: date | None, output: Output) -> None:
    """Look at a day, write the findings, print the report."""
    reports = [inspect(store, name, day) for name in _symbols(store, symbol)]
    for report in reports:
        store.record_findings(report.underlying, report.day, report.findings)
    if output is not Output.TABLE:
        rows = [_row(report, finding) for report in reports for finding in report.findings]
        emit(_COLUMNS, rows, output)
    else:
        for report in reports:
            _print(report)
    if not reports:
        _nothing(symbol)


def inspect(store: PostgresStore, symbol: str, day: date | None = None) -> SessionReport:
    """Look at one session (None: the newest with data) of one underlying."""
    from zerogex.analytics.quality import field_findings, gap_findings
    from zerogex.pipeline.gaps import expected_minutes, missing_minutes

    now = _now(store, symbol)
    day = day or _newest_day(store, symbol, now)
    first, last = session_open(day), min(session_close(day), now)
    expected = len(expected_minutes(first, last)) if is_session(day) and first < last else 0
    bars = [bar.timestamp for bar in store.bars(symbol, first, session_close(day))]
    chains = store.chain_minutes(symbol, first, session_close(day))
    findings: list[Finding] = []
    if expected:
        for what, stored in (("bars", bars), ("chains", chains)):
            findings += gap_findings(what, missing_minutes(stored, first, last), expected)
    columns, rows = store.query("quality_fields", symbol=symbol, day=day)
    counts: dict[str, Any] = dict(zip(columns, rows[0], strict=True)) if rows else {"rows": 0}
    if rows:
        findings += field_findings(day, counts)
    return SessionReport(symbol, day, expected, len(bars), len(chains), counts["rows"], tuple(findings))


def show_gaps(store: PostgresStore, symbol: str | None, output: Output, *, today: bool, limit: int | None) -> None:
    """Missing minutes of each session with data (`today`: of the newest one), oldest first."""
    from zerogex.pipeline.gaps import expected_minutes, missing_minutes

    rows: list[tuple[Any, ...]] = []
    symbols = _symbols(store, symbol)
    for name in symbols:
        now = _now(store, name)
        last_day = _newest_day(store, name, now)
        first_day = last_day if today else _first_day(store, name, last_day)
        first, last = session_open(first_day), min(session_close(last_day), now)
        expected = max(len(expected_minutes(first, last)), 1)
        end = session_close(last_day)
        stored = {
            "bars": [bar.timestamp for bar in store.bars(name, first, end)],
            "chains": list(store.chain_minutes(name, first, end)),
        }
        for what, stamps in stored.items():
            gaps = missing_minutes(stamps, first, last) if first < last else []
            missing = sum(gap.minutes for gap in gaps)
            rows += [(name, what, gap.day, _clock(gap.start), _clock(gap.end), gap.minutes) for gap in gaps]
            share = 100 * (1 - missing / expected)
            typer.echo(f"zerogex: {name} {what}: {missing} minutes missing, {share:.2f} % complete", err=True)
    emit(("underlying", "missing", "day", "from_et", "to_et", "minutes"), rows[:limit], output, title="Missing minutes")
    if not symbols:
        _nothing(symbol)


def _clock(instant: datetime) -> str:
    return instant.astimezone(NEW_YORK).strftime("%H:%M")


def _symbols(store: PostgresStore, symbol: str | None) -> Sequence[str]:
    known = store.underlyings()
    return [name for name in known if symbol is None or name == symbol.upper()]


def _now(store: PostgresStore, symbol: str) -> datetime:
    """The market's time; that of a simulated market stands still with its data when nobody simulates it."""
    state = store.feed_state()
    now = clock_of(state).now()
    bar = store.last_bar(symbol)
    if state is None or not state.simulated or bar is None:
        return now
    return min(now, bar.timestamp + timedelta(minutes=1))


def _newest_day(store: PostgresStore, symbol: str, now: datetime) -> date:
    bar = store.last_bar(symbol)
    day = trading_date(bar.timestamp if bar else now)
    return day if is_session(day) else previous_session(day)


def _first_day(store: PostgresStore, symbol: str, last: date) -> date:
    """The first of the last `SESSIONS` sessions that has any minute: what was never followed is no gap."""
    day = last
    for _ in range(SESSIONS):
        day = previous_session(day)
    stamps = store.bars(symbol, session_open(day), session_open(last) + timedelta(days=1))
    first = trading_date(stamps[0].timestamp) if stamps else last
    return first if is_session(first) else last


def _nothing(symbol: str | None) -> None:
    what = f"of {symbol.upper()} " if symbol else ""
    typer.echo(f"zerogex: nothing {what}is stored yet; start the platform with `zerogex up`", err=True)


_COLUMNS = ("underlying", "trading_day", "kind", "subject", "severity", "started_at", "ended_at", "affected", "total",
            "message")  # fmt: skip


def _row(report: SessionReport, finding: Finding) -> tuple[Any, ...]:
    return (report.underlying, report.day, finding.kind.value, finding.subject, finding.severity.value,
            finding.started_at, finding.ended_at, finding.affected, finding.total, finding.message)  # fmt: skip


def _print(report: SessionReport) -> None:
    """The report of one underlying: a headline, then what was found, worst first."""
    typer.echo(f"{report.underlying} {report.day:%a %Y-%m-%d}: {report.verdict}")
    typer.echo(
        f"  {report.expected} session minutes so far; {report.bars} bars and {report.chains} chains stored, "
        f"{report.rows:,} contract rows"
    )
    order = [Severity.ERROR, Severity.WARNING, Severity.INFO]
    shown = sorted(report.findings, key=lambda f: (order.index(f.severity), list(FindingKind).index(f.kind)))
    for finding in shown:
        mark = f"  {MARKS[finding.severity]} "
        typer.echo(textwrap.fill(finding.message, WIDTH, initial_indent=mark, subsequent_indent="    "))
    if not shown:
        typer.echo("    nothing to complain of")
    typer.echo("")

"""`zerogex quality`: how good a day's data is, in sentences; every finding goes to data_quality_log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerogex import app, settings
from zerogex.cli.marks import emit_marked, is_simulated, mark
from zerogex.cli.nothing import say_nothing
from zerogex.cli.output import Output, counted, wrapped
from zerogex.domain.calendar import NEW_YORK, is_session, previous_session, session_close, session_open, trading_date
from zerogex.domain.finding import Finding, FindingKind, Severity
from zerogex.feed_clock import clock_of

if TYPE_CHECKING:
    from zerogex.engines.session_report import SessionReport
    from zerogex.store.postgres import PostgresStore

Symbol = Annotated[str | None, typer.Option("--underlying", "-u", help="Only this symbol.")]
Form = Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")]
WIDTH = 80
SESSIONS = 20  # how far back `gaps` looks
MARKS = {Severity.INFO: " ", Severity.WARNING: "!", Severity.ERROR: "X"}


def quality(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="New York day; the newest with data.")
    ] = None,
    underlying: Symbol = None,
    output: Form = Output.TABLE,
) -> None:
    """Say how good a day's data is, and why.  What is found is noted in data_quality_log."""
    loaded = settings.load()
    with app.open_store(loaded) as store:
        bucket_s = loaded.settings.aggregation_bucket_seconds
        show_quality(store, underlying, day.date() if day else None, output, bucket_s)


def show_quality(store: PostgresStore, symbol: str | None, day: date | None, output: Output, bucket_s: int) -> None:
    """Look at a day, write the findings, print the report."""
    from zerogex.engines.session_report import report

    simulated = is_simulated(store.feed_state())
    reports = []
    for name in _symbols(store, symbol):
        now = _now(store, name)
        reports.append(report(store, name, day or _newest_day(store, name, now), now, bucket_s))
    if output is not Output.TABLE:
        rows = [_row(one, finding) for one in reports for finding in one.findings]
        emit_marked(_COLUMNS, rows, output, simulated)
    else:
        for one in reports:
            _print(one, mark(simulated))
    if not reports:
        say_nothing(store, symbol)


def show_gaps(
    store: PostgresStore, symbol: str | None, output: Output, *, today: bool, limit: int | None, bucket_s: int
) -> None:
    """Missing minutes of each session with data (`today`: of the newest one), oldest first."""
    from zerogex.pipeline.gaps import expected_minutes, missing_minutes

    simulated = is_simulated(store.feed_state())
    rows: list[tuple[Any, ...]] = []
    symbols = _symbols(store, symbol)
    for name in symbols:
        now = _now(store, name)
        last_day = _newest_day(store, name, now)
        first_day = last_day if today else _first_day(store, name, last_day)
        first, last = session_open(first_day), min(session_close(last_day), now)
        expected = max(len(expected_minutes(first, last, bucket_s)) * bucket_s // 60, 1)
        end = session_close(last_day)
        stored = {
            "bars": [bar.timestamp for bar in store.bars(name, first, end)],
            "chains": list(store.chain_minutes(name, first, end)),
        }
        for what, stamps in stored.items():
            gaps = missing_minutes(stamps, first, last, bucket_s) if first < last else []
            missing = sum(gap.minutes for gap in gaps)
            rows += [(name, what, gap.day, _clock(gap.start), _clock(gap.end), gap.minutes) for gap in gaps]
            share = 100 * (1 - missing / expected)
            said = f"{counted(missing, 'minute')} missing, {share:.2f} % complete"
            typer.echo(f"zerogex: {name} {what}{mark(simulated)}: {said}", err=True)
    if not symbols:
        say_nothing(store, symbol)
    columns = ("underlying", "missing", "day", "from_et", "to_et", "minutes")
    emit_marked(columns, rows[:limit], output, simulated, title="Missing minutes")


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


_COLUMNS = ("underlying", "trading_day", "kind", "subject", "severity", "started_at", "ended_at", "affected", "total",
            "message")  # fmt: skip


def _row(report: SessionReport, finding: Finding) -> tuple[Any, ...]:
    return (report.underlying, report.day, finding.kind.value, finding.subject, finding.severity.value,
            finding.started_at, finding.ended_at, finding.affected, finding.total, finding.message)  # fmt: skip


def _print(report: SessionReport, mark: str) -> None:
    """The report of one underlying: a headline, then what was found, worst first."""
    typer.echo(f"{report.underlying} {report.day:%a %Y-%m-%d}: {report.verdict}{mark}")
    what = (
        f"{counted(report.expected, 'session minute')} so far; {counted(report.bars, 'bar')} and "
        f"{counted(report.chains, 'chain')} stored, {counted(report.rows, 'contract row')}"
    )
    typer.echo("\n".join(wrapped("  ", what, WIDTH)))
    order = [Severity.ERROR, Severity.WARNING, Severity.INFO]
    shown = sorted(report.findings, key=lambda f: (order.index(f.severity), list(FindingKind).index(f.kind)))
    for finding in shown:
        mark = f"  {MARKS[finding.severity]} "
        typer.echo("\n".join(wrapped(mark, finding.message, WIDTH)))
    if not shown and report.verdict not in ("no data", "no session"):
        typer.echo("    nothing to complain of")
    typer.echo("")

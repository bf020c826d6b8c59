"""`zerogex flow`: what trades now, on one screen, again every few seconds if you like."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from zerogex import app, settings
from zerogex.cli.marks import is_simulated, mark
from zerogex.cli.nothing import say_nothing
from zerogex.cli.output import Output, emit
from zerogex.domain.calendar import NEW_YORK
from zerogex.feed_clock import clock_of

if TYPE_CHECKING:
    from zerogex.store.postgres import PostgresStore

# title, query, its minutes, rows at most, and the columns that fit 80 characters
SECTIONS = (
    ("Underlying buying pressure", "flow_buying_pressure", 10, 10,
     ("symbol", "timestamp", "close", "change", "buying_pressure_pct", "momentum", "pressure_change")),
    ("Puts against calls", "flow_by_type", 10, 10,
     ("underlying", "timestamp", "call_volume", "put_volume", "put_call_ratio", "net_flow", "sentiment",
      "confidence")),
    ("Unusual prints (score 0 to 10)", "flow_smart_money", 30, 10,
     ("option_symbol", "timestamp", "volume", "premium", "unusual_score", "side", "confidence")),
    ("Strikes with most flow", "flow_by_strike", 10, 10,
     ("underlying", "strike", "call_volume", "put_volume", "call_premium", "put_premium", "net_flow")),
)  # fmt: skip
CLEAR_SCREEN = "\x1b[2J\x1b[H"


def flow(
    underlying: Annotated[str | None, typer.Option("--underlying", "-u", help="Only this symbol.")] = None,
    watch: Annotated[
        float | None, typer.Option("--watch", min=0.5, max=3600, metavar="N", help="Again every N seconds.")
    ] = None,
) -> None:
    """Show what trades now on one screen.  Buying pressure, puts and calls, unusual prints, busiest strikes."""
    with app.open_store(settings.load()) as store, suppress(KeyboardInterrupt):
        while True:
            _screen(store, underlying.upper() if underlying else None, clear=watch is not None)
            if watch is None:
                return
            time.sleep(watch)


def _screen(store: PostgresStore, symbol: str | None, *, clear: bool) -> None:
    state = store.feed_state()
    answers = [
        store.query(query, symbol=symbol, minutes=minutes, limit=rows) for _, query, minutes, rows, _ in SECTIONS
    ]
    if clear and sys.stdout.isatty():
        typer.echo(CLEAR_SCREEN, nl=False)
    now = clock_of(state).now().astimezone(NEW_YORK)
    typer.echo(f"Flow, {now:%a %Y-%m-%d %H:%M:%S} ET{mark(is_simulated(state))}: sides and net flow are inferred\n")
    for (title, _, _, _, shown), (columns, rows) in zip(SECTIONS, answers, strict=True):
        places = [columns.index(name) for name in shown]
        cells = [[_short(row[place]) for place in places] for row in rows]
        emit(shown, cells, Output.TABLE, title=title)
        typer.echo("")
    if not any(rows for _, rows in answers):
        say_nothing(store, symbol)


def _short(value: object) -> object:
    """Minutes are enough on a live screen."""
    return f"{value.astimezone(NEW_YORK):%H:%M}" if isinstance(value, datetime) else value

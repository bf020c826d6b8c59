"""`zerogex backfill`: fill the minutes that are missing, from the feed's history.

Minute bars of interval 1 go to the database through the pipeline of live data.  Any other interval or unit has
no table of its own, because every table holds minutes: those bars are printed, and that nothing is stored is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from zerogex import app
from zerogex.cli.marks import emit_marked
from zerogex.cli.output import Output
from zerogex.cli.process import run_until_stopped
from zerogex.cli.progress import ProgressLine
from zerogex.cli.quiet import quiet
from zerogex.cli.run import Debug, Distance, Expirations, Underlying
from zerogex.clock import Clock
from zerogex.domain.calendar import NEW_YORK
from zerogex.errors import OriginConflict
from zerogex.feed_clock import clock_of, is_other_market
from zerogex.settings import Loaded

if TYPE_CHECKING:
    from zerogex.domain.bar import UnderlyingBar
    from zerogex.engines.backfill import Backfilled
    from zerogex.store.postgres import PostgresStore

GAPS_SHOWN = 20


class Unit(StrEnum):
    """Lengths of bars that the feed has."""

    MINUTE = "Minute"
    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"


def backfill(
    lookback_days: Annotated[
        int, typer.Option("--lookback-days", min=0, max=3650, help="How many days back, New York; 0 is today alone.")
    ] = 3,
    unit: Annotated[
        Unit, typer.Option("--unit", case_sensitive=False, help="Minute is stored; the others are printed.")
    ] = Unit.MINUTE,
    interval: Annotated[
        int, typer.Option("--interval", min=1, max=1440, help="Minutes in a bar; only 1 is stored.")
    ] = 1,
    sample_every: Annotated[
        int, typer.Option("--sample-every", min=1, max=390, help="Store every Nth minute of the options.")
    ] = 1,
    underlying: Underlying = None,
    expirations: Expirations = None,
    strike_distance: Distance = None,
    bars_only: Annotated[bool, typer.Option("--bars-only", help="Leave the options out.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    debug: Debug = False,
) -> None:
    """Fill missing minutes from the feed's history.  Exit 0: done, 1: gaps remain."""
    if unit is not Unit.MINUTE and interval != 1:
        raise typer.BadParameter(f"a {unit.value.lower()} bar has interval 1, not {interval}", param_hint="--interval")
    overrides = {
        "stream_underlying": underlying,
        "stream_expirations": expirations,
        "stream_strike_distance": strike_distance,
    }
    loaded = quiet("backfill", overrides, debug=debug)
    if unit is Unit.MINUTE and interval == 1:
        results: list[Backfilled] = []
        run_until_stopped(
            _fill(loaded, results, lookback_days=lookback_days, sample_every=sample_every, options=not bars_only)
        )
        _report(results, output, simulated=loaded.settings.simulated)
        wanted = len(loaded.settings.underlyings)
        raise typer.Exit(0 if len(results) == wanted and all(result.complete for result in results) else 1)
    bars: list[UnderlyingBar] = []
    run_until_stopped(_ask(loaded, bars, lookback_days, unit, interval))
    _print_bars(bars, output, simulated=loaded.settings.simulated)
    typer.echo("zerogex: printed, not stored: the tables hold minutes (--unit Minute --interval 1)", err=True)
    raise typer.Exit(0 if bars else 1)


async def _fill(
    loaded: Loaded, results: list[Backfilled], *, lookback_days: int, sample_every: int, options: bool
) -> None:
    from zerogex.engines.backfill import BackfillEngine

    clock = await app.market_clock(loaded)
    config = app.backfill_config(
        loaded.settings, lookback_days=lookback_days, sample_every=sample_every, options=options
    )
    line = ProgressLine()
    with app.open_store(loaded, migrate=True) as store:
        _refuse_other_market(loaded, store, clock)
        market = app.market_data(loaded, clock, store)
        alive = asyncio.create_task(line.keep_alive())
        try:
            results += await BackfillEngine(market, store, clock, config, line.show).run()
        finally:
            alive.cancel()
            line.close()
            await market.aclose()


def _refuse_other_market(loaded: Loaded, store: PostgresStore, clock: Clock) -> None:
    """Bars of somebody else's simulated market would look like those of ours."""
    state = store.feed_state()
    if not is_other_market(state, clock) or not store.underlyings():
        return
    theirs, ours = (each.now().astimezone(NEW_YORK) for each in (clock, clock_of(state)))
    raise OriginConflict(
        f"the simulated market at {app.simulator_url(loaded.settings)} ({theirs:%Y-%m-%d %H:%M} ET) is not the one "
        f"that {store.config.place} was fed by ({ours:%Y-%m-%d %H:%M} ET now); say where that one is with "
        "TRADESTATION_API_URL, or let `zerogex ingest` go on with this one first"
    )


def _report(results: Sequence[Backfilled], output: Output, *, simulated: bool) -> None:
    columns = ("underlying", "bars", "chain_minutes", "contract_rows", "gaps", "missing_minutes", "without_trades")
    rows = [
        (
            result.underlying,
            result.bars,
            result.chain_minutes,
            result.contract_rows,
            len(result.gaps),
            sum(gap.minutes for gap in result.gaps),
            result.without_trades,
        )
        for result in results
    ]
    emit_marked(columns, rows, output, simulated, title="Backfilled")
    if not any(any(row[1:]) for row in rows) and all(result.complete for result in results):
        typer.echo("zerogex: nothing was missing of the sessions that have begun (--lookback-days)", err=True)
    for result in results:
        for problem in result.problems:
            typer.echo(f"zerogex: {result.underlying}: {problem}; run the backfill again", err=True)
        for gap in result.gaps[:GAPS_SHOWN]:
            begin, end = gap.start.astimezone(NEW_YORK), gap.end.astimezone(NEW_YORK)
            typer.echo(
                f"zerogex: {result.underlying} still misses {begin:%Y-%m-%d %H:%M} to {end:%H:%M} ET "
                f"({gap.minutes} minutes): the feed has no bars of them",
                err=True,
            )
        if len(result.gaps) > GAPS_SHOWN:
            typer.echo(f"zerogex: and {len(result.gaps) - GAPS_SHOWN} more gaps", err=True)


async def _ask(loaded: Loaded, bars: list[UnderlyingBar], lookback_days: int, unit: Unit, interval: int) -> None:
    clock = await app.market_clock(loaded)
    market = app.market_data(loaded, clock)
    now = clock.now()
    try:
        for underlying in loaded.settings.underlyings:
            since = now - timedelta(days=lookback_days)
            bars += await market.bars(underlying, since, now, unit=unit.value, interval=interval)
    finally:
        await market.aclose()


def _print_bars(bars: Sequence[UnderlyingBar], output: Output, *, simulated: bool) -> None:
    columns = ("symbol", "start", "open", "high", "low", "close", "up_volume", "down_volume", "closed")
    rows = [tuple(getattr(bar, name) for name in columns) for bar in bars]
    emit_marked(columns, rows, output, simulated, title="Bars")

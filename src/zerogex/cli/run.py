"""The engines as commands: ingest, analyze, serve, simulate."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from zerogex import app, measure
from zerogex.cli import systemd
from zerogex.cli.marks import emit_marked, is_simulated, mark
from zerogex.cli.nothing import say_nothing
from zerogex.cli.output import Output, emit
from zerogex.cli.process import run_until_stopped, start
from zerogex.cli.quiet import quiet
from zerogex.domain.calendar import NEW_YORK
from zerogex.feed_clock import FeedClock
from zerogex.settings import Loaded

log = logging.getLogger(__name__)

Underlying = Annotated[str | None, typer.Option("--underlying", "-u", help="Symbols, comma separated: SPY,QQQ.")]
Expirations = Annotated[int | None, typer.Option("--expirations", help="How many of the nearest expirations.")]
Distance = Annotated[
    str | None, typer.Option("--strike-distance", help="Strikes on each side of spot: dollars (20) or percent (5%).")
]
Debug = Annotated[bool, typer.Option("--debug", help="Log everything.")]


def ingest(
    underlying: Underlying = None,
    expirations: Expirations = None,
    strike_distance: Distance = None,
    standby: Annotated[
        bool | None,
        typer.Option(
            "--standby", help="Share the underlyings with other such processes; stand by for what others write."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Follow the feed, and store minutes with IV and Greeks."""
    overrides = {
        "ingest_standby": standby,
        "stream_underlying": underlying,
        "stream_expirations": expirations,
        "stream_strike_distance": strike_distance,
    }
    run_until_stopped(_ingest(start("ingest", overrides, debug=debug)))


async def _ingest(loaded: Loaded) -> None:
    from zerogex.engines.ingest import IngestEngine
    from zerogex.engines.upkeep import Upkeep

    clock = await app.market_clock(loaded)
    settings = loaded.settings
    with measure.meter_of(settings, "ingest") as meter, app.open_store(loaded, migrate=True, spool=True) as store:
        market = app.market_data(loaded, clock, store)
        measure.watch_vendor(market, meter)
        measured = measure.measured_store(store, meter, settings.zerogex_home / "spool" / store.config.dbname)
        engine = IngestEngine(market, measured, clock, app.ingest_config(settings), meter)
        fill = app.backfill_config(settings, lookback_days=0, sample_every=1, options=True)
        before_start = settings.backfill_on_startup
        upkeep = Upkeep(market, measured, clock, fill, before_start=before_start, writes=engine.writes)
        try:
            await upkeep.beside(lambda: engine.run(systemd.ready))
        finally:
            await market.aclose()


def analyze(
    once: Annotated[bool, typer.Option("--once", help="Analyse what is stored now, print it, and end.")] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            help="Analyse the stored minutes since then (New York) that have no analysis, and end.",
        ),
    ] = None,
    underlying: Underlying = None,
    interval: Annotated[float | None, typer.Option("--interval", help="Seconds between two rows.")] = None,
    output: Annotated[
        Output, typer.Option("-o", "--output", help="With --once or --since: table, json, csv, ndjson.")
    ] = Output.TABLE,
    debug: Debug = False,
) -> None:
    """Turn stored chains into gamma exposure, on an interval.  Writes gex_summary and gex_calculations."""
    if once and since:
        raise typer.BadParameter("give --once or --since, not both", param_hint="--since")
    begin = quiet if once or since else start
    loaded = begin("analyze", {"analytics_underlying": underlying, "analytics_interval": interval}, debug=debug)
    if not loaded.settings.gex_enabled or not (once or since or loaded.settings.analytics_enabled):
        typer.echo("zerogex: analytics is off (GEX_ENABLED or ANALYTICS_ENABLED is false)", err=True)
        systemd.ready()  # an end as it was asked for, not a failed start
        return
    if since is not None:
        run_until_stopped(_analyze_since(loaded, since.replace(tzinfo=NEW_YORK), output))
    else:
        run_until_stopped(_analyze_once(loaded, underlying, output) if once else _analyze(loaded))


async def _analyze(loaded: Loaded) -> None:
    from zerogex.engines.analyze import AnalyzeEngine
    from zerogex.engines.watch import Watch

    channels = app.alert_channels(loaded.settings)  # before anything starts: a wrong address ends us here
    with (
        app.open_store(loaded, migrate=True) as store,
        FeedClock(store) as clock,
        measure.meter_of(loaded.settings, "analyze") as meter,
    ):
        measured = measure.measured_store(store, meter)
        watch = Watch(measured, clock, channels, meter, followed=app.watched_for_trouble(loaded.settings))
        engine = AnalyzeEngine(measured, clock, app.analyze_config(loaded), meter, watch.take)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(), name="watch")
            tasks.create_task(engine.run(systemd.ready), name="analyze")


async def _analyze_since(loaded: Loaded, since: datetime, output: Output) -> None:
    from zerogex.engines.analyze import AnalyzeEngine

    with app.open_store(loaded) as store, FeedClock(store) as clock:
        filled = await AnalyzeEngine(store, clock, app.analyze_config(loaded)).fill(since)
        simulated = is_simulated(store.feed_state())
    rows = [(name, len(done), min(done, default=None), max(done, default=None)) for name, done in filled.items()]
    emit_marked(("underlying", "minutes", "first", "last"), rows, output, simulated, title="Analysed")


async def _analyze_once(loaded: Loaded, symbol: str | None, output: Output) -> None:
    from zerogex.engines.analyze import AnalyzeEngine

    columns = ("underlying", "data_timestamp", "spot", "net_gex", "gamma_flip", "gamma_flip_status", "call_wall",
               "put_wall", "max_pain", "simulated")  # fmt: skip
    with app.open_store(loaded) as store, FeedClock(store) as clock:
        analyses = await AnalyzeEngine(store, clock, app.analyze_config(loaded)).once()
        made_up = mark(any(analysis.simulated for analysis in analyses))
        emit(columns, [_headline(analysis, columns) for analysis in analyses], output, title=f"Analysis{made_up}")
        if not analyses:
            say_nothing(store, symbol, "no chain is stored yet; start the platform with `zerogex up`")


def _headline(analysis: Any, columns: tuple[str, ...]) -> tuple[Any, ...]:
    from zerogex.analytics.document import document

    whole = document(analysis)
    return tuple(whole[name] if name != "data_timestamp" else analysis.data_timestamp for name in columns)


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 picks a free one.")] = None,
    debug: Debug = False,
) -> None:
    """Serve the page, the API and the WebSocket."""
    loaded = start("serve", {"serve_host": host, "serve_port": port}, debug=debug)
    run_until_stopped(_serve(loaded))


async def _serve(loaded: Loaded) -> None:
    from zerogex.serving.access import check_keys
    from zerogex.serving.app import create_app
    from zerogex.serving.server import serve_until_cancelled

    config = app.serving_config(loaded.settings)
    with (
        measure.meter_of(loaded.settings, "serve") as meter,
        app.open_store(loaded, migrate=True) as store,
        FeedClock(store) as clock,
    ):
        check_keys(config, store.api_keys)
        page = create_app(measure.measured_store(store, meter), lambda: clock, config, meter)
        await serve_until_cancelled(page, config, systemd.ready)


def simulate(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 picks a free one.")
    ] = app.SIMULATOR_PORT,
    seed: Annotated[int, typer.Option("--seed", help="The same seed is the same market.")] = 7,
    start_at: Annotated[
        datetime | None, typer.Option("--start", help="Market time to begin at, New York: 2026-11-20T10:30.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", min=0.01, max=1000, help="Market seconds in a second.")] = 1.0,
    chain: Annotated[
        list[Path] | None, typer.Option("--chain", help="Seed strikes, OI, volume and IV from a chain file.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="A fault to play: name or name=value (docs/simulator.md).")
    ] = None,
    listen_fd: Annotated[int | None, typer.Option("--listen-fd", hidden=True)] = None,
    debug: Debug = False,
) -> None:
    """Serve a simulated market, on loopback.  It speaks TradeStation's v3 wire protocol."""
    start("simulate", {}, debug=debug)
    chains = tuple(app.read_chain(path).chain for path in chain or ())
    begin = start_at.replace(tzinfo=NEW_YORK) if start_at and start_at.tzinfo is None else start_at
    run_until_stopped(
        app.simulator(
            chains, fault or [], port=port, listen_fd=listen_fd, seed=seed, start=begin, speed=speed
        ).serve_forever()
    )

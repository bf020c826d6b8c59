"""`zerogex probe`: ask the feed one thing, or everything, and say what passed."""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from zerogex import app
from zerogex.cli.marks import emit_marked, mark
from zerogex.cli.output import Output
from zerogex.cli.process import run_until_stopped
from zerogex.cli.quiet import quiet
from zerogex.cli.run import Debug
from zerogex.errors import ProviderError
from zerogex.settings import Loaded

WIDTH = 80


class Probe(StrEnum):
    """What can be asked of the feed."""

    AUTH = "auth"
    QUOTE = "quote"
    BARS = "bars"
    STREAM_BARS = "stream-bars"
    OPTIONS = "options"
    SEARCH = "search"
    MARKET_HOURS = "market-hours"
    DEPTH = "depth"


def _symbol(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise typer.BadParameter(f"{value!r} is not a symbol; expected one such as SPY")
    return value.strip().upper()


def probe(
    name: Annotated[Probe | None, typer.Argument(help="Which probe; left out: all of them.")] = None,
    symbol: Annotated[str, typer.Option("--symbol", "-s", callback=_symbol, help="What to ask about.")] = "SPY",
    bars_back: Annotated[
        int, typer.Option("--bars-back", min=1, max=2000, help="How many bars, messages or levels.")
    ] = 10,
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    debug: Debug = False,
) -> None:
    """Ask the feed one thing, or everything, and say what passed."""
    loaded = quiet("probe", {}, debug=debug)
    if debug:
        logging.getLogger("httpx2").setLevel(logging.INFO)  # a line a request
    if name is not None:
        run_until_stopped(_one(loaded, name, symbol, bars_back, output))
        return
    failed: list[str] = []
    run_until_stopped(_all(loaded, symbol, bars_back, output, failed))
    if failed:
        raise typer.Exit(1)


async def _one(loaded: Loaded, name: Probe, symbol: str, bars_back: int, output: Output) -> None:
    clock = await app.market_clock(loaded)
    probes = app.probes(loaded, clock)
    try:
        answer = await probes.ask(name.value, app.probe_question(symbol, bars_back))
    finally:
        await probes.aclose()
    emit_marked(answer.columns, answer.rows, output, clock.simulated, title=answer.summary)


async def _all(loaded: Loaded, symbol: str, bars_back: int, output: Output, failed: list[str]) -> None:
    clock = await app.market_clock(loaded)
    probes = app.probes(loaded, clock)
    rows: list[tuple[str, str, float, str]] = []
    try:
        for name in Probe:
            began = time.monotonic()
            try:
                answer = await probes.ask(name.value, app.probe_question(symbol, bars_back))
                passed, said = "passed", answer.summary
            except ProviderError as error:
                passed, said = "FAILED", str(error)
                failed.append(name.value)
            rows.append((name.value, passed, round(time.monotonic() - began, 2), said))
    finally:
        await probes.aclose()
    if output is Output.TABLE:
        _table(f"{symbol}{mark(clock.simulated)}", rows)
    else:
        emit_marked(("probe", "result", "seconds", "what_it_said"), rows, output, clock.simulated)
    if failed:
        typer.echo(f"zerogex: {len(failed)} of {len(rows)} probes failed: {', '.join(failed)}", err=True)


def _table(subject: str, rows: Sequence[tuple[str, str, float, str]]) -> None:
    """One probe a line; what it said wraps under itself."""
    typer.echo(f"Probes of {subject}")
    for name, result, seconds, said in rows:
        head = f"{result:<7} {name:<13} {seconds:>6.2f} s  "
        typer.echo(textwrap.fill(said, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)))

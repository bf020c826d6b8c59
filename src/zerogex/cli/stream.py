"""`zerogex stream`: what the feed says, as it says it.  Stores nothing, needs no database."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import typer

from zerogex import app
from zerogex.cli.output import Output, human, machine
from zerogex.cli.process import run_until_stopped
from zerogex.cli.quiet import quiet
from zerogex.cli.run import Debug, Distance, Expirations, Underlying
from zerogex.clock import Clock
from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.calendar import NEW_YORK
from zerogex.domain.quote import OptionQuote
from zerogex.errors import UnknownSymbol
from zerogex.pipeline import strikes
from zerogex.ports import ChainWindow, FeedEvent, MarketData
from zerogex.settings import Loaded

_BAR = ("open", "high", "low", "close", "up_volume", "down_volume", "closed")
_QUOTE = ("bid", "ask", "last", "volume", "open_interest", "iv", "delta", "gamma", "theta", "vega")

_HEADER = (
    f"{'time ET':<8} {'contract':<20} {'bid':>8} {'ask':>8} {'last':>8} {'volume':>7} {'OI':>7} {'IV':>6}\n"
    f"{'':<8} or: symbol, minute, open, high, low, close, shares"
)


def stream(
    underlying: Underlying = None,
    expirations: Expirations = None,
    strike_distance: Distance = None,
    max_iterations: Annotated[
        int | None, typer.Option("--max-iterations", min=1, help="Stop after so many readings of the feed.")
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table or ndjson.")] = Output.TABLE,
    debug: Debug = False,
) -> None:
    """Print bars and quotes as the feed says them; store nothing.  Ctrl-C ends."""
    if output not in (Output.TABLE, Output.NDJSON):
        raise typer.BadParameter(
            f"{output.value} cannot be printed line by line; use table or ndjson", param_hint="--output"
        )
    overrides = {
        "stream_underlying": underlying,
        "stream_expirations": expirations,
        "stream_strike_distance": strike_distance,
    }
    run_until_stopped(_stream(quiet("stream", overrides, debug=debug), output, max_iterations))


async def _stream(loaded: Loaded, output: Output, most: int | None) -> None:
    settings = loaded.settings
    distance = strikes.parse_distance(settings.stream_strike_distance)
    clock = await app.market_clock(loaded)
    market = app.market_data(loaded, clock)
    printer = _Printer(output, clock, most)
    market.on_event = printer.event
    try:
        windows = [
            window
            for symbol in settings.underlyings
            for window in await _windows(market, clock, symbol, settings.stream_expirations, distance)
        ]
        contracts = sum(len(window.contracts) for window in windows)
        dates = "1 expiration" if len(windows) == 1 else f"{len(windows)} expirations"
        mark = "SIMULATED " if clock.simulated else ""
        typer.echo(
            f"zerogex: {mark}{', '.join(settings.underlyings)}: {dates}, {contracts} contracts; Ctrl-C stops",
            err=True,
        )
        await _listen(market, settings.underlyings, windows, printer)
    finally:
        await market.aclose()


async def _windows(
    market: MarketData, clock: Clock, symbol: str, count: int, distance: strikes.StrikeDistance
) -> list[ChainWindow]:
    quotes = await market.quotes([symbol])
    if not quotes:
        raise UnknownSymbol(f"the feed does not know {symbol}; check the symbol (`zerogex probe search --symbol …`)")
    keys = strikes.first_expirations(await market.expirations(symbol), clock.now(), count)
    spot = quotes[0].last
    return [strikes.plan_window(symbol, key, await market.contracts(symbol, *key), spot, distance) for key in keys]


async def _listen(
    market: MarketData, underlyings: Sequence[str], windows: Sequence[ChainWindow], printer: _Printer
) -> None:
    """Every stream at once, until enough was printed or one of them fails for good."""

    async def bars(symbol: str) -> None:
        async with aclosing(market.follow_bars(symbol)) as found:  # type: ignore[type-var]
            async for bar in found:
                printer.bar(bar)

    async def chain(window: ChainWindow) -> None:
        async with aclosing(market.follow_chain(window)) as found:  # type: ignore[type-var]
            async for quotes in found:
                printer.quotes(quotes)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(bars(symbol)) for symbol in underlyings]
        running += [tasks.create_task(chain(window)) for window in windows]
        await printer.enough.wait()
        for task in running:
            task.cancel()


class _Printer:
    """Readings to stdout; counts them."""

    def __init__(self, output: Output, clock: Clock, most: int | None) -> None:
        self.enough = asyncio.Event()
        self._ndjson = output is Output.NDJSON
        self._clock = clock
        self._most = most
        self._count = 0
        self._headed = False

    def bar(self, bar: UnderlyingBar) -> None:
        """A bar, forming or closed."""
        if self._is_over():
            return
        fields = {name: getattr(bar, name) for name in _BAR}
        if self._ndjson:
            self._object({"kind": "bar", "symbol": bar.symbol, "timestamp": bar.start, **fields}, bar.received_time)
        else:
            state = "closed" if bar.closed else "forming"
            self._line(
                bar.received_time,
                f"{bar.symbol:<5} {_clock_text(bar.start)[:5]} {bar.open:,.2f} {bar.high:,.2f} {bar.low:,.2f} "
                f"{bar.close:,.2f} {bar.up_volume + bar.down_volume:,} {state}",
            )
        self._counted()

    def quotes(self, quotes: Sequence[OptionQuote]) -> None:
        """One network read of a chain."""
        if self._is_over():
            return
        for quote in quotes:
            fields = {name: getattr(quote, name) for name in _QUOTE}
            if self._ndjson:
                symbol = quote.contract.symbol
                self._object(
                    {"kind": "quote", "symbol": symbol, "event_time": quote.event_time, **fields}, quote.received_time
                )
            else:
                iv = f"{100 * quote.iv:.1f}%" if quote.iv else "-"
                self._line(
                    quote.received_time,
                    f"{quote.contract.symbol:<20} {_price(quote.bid):>8} {_price(quote.ask):>8} "
                    f"{_price(quote.last):>8} {human(quote.volume):>7} {human(quote.open_interest):>7} {iv:>6}",
                )
        sys.stdout.flush()
        self._counted()

    def event(self, event: FeedEvent) -> None:
        """What the feed's client says about itself: talk, not data."""
        typer.echo(f"zerogex: {event.kind} {event.stream} {event.detail}".rstrip(), err=True)

    def _is_over(self) -> bool:
        return self._most is not None and self._count >= self._most

    def _counted(self) -> None:
        self._count += 1
        if self._is_over():
            self.enough.set()

    def _object(self, fields: dict[str, Any], received: datetime) -> None:
        plain = {name: machine(value) for name, value in {**fields, "received_time": received}.items()}
        sys.stdout.write(json.dumps({**plain, "simulated": self._clock.simulated}) + "\n")
        sys.stdout.flush()

    def _line(self, received: datetime, text: str) -> None:
        if not self._headed:
            self._headed = True
            sys.stdout.write(_HEADER + "\n")
        sys.stdout.write(f"{_clock_text(received)} {text}\n")


def _price(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _clock_text(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%H:%M:%S}"

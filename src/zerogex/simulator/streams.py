"""The streaming half of the wire: which stream a path opens, and with which parameters."""

from __future__ import annotations

import asyncio
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from zerogex.simulator.asked import (
    choice,
    decimal,
    exchange_of,
    expiration,
    listed_under,
    named,
    parameters,
    symbols_in,
    underlying,
    whole,
)
from zerogex.simulator.exchange import Exchange, Refused
from zerogex.simulator.instruments import roots_under
from zerogex.simulator.rest import SPREADS, bar_spec
from zerogex.simulator.sources import BarSource, ChainSource, DepthSource, QuoteSource, window
from zerogex.simulator.speech import Source, Speech

_MOST_STREAMED_SYMBOLS = 1000  # documented: 100; in production 800 were seen


def routes() -> list[Route]:
    data = "/v3/marketdata/stream"
    return [
        Route(f"{data}/quotes/{{symbols}}", quotes),
        Route(f"{data}/barcharts/{{symbol}}", barcharts),
        Route(f"{data}/options/chains/{{underlying}}", chains),
        Route(f"{data}/options/quotes", option_quotes),
        Route(f"{data}/marketdepth/{{kind}}/{{symbol}}", depth),
    ]


class StreamResponse(Response):
    """A source spoken over one connection."""

    def __init__(self, exchange: Exchange, kind: str, path: str, source: Source) -> None:
        self.exchange, self.kind, self.path, self.source = exchange, kind, path, source
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, faults = self.exchange, self.exchange.faults
        full = 0 < faults.stream_cap <= len(exchange.ledger.open)
        if full and faults.cap_mode == "429":
            await Refused(429, "TooManyRequests", "Rate quota exceeded").response()(scope, receive, send)
            return
        record = exchange.ledger.opened(self.kind, self.path)
        speech = Speech(exchange, record, self.source, send, scope["client"])
        await speech.run(receive, close_at_once=full)


def _stream(request: Request, kind: str, source: Source) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return StreamResponse(exchange_of(request), kind, path, source)


async def quotes(request: Request) -> Response:
    symbols = symbols_in(request.path_params["symbols"], _MOST_STREAMED_SYMBOLS)
    return _stream(request, "quotes", QuoteSource(exchange_of(request), symbols))


async def barcharts(request: Request) -> Response:
    exchange, asked = exchange_of(request), parameters(request)
    what = named(exchange, request.path_params["symbol"])
    if what is None or what.contract is not None:
        raise Refused(400, "BadRequest", "Invalid symbol")
    unit, interval, template = bar_spec(asked)
    back = whole(asked, "barsback", 1, 1, 57_600)
    return _stream(request, "barcharts", BarSource(exchange, what, unit, interval, template, back))


async def chains(request: Request) -> Response:
    exchange, asked = exchange_of(request), parameters(request)
    name, one = underlying(request)
    if choice(asked, "spreadtype", SPREADS) != "Single":
        raise Refused(400, "BadRequest", "The simulator streams spreadType Single only")
    listed = listed_under(exchange, name, one)
    day = expiration(asked, listed)
    if day is None or day not in {e.date for e in listed}:
        raise Refused(404, "NotFound", f"No options of {name} expire on {day}")
    names = await asyncio.to_thread(_window, exchange, name, one.symbol, day, asked)
    greeks = choice(asked, "enablegreeks", ("true", "false")) == "true"
    return _stream(request, "chains", ChainSource(exchange, one, names, _rate(exchange, asked), greeks))


def _window(exchange: Exchange, name: str, symbol: str, day: date, asked: dict[str, str]) -> list[str]:
    now = exchange.now()
    book, _ = exchange.market.book(symbol, now)
    center = decimal(asked, "pricecenter", exchange.market.price(symbol, now))
    proximity = whole(asked, "strikeproximity", 5, 1, 10_000)
    every = whole(asked, "strikeinterval", 1, 1, 1000)
    kind = choice(asked, "optiontype", ("All", "Call", "Put"))
    side = choice(asked, "strikerange", ("All", "ITM", "OTM"))
    roots = roots_under(name, exchange.faults.both_roots)
    names = window(book, day, roots, center, proximity * every, kind, side)
    return names if every == 1 else _every(names, every)


def _every(names: list[str], every: int) -> list[str]:
    """Every n-th strike of a window, both kinds of it."""
    strikes = sorted({float(name.split()[1][7:]) for name in names})[::every]
    return [name for name in names if float(name.split()[1][7:]) in strikes]


def _rate(exchange: Exchange, asked: dict[str, str]) -> float:
    return decimal(asked, "riskfreerate", exchange.market.price("IRX", exchange.now()) / 100.0)


async def option_quotes(request: Request) -> Response:
    exchange, asked = exchange_of(request), parameters(request)
    legs = [value for name, value in asked.items() if name.startswith("legs[") and name.endswith("].symbol")]
    if len(legs) != 1:
        raise Refused(400, "BadRequest", "legs[0].Symbol must name one option; the simulator prices single legs only")
    what = await asyncio.to_thread(named, exchange, legs[0])
    if what is None or what.contract is None:
        raise Refused(400, "BadRequest", f"Invalid option symbol {legs[0][:40]}")
    greeks = choice(asked, "enablegreeks", ("true", "false")) == "true"
    source = ChainSource(exchange, what.one, [what.name], _rate(exchange, asked), greeks)
    return _stream(request, "option quotes", source)


async def depth(request: Request) -> Response:
    exchange, kind = exchange_of(request), request.path_params["kind"]
    what = named(exchange, request.path_params["symbol"])
    if kind not in ("quotes", "aggregates") or what is None or what.contract or what.one.kind == "INDEX":
        raise Refused(400, "BadRequest", "Market depth exists for stocks: marketdepth/quotes/SPY or …/aggregates/SPY")
    levels = whole(parameters(request), "maxlevels", 20, 1, 100)
    return _stream(request, f"depth {kind}", DepthSource(exchange, what, levels, kind == "aggregates"))

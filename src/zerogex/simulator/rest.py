"""The request-and-answer half of the wire: quotes, bars, expirations, strikes, symbols."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zerogex.simulator import wire
from zerogex.simulator.asked import (
    Named,
    choice,
    date_in,
    decimal,
    exchange_of,
    expiration,
    instant_in,
    listed_under,
    named,
    parameters,
    symbols_in,
    underlying,
    whole,
)
from zerogex.simulator.bars import TEMPLATES, UNITS, Bar
from zerogex.simulator.exchange import Exchange, Refused, reply
from zerogex.simulator.instruments import INSTRUMENTS, find
from zerogex.simulator.option_bars import option_bars
from zerogex.simulator.tricks import float32

SPREADS = ("Single", "Straddle", "Vertical", "Strangle", "RatioBack1x2", "RatioBack1x3", "RatioBack2x3", "Butterfly",
           "IronButterfly", "Condor", "IronCondor", "Covered", "Collar", "Combo", "Calendar", "Diagonal")  # fmt: skip
_NO_STRIKE_INTERVAL = ("Single", "Straddle", "Covered", "Combo", "Calendar")
_MOST_BARS, _MOST_MINUTES = 57_600, 500_000
_LEGS = {"Single": 1, "Straddle": 1, "Vertical": 2, "Strangle": 2, "Butterfly": 3, "IronButterfly": 3, "Condor": 4,
         "IronCondor": 4}  # fmt: skip

CRYPTO_PAIRS = ("BTCUSD", "ETHUSD", "LTCUSD", "BCHUSD")


def routes() -> list[Route]:
    data = "/v3/marketdata"
    return [
        Route(f"{data}/quotes/{{symbols}}", quotes),
        Route(f"{data}/barcharts/{{symbol}}", barcharts),
        Route(f"{data}/options/expirations/{{underlying}}", expirations),
        Route(f"{data}/options/strikes/{{underlying}}", strikes),
        Route(f"{data}/options/spreadtypes", spread_types),
        Route(f"{data}/options/riskreward", risk_reward, methods=["POST"]),
        Route(f"{data}/symbols/{{symbols}}", symbol_details),
        Route(f"{data}/symbollists/cryptopairs/symbolnames", crypto_pairs),
        Route("/v2/data/symbols/suggest/{text}", suggest),
        Route("/v2/data/symbols/search/{criteria}", search),
    ]


async def quotes(request: Request) -> Response:
    exchange, symbols = exchange_of(request), symbols_in(request.path_params["symbols"], 100)
    return reply(await asyncio.to_thread(_quotes, exchange, symbols))


def _quotes(exchange: Exchange, symbols: list[str]) -> dict[str, Any]:
    wanted, errors = [], []
    refused = {name.upper() for name in exchange.faults.not_entitled}
    for symbol in symbols:
        what = named(exchange, symbol)
        if what is None:
            errors.append({"Symbol": symbol, "Error": "FAILED, INVALID SYMBOL"})
        elif what.name in refused:
            errors.append({"Symbol": symbol, "Error": "FAILED, NOT ENTITLED"})
        else:
            wanted.append(what)
    quotes = quotes_of(exchange, wanted, percent=True)
    bend = float32 if exchange.faults.float32_prices else dict
    return {"Quotes": [bend(quotes[what.name]) for what in wanted if what.name in quotes],
            **({"Errors": errors} if errors else {})}  # fmt: skip


def quotes_of(exchange: Exchange, wanted: list[Named], *, percent: bool) -> dict[str, wire.Fields]:
    """Full quotes now, by name; options of one underlying are priced together, delisted ones are left out."""
    now, delayed = exchange.now(), exchange.faults.delayed
    out: dict[str, wire.Fields] = {}
    for owner in {what.one.symbol for what in wanted if what.contract}:
        book, second = exchange.market.book(owner, now)
        names = (what.name for what in wanted if what.contract and what.one.symbol == owner)
        rows = [row for name in names if (row := book.listed.find(name)) is not None]
        market = book.quotes(second, np.array(rows, np.int64))
        trades = book.trades(market)
        for i, row in enumerate(rows):
            fields = wire.option_quote_fields(market, trades, i, percent=percent, delayed=delayed)
            out[str(book.listed.names[row])] = fields
    for what in wanted:
        if what.contract is None:
            quote = exchange.market.quote(what.one.symbol, now)
            out[what.name] = wire.quote_fields(what.name, quote, percent=percent, delayed=delayed)
    return out


async def barcharts(request: Request) -> Response:
    exchange, asked = exchange_of(request), parameters(request)
    if exchange.faults.bars_error:
        return reply({"Error": "Failed", "Message": exchange.faults.bars_error})
    what = named(exchange, request.path_params["symbol"])
    if what is None:
        return reply({"Error": "InvalidSymbol", "Message": "Symbol cannot be found"})
    bars = await asyncio.to_thread(_bars, exchange, what, asked)
    if not bars:
        raise Refused(404, "NotFound", "No data available.")
    last = len(bars) - 1
    return reply({"Bars": [
        {**wire.bar_fields(bar, end_of_history=i == last), "OpenInterest": str(held)}
        for i, (bar, held) in enumerate(bars)
    ]})  # fmt: skip


def bar_spec(asked: dict[str, str]) -> tuple[str, int, str]:
    """Unit, interval and session template of a bar request."""
    unit = choice(asked, "unit", ("Daily", *(u for u in UNITS if u != "Daily")))
    interval = whole(asked, "interval", 1, 1, 1440)
    if unit != "Minute" and interval != 1:
        raise Refused(400, "BadRequest", f"interval must be 1 for unit {unit}")
    return unit, interval, choice(asked, "sessiontemplate", TEMPLATES)


def _bars(exchange: Exchange, what: Named, asked: dict[str, str]) -> list[tuple[Bar, int]]:
    """Bars and, for an option, the open interest of each; 0 for anything else."""
    unit, interval, template = bar_spec(asked)
    if asked.get("barsback") and asked.get("firstdate"):
        raise Refused(400, "BadRequest", "barsback and firstdate exclude each other")
    now = exchange.now()
    count = whole(asked, "barsback", 1, 1, _MOST_BARS) if not asked.get("firstdate") else None
    if unit == "Minute" and count is not None and count * interval > _MOST_MINUTES:
        raise Refused(400, "BadRequest", f"barsback * interval must not exceed {_MOST_MINUTES} minutes")
    ends = asked.get("lastdate") or asked.get("startdate")
    last = min(instant_in(ends, "lastdate", end_of_day=True), now) if ends else now
    first = instant_in(asked["firstdate"], "firstdate") - timedelta(seconds=1) if asked.get("firstdate") else None
    if what.contract is not None:
        return option_bars(exchange.market, what.one.symbol, what.name, unit, interval, last, count=count, first=first)
    bars = _between(exchange, what.one.symbol, unit, interval, template, first, last, now, count)
    return [(bar, 0) for bar in bars]


def _between(exchange: Exchange, symbol: str, unit: str, interval: int, template: str, first: datetime | None,
             last: datetime, now: datetime, count: int | None) -> list[Bar]:  # fmt: skip
    if first is not None and (last - first > timedelta(days=3 * 366) and unit == "Minute"):
        raise Refused(400, "BadRequest", "The date range must not exceed 3 years")
    more = None if count is None else count + 1
    try:
        bars = exchange.market.bars(symbol, unit, last, interval=interval, template=template, count=more, first=first)
    except ValueError:
        return []
    if last < now and bars and not bars[-1].closed:  # the bar that was forming then is another one now
        bars.pop()
    if len(bars) > _MOST_BARS:
        raise Refused(400, "BadRequest", f"The request is for more than {_MOST_BARS} bars")
    return bars if count is None else bars[-count:]


async def expirations(request: Request) -> Response:
    exchange = exchange_of(request)
    name, one = underlying(request)
    listed = listed_under(exchange, name, one)
    faults = exchange.faults
    rows = [wire.expiration_fields(e, with_root=not faults.no_root, eom_types=faults.eom_types) for e in listed]
    return reply({"Expirations": rows})


async def crypto_pairs(request: Request) -> Response:
    """The names exist; this market has no quotes for them."""
    return reply({"SymbolNames": list(CRYPTO_PAIRS)})


async def strikes(request: Request) -> Response:
    exchange, asked = exchange_of(request), parameters(request)
    name, one = underlying(request)
    spread = choice(asked, "spreadtype", SPREADS)
    every = whole(asked, "strikeinterval", 1, 1, 1000)
    listed = listed_under(exchange, name, one)
    day = expiration(asked, listed)
    found = await asyncio.to_thread(strikes_of, exchange, one.symbol, [e for e in listed if e.date == day])
    legs = _LEGS.get(spread, 1)
    step = every if legs > 1 else 1
    groups = [found[i : i + legs * step : step] for i in range(len(found))] if legs > 1 else [[k] for k in found]
    return reply({"SpreadType": spread, "Strikes": [[wire.text(k) for k in g] for g in groups if len(g) == legs]})


def strikes_of(exchange: Exchange, symbol: str, wanted: list[Any]) -> list[float]:
    """The strikes of some expiries, ascending."""
    if not wanted:
        return []
    book, _ = exchange.market.book(symbol, exchange.now())
    rows = [book.listed.strike[book.listed.rows(i)] for i, e in enumerate(book.listed.expiries) if e in wanted]
    return [float(k) for k in np.unique(np.concatenate(rows))] if rows else []


async def spread_types(request: Request) -> Response:
    return reply({"SpreadTypes": [
        {"Name": name, "StrikeInterval": name not in _NO_STRIKE_INTERVAL,
         "ExpirationInterval": name in ("Calendar", "Diagonal")} for name in SPREADS
    ]})  # fmt: skip


async def risk_reward(request: Request) -> Response:
    """Payoff of a position at one expiration: extremes and where it crosses zero, in dollars a share times 100."""
    body = await request.json()
    legs = []
    for leg in body.get("Legs", []):
        what = named(exchange_of(request), str(leg.get("Symbol", "")))
        if what is None or what.contract is None or not leg.get("Quantity"):
            raise Refused(400, "BadRequest", "Every leg needs a listed option Symbol and a Quantity other than 0")
        side = 1 if str(leg.get("TradeAction", "")).upper().startswith("BUY") else -1
        legs.append((float(what.contract.strike), what.contract.kind.sign, side * abs(int(leg["Quantity"]))))
    if not legs:
        raise Refused(400, "BadRequest", "Legs is empty")
    return reply(_risk_reward(legs, float(body.get("SpreadPrice", 0.0))))


def _risk_reward(legs: list[tuple[float, int, int]], price: float) -> dict[str, Any]:
    def worth(spot: float) -> float:
        return 100 * (sum(n * max(sign * (spot - k), 0.0) for k, sign, n in legs) - price)

    corners = [0.0, *sorted({k for k, _, _ in legs})]
    slope = sum(n for _, sign, n in legs if sign > 0)
    corners.append(corners[-1] * 3 + 100)
    values = [worth(spot) for spot in corners]
    crossings = [
        a + (b - a) * -va / (vb - va)
        for (a, va), (b, vb) in zip(zip(corners, values, strict=True), list(zip(corners, values, strict=True))[1:],
                                    strict=False)
        if va * vb < 0
    ]  # fmt: skip
    inner = values[:-1]
    return {
        "MaxGainIsInfinite": slope > 0, "AdjustedMaxGain": "0" if slope > 0 else wire.text(max(inner), 2),
        "MaxLossIsInfinite": slope < 0, "AdjustedMaxLoss": "0" if slope < 0 else wire.text(min(inner), 2),
        "BreakevenPoints": [wire.text(spot, 2) for spot in crossings],
    }  # fmt: skip


async def symbol_details(request: Request) -> Response:
    exchange = exchange_of(request)
    found, errors = [], []
    for symbol in symbols_in(request.path_params["symbols"], 50):
        what = await asyncio.to_thread(named, exchange, symbol)
        if what is None:
            errors.append({"Symbol": symbol, "Error": "NotFound", "Message": "Symbol not found"})
        elif what.contract is None:
            found.append({**wire.symbol_fields(what.one), "Symbol": what.name})
        else:
            found.append(_option_details(exchange, what))
    return reply({"Symbols": found, "Errors": errors})


def _option_details(exchange: Exchange, what: Named) -> wire.Fields:
    assert what.contract is not None
    listed = exchange.market.expiries(what.one.symbol, exchange.now())
    expiry = next(e for e in listed if (e.date, e.root) == (what.contract.expiration, what.contract.root))
    return wire.option_symbol_fields(what.one, what.name, expiry, float(what.contract.strike),
                                     what.contract.kind.sign > 0)  # fmt: skip


async def suggest(request: Request) -> Response:
    """v2: underlyings whose symbol or name begins with a text."""
    asked, text = parameters(request), request.path_params["text"].upper().lstrip("$")
    most = whole(asked, "$top", 20, 1, 500)
    hits = [one for one in INSTRUMENTS.values() if one.symbol.startswith(text) or text in one.name.upper()]
    return reply([_v2_fields(one.vendor, one.name, one.kind, one.exchange, one.vendor) for one in hits[:most]])


async def search(request: Request) -> Response:
    """v2: options of a root (`R=SPY&C=SO&Exd=…&OT=Call&Spl=…&Sph=…`), or underlyings (`N=` or `C=S`)."""
    pairs = [pair.partition("=") for pair in request.path_params["criteria"].split("&")]
    asked = {name.lower(): value for name, _, value in pairs}
    root = asked.get("r", asked.get("n", "")).upper()
    if asked.get("c", "S").upper() not in ("SO", "IO"):
        hits = [one for one in INSTRUMENTS.values() if root in (one.symbol, one.vendor)]
        return reply([_v2_fields(one.vendor, one.name, one.kind, one.exchange, one.vendor) for one in hits])
    one = find(root) or find(f"${root}.X")
    if one is None or one.options is None:
        return reply([])
    return reply(await asyncio.to_thread(_search_options, exchange_of(request), one.symbol, asked))


def _search_options(exchange: Exchange, symbol: str, asked: dict[str, str]) -> list[wire.Fields]:
    book, _ = exchange.market.book(symbol, exchange.now())
    listed, out = book.listed, []
    day: date | None = date_in(asked["exd"], "Exd") if asked.get("exd") else None
    low, high = decimal(asked, "spl", 0.0), decimal(asked, "sph", 1e9)
    kind = asked.get("ot", "Both").lower()
    for row in np.flatnonzero((listed.strike >= low) & (listed.strike <= high)).tolist():
        expiry, call = listed.expiries[int(listed.of[row])], bool(listed.is_call[row])
        if (day is None or expiry.date == day) and kind[:1] in ("b", "", "c" if call else "p"):
            fields = _v2_fields(str(listed.names[row]), "", "StockOption", "OPRA", book.one.vendor)
            out.append(fields | {"ExpirationDate": wire.midnight(expiry.date), "ExpirationType": expiry.type[0],
                                 "OptionType": "Call" if call else "Put", "Root": expiry.root, "PointValue": 100,
                                 "StrikePrice": float(listed.strike[row])})  # fmt: skip
        if len(out) >= 5000:
            break
    return out


def _v2_fields(name: str, description: str, category: str, venue: str, owner: str) -> wire.Fields:
    return {
        "Name": name, "Category": category.title() if category.isupper() else category, "Country": "United States",
        "Currency": "USD", "Description": description, "DisplayType": 0, "Exchange": venue, "ExchangeID": 0,
        "ExpirationDate": None, "ExpirationType": "", "FutureType": "", "MinMove": 1, "OptionType": "",
        "PointValue": 1, "Root": name, "StrikePrice": 0, "Underlying": owner,
    }  # fmt: skip

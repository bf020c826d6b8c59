"""What a person asks by hand: find a symbol, its details, its market depth, today's hours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from zerogex.clock import Clock
from zerogex.domain.calendar import (
    Session,
    is_early_close,
    is_session,
    next_session,
    session_at,
    session_close,
    session_open,
    trading_date,
)
from zerogex.errors import Unavailable
from zerogex.providers.tradestation import answers, wire
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.connection import StreamRequest
from zerogex.providers.tradestation.symbols import in_path, vendor_symbol

DETAILS_AT_ONCE = 50  # symbols, the vendor's limit
OPENING_S = 10.0  # how long a probe waits for a free stream


class _Details(wire.Refusal):
    symbols: list[dict[str, Any]] | None = None
    errors: list[wire.SymbolError] | None = None


class _Book(wire.Frame):
    bids: list[dict[str, Any]] | None = None
    asks: list[dict[str, Any]] | None = None


_DETAILS, _BOOK = wire.decoder(_Details), wire.decoder(_Book)


@dataclass(frozen=True, slots=True)
class MarketDepth:
    """The book at one moment: bids from high to low, asks from low to high, in the vendor's words."""

    symbol: str
    bids: Sequence[dict[str, Any]]
    asks: Sequence[dict[str, Any]]
    received_time: datetime


@dataclass(frozen=True, slots=True)
class MarketHours:
    """The regular session of a day, or of the next day that has one, by our own calendar."""

    now: datetime
    session: Session
    day: date
    opens: datetime  # UTC
    closes: datetime
    early_close: bool


async def symbol_search(feed: TradeStation, text: str, *, limit: int = 20) -> Sequence[dict[str, Any]]:
    """Symbols whose name or description begins so, in the vendor's fields (API v2 has it alone)."""
    path = f"/v2/data/symbols/suggest/{quote(text, safe='')}"
    body = await feed.rest.get(path, "symbols/suggest", text, **{"$top": limit})
    if not body:
        return []
    try:
        return msgspec.json.decode(body, type=list[dict[str, Any]])[:limit]
    except msgspec.DecodeError as error:
        raise answers.wrong_body(body, "symbols/suggest", str(error)) from None


async def symbol_details(feed: TradeStation, symbols: Sequence[str]) -> Sequence[dict[str, Any]]:
    """Asset type, description, exchange, price format and so on; unknown symbols are left out."""
    found: list[dict[str, Any]] = []
    for begin in range(0, len(symbols), DETAILS_AT_ONCE):
        batch = [vendor_symbol(symbol) for symbol in symbols[begin : begin + DETAILS_AT_ONCE]]
        body = await feed.rest.get(f"/v3/marketdata/symbols/{in_path(*batch)}", "symbols", ", ".join(batch)[:200])
        if body:
            found += answers.read(_DETAILS, body, "symbols", ", ".join(batch)[:200]).symbols or []
    return found


async def market_depth(feed: TradeStation, symbol: str, *, levels: int = 20, aggregates: bool = True) -> MarketDepth:
    """The first book the depth stream sends.  The key needs the scope Matrix: otherwise NotAuthorized."""
    theirs = vendor_symbol(symbol)
    kind = "aggregates" if aggregates else "quotes"
    request = StreamRequest(
        name=f"depth {symbol}",
        path=f"/v3/marketdata/stream/marketdepth/{kind}/{in_path(theirs)}",
        group="marketdepth",
        subject=symbol,
        vendor_symbol=theirs,
        decoder=_BOOK,
        params=lambda: {"maxlevels": levels},
    )
    async with feed.streams.place() as place:
        if not await place.granted(OPENING_S):
            raise Unavailable(f"TradeStation depth {symbol}: all streams are taken")
        async with aclosing(feed.streams.follow(request)) as batches:
            async for books, received in batches:
                if books:
                    return MarketDepth(symbol, books[-1].bids or [], books[-1].asks or [], received)
    raise Unavailable(f"TradeStation depth {symbol}: the client was closed")


def market_hours(clock: Clock, day: date | None = None) -> MarketHours:
    """The session of a day (today where none is given), or of the next session after it."""
    now = clock.now()
    wanted = day or trading_date(now)
    session_day = wanted if is_session(wanted) else next_session(wanted)
    return MarketHours(
        now,
        session_at(now),
        session_day,
        session_open(session_day),
        session_close(session_day),
        is_early_close(session_day),
    )

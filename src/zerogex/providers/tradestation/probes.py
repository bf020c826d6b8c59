"""Questions a person asks the vendor by hand, one at a time, each answered with rows to read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from zerogex.clock import Clock
from zerogex.domain.calendar import minute_of
from zerogex.errors import ProviderError, Unavailable, UnknownSymbol
from zerogex.ports import FeedEvent
from zerogex.providers.tradestation import extras
from zerogex.providers.tradestation.auth import Credentials
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.http import open_client

LONGEST_S = 30.0  # real seconds of one probe
LOOKED_BACK = timedelta(days=10)  # where the last bars before a holiday week are found
NEAR_CONTRACTS = 10  # shown of a chain
STREAMED_S = 15.0  # how long a stream is listened to once it spoke


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe heard: rows for a table, and one sentence that sums them up."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    summary: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about."""

    symbol: str = "SPY"
    bars_back: int = 10


class Probes:
    """Every probe by name; each opens what it needs of its own account and ends within half a minute."""

    def __init__(self, config: TradeStationConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._feed = TradeStation(config, clock)
        self._events: list[FeedEvent] = []
        self._feed.on_event = self._events.append
        self._by_name: Mapping[str, Callable[[Question], Awaitable[Answer]]] = {
            "auth": self._auth,
            "quote": self._quote,
            "bars": self._bars,
            "stream-bars": self._stream_bars,
            "options": self._options,
            "search": self._search,
            "market-hours": self._market_hours,
            "depth": self._depth,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """What can be asked."""
        return tuple(self._by_name)

    async def ask(self, name: str, question: Question) -> Answer:
        """Run one probe.  Raises the ProviderError that says what went wrong."""
        self._events.clear()
        try:
            async with asyncio.timeout(LONGEST_S):
                return await self._by_name[name](question)
        except TimeoutError:
            said = f"; the feed said: {self._events[-1].detail}" if self._events else ""
            raise Unavailable(f"{self._who} {name} for {question.symbol}: no answer in {LONGEST_S:g} s{said}") from None
        except ProviderError as error:
            error.args = (str(error).replace("TradeStation", self._who, 1), *error.args[1:])
            raise

    @property
    def _who(self) -> str:
        """Whom an error speaks of."""
        return "the simulator" if self._clock.simulated else "TradeStation"

    async def aclose(self) -> None:
        """End every connection."""
        await self._feed.aclose()

    async def _auth(self, question: Question) -> Answer:
        async with open_client(self._config) as http:
            credentials = Credentials(self._config, http)
            try:
                await credentials.token()
            finally:
                await credentials.aclose()
        details = await extras.symbol_details(self._feed, [question.symbol])
        rows = [("sign-in", self._config.auth_url), ("api", self._config.api_url), ("token", "accepted")]
        return Answer(
            ("what", "value"), rows, f"signed in; the API accepts the token ({len(details)} symbol asked for)"
        )

    async def _quote(self, question: Question) -> Answer:
        quotes = await self._feed.quotes([question.symbol])
        self._known(quotes, question)
        columns = ("symbol", "last", "bid", "ask", "volume", "event_time", "is_delayed")
        (quote,) = quotes
        delayed = ", DELAYED" if quote.is_delayed else ""
        return Answer(
            columns,
            [tuple(getattr(quote, name) for name in columns)],
            f"{quote.symbol} last {quote.last:,.2f}{delayed}",
        )

    async def _bars(self, question: Question) -> Answer:
        now = self._clock.now()
        since = minute_of(now) - LOOKED_BACK - timedelta(minutes=question.bars_back)
        bars = (await self._feed.bars(question.symbol, since, now))[-question.bars_back :]
        self._known(bars, question)
        return Answer(_BAR, [_bar_row(bar) for bar in bars], f"{len(bars)} minute bars up to {bars[-1].close:,.2f}")

    async def _stream_bars(self, question: Question) -> Answer:
        rows: list[tuple[Any, ...]] = []
        async with aclosing(self._feed.follow_bars(question.symbol)) as bars:
            try:
                async with asyncio.timeout(STREAMED_S) as patience:
                    async for bar in bars:
                        rows.append(_bar_row(bar))
                        if len(rows) >= question.bars_back:
                            break
            except TimeoutError:
                if not patience.expired():
                    raise
        self._known(rows, question)
        return Answer(_BAR, rows, f"{len(rows)} messages")

    async def _options(self, question: Question) -> Answer:
        (quote,) = await self._feed.quotes([question.symbol]) or (None,)
        self._known([quote] if quote else [], question)
        assert quote is not None
        listed = await self._feed.expirations(question.symbol)
        if not listed:
            raise UnknownSymbol(f"TradeStation options/expirations: {question.symbol} has no listed options")
        root, expiration = listed[0]
        contracts = await self._feed.contracts(question.symbol, root, expiration)
        near = sorted(contracts, key=lambda contract: abs(float(contract.strike) - quote.last))[:NEAR_CONTRACTS]
        quotes = await self._feed.option_quotes(sorted(near))
        rows = [(q.contract.symbol, q.bid, q.ask, q.last, q.volume, q.open_interest) for q in quotes]
        dates = len({day for _, day in listed})
        columns = ("contract", "bid", "ask", "last", "volume", "open_interest")
        return Answer(columns, rows, f"{dates} expirations; {root} {expiration} lists {len(contracts)} contracts")

    async def _search(self, question: Question) -> Answer:
        found = await extras.symbol_search(self._feed, question.symbol)
        if not found:
            raise UnknownSymbol(f"TradeStation symbols/suggest: nothing begins with {question.symbol}")
        names = ("Name", "Category", "Exchange", "Description")
        rows = [tuple(str(one.get(name, "")) for name in names) for one in found]
        return Answer(tuple(name.lower() for name in names), rows, f"{len(rows)} found")

    async def _market_hours(self, question: Question) -> Answer:
        hours = extras.market_hours(self._clock)
        rows = [(hours.session.value, hours.day, hours.opens, hours.closes, hours.early_close, hours.now)]
        columns = ("session", "day", "opens", "closes", "early_close", "now")
        return Answer(columns, rows, f"the market is in session {hours.session.value}")

    async def _depth(self, question: Question) -> Answer:
        book = await extras.market_depth(self._feed, question.symbol)
        rows = []
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            for level in levels[: question.bars_back]:
                size = level.get("TotalSize", level.get("Size"))
                rows.append((side, level.get("Price"), size, level.get("TotalOrderCount", level.get("OrderCount"))))
        if not rows:
            raise ProviderError(f"TradeStation depth {question.symbol}: an empty book")
        return Answer(("side", "price", "size", "orders"), rows, f"{len(book.bids)} bids, {len(book.asks)} asks")

    def _known(self, found: object, question: Question) -> None:
        """Something came; otherwise UnknownSymbol with what the feed said of it."""
        if found:
            return
        said = "; ".join(event.detail for event in self._events if event.detail) or "no data"
        raise UnknownSymbol(f"TradeStation has nothing for {question.symbol} ({said}); check the symbol")


_BAR = ("start", "open", "high", "low", "close", "up_volume", "down_volume", "closed")


def _bar_row(bar: Any) -> tuple[Any, ...]:
    return tuple(getattr(bar, name) for name in _BAR)

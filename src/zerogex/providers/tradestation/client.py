"""TradeStation as a `MarketData`: our symbols in, our values out."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar

from zerogex.clock import Clock
from zerogex.domain.bar import OptionBar, UnderlyingBar
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote, UnderlyingQuote
from zerogex.errors import BadPayload, RateLimited, Unavailable
from zerogex.ports import ChainWindow, FeedEvent, RequestQuotas
from zerogex.providers.tradestation import parse, wire
from zerogex.providers.tradestation.auth import Credentials
from zerogex.providers.tradestation.bars import BarMerge
from zerogex.providers.tradestation.chain import ChainMerge
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.connection import F, StreamRequest
from zerogex.providers.tradestation.history import History, session_template
from zerogex.providers.tradestation.http import Rest, open_client
from zerogex.providers.tradestation.listings import Listings
from zerogex.providers.tradestation.quota import Governor, SharedQuota, account_of
from zerogex.providers.tradestation.skew import SkewWatch
from zerogex.providers.tradestation.snapshots import Snapshots
from zerogex.providers.tradestation.streams import Place, Starved, Streams
from zerogex.providers.tradestation.symbols import in_path, listing_symbol, our_symbol, vendor_symbol

log = logging.getLogger(__name__)

T = TypeVar("T")
FIRST_CLAIM_S = 0.05  # a free stream is granted at once; this long decides between streaming and polling


@dataclass(frozen=True, slots=True)
class Heard(Generic[F]):
    """What one network read of a stream brought; without frames: a new connection begins."""

    frames: list[F]
    received: datetime


class TradeStation:
    """One account's market data.  See `MarketData` for the meaning of each method.

    `counts` tallies what came.  Of the objects a stream sent: messages, undecodable, quarantined,
    heartbeats, partial.  Of the messages: refused (no quote or bar), outside (of the window).  Besides:
    polled (in a stream's stead), bad_payload, symbol_errors, reconnects.
    """

    name = "tradestation"

    def __init__(self, config: TradeStationConfig, clock: Clock, quotas: RequestQuotas | None = None) -> None:
        """`quotas` counts requests together with the account's other processes."""
        self.on_event: Callable[[FeedEvent], None] = lambda event: None
        self._config = config
        self._clock = clock
        self._http = open_client(config)
        self._credentials = Credentials(config, self._http, on_change=self._refused)
        shared = SharedQuota(quotas, account_of(config.client_id, config.api_url)) if quotas is not None else None
        self._governor = Governor(config.request_timeout_s, shared=shared)
        self.rest = Rest(config, self._http, self._credentials, self._governor, self._limited)
        self.streams = Streams(config, self._http, self._credentials, self._governor, clock, self._emit)
        self._skew = SkewWatch(lambda words: self._emit(FeedEvent("clock_skew", "clock", words)))
        self.rest.on_headers = self.streams.on_headers = self._skew.heard
        self._listings = Listings(self.rest, clock)
        self._snapshots = Snapshots(self.rest, clock, self._emit, config.delay_between_batches_s)
        self._history = History(self.rest, clock, self._report)

    @property
    def clock_skew_s(self) -> float:
        """The vendor's clock minus ours, by its last answers; 0 where unknown."""
        return self._skew.skew_s

    @property
    def counts(self) -> Counter[str]:
        """What the streams brought so far."""
        return self.streams.counts

    async def expirations(self, underlying: str) -> Sequence[tuple[str, date]]:
        """(root, expiration), ascending by date then root."""
        return await self._listings.expirations(our_symbol(underlying))

    async def contracts(self, underlying: str, root: str, expiration: date) -> Sequence[OptionContract]:
        """Both kinds of every listed strike, ascending."""
        ours = our_symbol(underlying)
        strikes = await self._listings.strikes(ours, root, expiration)
        return [OptionContract(ours, root, expiration, strike, kind) for strike in strikes for kind in OptionKind]

    async def quotes(self, underlyings: Sequence[str]) -> Sequence[UnderlyingQuote]:
        """A snapshot; unknown symbols are left out and reported."""
        ours = {vendor_symbol(name): our_symbol(name) for name in underlyings}
        return await self._snapshots.take(ours, self._config.quote_batch_size, parse.underlying_quote)

    async def option_quotes(self, contracts: Sequence[OptionContract]) -> Sequence[OptionQuote]:
        """A snapshot in batches; it has no IV and no Greeks."""
        ours = {contract.symbol: contract for contract in contracts}
        return await self._snapshots.take(ours, self._config.option_batch_size, parse.option_quote)

    async def bars(
        self, underlying: str, start: datetime, end: datetime, *, unit: str = "Minute", interval: int = 1
    ) -> Sequence[UnderlyingBar]:
        """Bars whose start lies in [start, end), ascending, unique; empty where the vendor has none."""
        return await self._history.bars(our_symbol(underlying), start, end, unit, interval)

    async def option_bars(self, contract: OptionContract, start: datetime, end: datetime) -> Sequence[OptionBar]:
        """One-minute bars of a contract's trades in [start, end), ascending; empty where it did not trade."""
        return await self._history.option_bars(contract, start, end)

    async def follow_bars(self, underlying: str) -> AsyncGenerator[UnderlyingBar, None]:
        """One-minute bars as they form and close; snapshots of them while no stream is free."""
        ours = our_symbol(underlying)
        merge = BarMerge(ours)

        async def latest() -> Sequence[UnderlyingBar]:
            now = self._now()
            return await self.bars(ours, now - timedelta(minutes=merge.bars_back(now) + 1), now)

        feed = self._fed(self._bar_stream(ours, merge), latest)
        async with aclosing(feed) as batches:
            async for bars in batches:
                if isinstance(bars, Heard):
                    heard = merge.bars(bars.frames, bars.received)
                    self.streams.tally["refused"] += len(merge.refused)
                    self._report(f"bars {ours}", merge.refused)
                else:
                    heard = list(bars)
                    self.streams.tally["polled"] += len(heard)
                    merge.remember(heard)
                for bar in heard:
                    yield bar

    async def follow_chain(self, window: ChainWindow) -> AsyncGenerator[Sequence[OptionQuote], None]:
        """Quotes of one expiration's window as they come; snapshots of them while no stream is free."""
        merge = ChainMerge(window.contracts)
        request = self._chain_stream(window)
        feed = self._fed(request, lambda: self.option_quotes(window.contracts))
        async with aclosing(feed) as batches:
            async for rows in batches:
                if not isinstance(rows, Heard):
                    quotes = merge.snapshot(rows)
                    self.streams.tally["polled"] += len(quotes)
                elif rows.frames:
                    quotes = merge.quotes(rows.frames, rows.received)
                    self.streams.tally["refused"] += len(merge.refused)
                    self.streams.tally["outside"] += merge.outside
                    self._report(request.name, merge.refused)
                else:
                    merge.reopened()
                    continue
                if quotes:
                    yield quotes

    async def aclose(self) -> None:
        """End every stream and connection."""
        await self.streams.aclose()
        await self._credentials.aclose()
        await self._governor.aclose()
        await self._http.aclose()

    def _now(self) -> datetime:
        return self._clock.now()

    def _bar_stream(self, ours: str, merge: BarMerge) -> StreamRequest[wire.Bar]:
        def params() -> dict[str, str | int]:
            return {"interval": 1, "unit": "Minute", "barsback": merge.bars_back(self._now()), **session_template(ours)}

        theirs = vendor_symbol(ours)
        return StreamRequest(
            name=f"bars {ours}",
            path=f"/v3/marketdata/stream/barcharts/{in_path(theirs)}",
            group="stream/barcharts",
            subject=ours,
            vendor_symbol=theirs,
            decoder=wire.BAR,
            params=params,
            is_alive=merge.is_alive,
        )

    def _chain_stream(self, window: ChainWindow) -> StreamRequest[wire.ChainRow]:
        theirs = listing_symbol(window.underlying, window.root)
        listed = self._listings.known_strikes(window.underlying, window.root, window.expiration)
        params = {
            "expiration": f"{window.expiration:%m-%d-%Y}",
            "strikeProximity": strike_proximity(window, listed),
            "priceCenter": f"{window.center:.2f}",
            "spreadType": "Single",
            "enableGreeks": "true",
        }
        return StreamRequest(
            name=f"chain {window.root} {window.expiration}",
            path=f"/v3/marketdata/stream/options/chains/{in_path(theirs)}",
            group="stream/options/chains",
            subject=f"{window.root} {window.expiration}",
            vendor_symbol=theirs,
            decoder=wire.CHAIN_ROW,
            params=lambda: params,
            missing_is_passing=True,
        )

    async def _fed(
        self, request: StreamRequest[F], snapshot: Callable[[], Awaitable[Sequence[T]]]
    ) -> AsyncGenerator[Heard[F] | Sequence[T], None]:
        """What a stream says, and snapshots for as long as there is none: the cap is reached, or the server refuses."""
        async with self.streams.place() as place:
            why, pause_s = f"all {self._config.max_streams} streams are taken", 0.0
            while not self.streams.closing:
                if pause_s or not await place.granted(FIRST_CLAIM_S):
                    self._emit(FeedEvent("polling", request.name, why))
                    async with aclosing(self._polled(place, request.name, snapshot, pause_s)) as snapshots:
                        async for found in snapshots:
                            yield found
                try:
                    async with aclosing(self.streams.follow(request)) as batches:
                        async for frames, received in batches:
                            yield Heard(frames, received)
                except Starved as starved:
                    why, pause_s = str(starved), starved.retry_after_s

    async def _polled(
        self, place: Place, name: str, snapshot: Callable[[], Awaitable[Sequence[T]]], pause_s: float
    ) -> AsyncGenerator[Sequence[T], None]:
        """Snapshots until the pause is over and a stream is free."""
        loop = asyncio.get_running_loop()
        until = loop.time() + pause_s
        while not self.streams.closing:
            try:
                async with self.streams.wait():
                    found = await snapshot()
                if found:
                    yield found
            except TimeoutError:
                return
            except (Unavailable, RateLimited, BadPayload) as error:
                self._emit(FeedEvent("reconnecting", name, str(error)))
            left = until - loop.time()
            if left > 0:
                await self.streams.rest(min(self._config.poll_interval_s, left))
            elif await place.granted(self._config.poll_interval_s):
                return

    def _report(self, name: str, refused: Sequence[BadPayload]) -> None:
        for error in refused:
            self.streams.tally["bad_payload"] += 1
            self._emit(FeedEvent("bad_payload", name, str(error)))

    def _limited(self, group: str, detail: str) -> None:
        self._emit(FeedEvent("rate_limited", group, detail))

    def _refused(self, reason: str) -> None:
        self._emit(FeedEvent("not_authorized" if reason else "authorized", "sign-in", reason))

    def _emit(self, event: FeedEvent) -> None:
        self.on_event(event)


def strike_proximity(window: ChainWindow, listed: Sequence[Decimal] = ()) -> int:
    """How many strikes above and below the centre cover the window, with one to spare."""
    strikes = {contract.strike for contract in window.contracts}
    low, high = min(strikes, default=Decimal(0)), max(strikes, default=Decimal(0))
    strikes |= {strike for strike in listed if low <= strike <= high}
    above = sum(1 for strike in strikes if strike >= window.center)
    return max(above, len(strikes) - above, 1) + 1

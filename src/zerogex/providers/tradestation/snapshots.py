"""Quote snapshots of any number of symbols: batched, each answered, reported, or both."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from zerogex.clock import Clock
from zerogex.errors import BadPayload
from zerogex.ports import FeedEvent
from zerogex.providers.tradestation import answers, parse, wire
from zerogex.providers.tradestation.http import Rest
from zerogex.providers.tradestation.symbols import in_path

K = TypeVar("K")
Q = TypeVar("Q")
VENDOR_BATCH = 100  # symbols a request, by the documentation


class Snapshots:
    """Takes quotes; a bad or unknown symbol costs its own quote only."""

    def __init__(
        self, rest: Rest, clock: Clock, emit: Callable[[FeedEvent], None], delay_between_batches_s: float = 0.0
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._emit = emit
        self._delay_s = delay_between_batches_s
        self._largest = VENDOR_BATCH

    async def take(
        self, asked: Mapping[str, K], batch_size: int, read: Callable[[wire.Quote, K, datetime], Q]
    ) -> list[Q]:
        """The quotes of the symbols asked for (theirs → ours), in the answers' order."""
        waiting, found = deque(asked), []
        while waiting:
            batch = [waiting.popleft() for _ in range(min(batch_size, self._largest, len(waiting)))]
            try:
                body = await self._rest.get(
                    f"/v3/marketdata/quotes/{in_path(*batch)}", "quotes", ", ".join(batch)[:200]
                )
            except answers.TooLong:
                if len(batch) == 1:
                    raise
                self._largest = len(batch) // 2  # for good: what is too long now stays so
                waiting.extendleft(reversed(batch))
                continue
            found += self._quotes(body, {name: asked[name] for name in batch}, read)
            if waiting and self._delay_s > 0:
                await asyncio.sleep(self._delay_s)
        return found

    def _quotes(
        self, body: bytes | None, batch: Mapping[str, K], read: Callable[[wire.Quote, K, datetime], Q]
    ) -> list[Q]:
        names = ", ".join(batch)[:200]
        answer = answers.read(wire.QUOTES, body, "quotes", names) if body else wire.Quotes()
        received = self._clock.now()
        missing = {name.upper(): name for name in batch}  # echoes may come in lower case
        found: list[Q] = []
        for raw in answer.quotes or ():
            try:
                quote = parse.raw_item(wire.QUOTE, raw)
                name = missing.pop((quote.symbol or "").upper(), None)
                if name is not None:
                    found.append(read(quote, batch[name], received))
            except BadPayload as error:
                self._emit(FeedEvent("bad_payload", "quotes", str(error)))
        for failed in answer.errors or ():
            name = missing.pop((failed.symbol or "").upper(), failed.symbol or "?")
            self._emit(FeedEvent("symbol_error", "quotes", f"{name}: {failed.error or failed.message or 'no reason'}"))
        for name in missing.values():
            self._emit(FeedEvent("symbol_error", "quotes", f"{name}: not answered"))
        return found

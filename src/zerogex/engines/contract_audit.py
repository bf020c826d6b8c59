"""Looks after single contracts: what a stream forgets while it goes on (see `pipeline.silence`).

A stream that is silent as a whole is the provider's business, and one whose contracts are merely quiet is
nobody's: the audit costs a few requests a minute, and a stream is opened anew at most every ten minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from zerogex.clock import Clock
from zerogex.domain.calendar import session_at
from zerogex.domain.contract import OptionContract
from zerogex.domain.gap import DataGap
from zerogex.domain.quote import OptionQuote
from zerogex.engines.follow import ChainFollower
from zerogex.errors import ProviderError
from zerogex.pipeline.live_chain import LiveChain
from zerogex.pipeline.silence import QUIET_S, SilenceWatch
from zerogex.pipeline.strikes import Key
from zerogex.ports import MarketData

log = logging.getLogger(__name__)

_IDLE_S = 60.0  # market seconds, while the market is closed
_FLOOR_REAL_S = 0.5
_QUIET_REAL_S = 3.0  # a fast simulated market still needs real time to speak of every contract
_CONFIRM_S, _CONFIRM_REAL_S = 5.0, 0.5
_REOPEN_EVERY_S = 600.0  # market seconds between two new openings of one stream


class ContractAudit:
    """Audits the streamed contracts of one underlying until cancelled."""

    def __init__(
        self,
        market: MarketData,
        clock: Clock,
        live: LiveChain,
        follower: ChainFollower,
        *,
        bucket_seconds: int,
        deliver: Callable[[Sequence[OptionQuote]], Awaitable[None]],
        declare: Callable[[Sequence[DataGap]], None],
        passes: Callable[[ProviderError], bool],
    ) -> None:
        self.watch = SilenceWatch(bucket_seconds)
        self._market = market
        self._clock = clock
        self._live = live
        self._follower = follower
        self._deliver = deliver
        self._declare = declare
        self._passes = passes
        self._reopened: dict[Key, float] = {}  # by the clock's monotonic seconds

    async def run(self) -> None:
        """Look again and again, by the session's patience."""
        while True:
            quiet_s = QUIET_S.get(session_at(self._clock.now()))
            await asyncio.gather(self._clock.sleep(quiet_s or _IDLE_S), asyncio.sleep(_FLOOR_REAL_S))
            if quiet_s is None:
                continue
            try:
                await self.look(max(quiet_s, _QUIET_REAL_S * getattr(self._clock, "speed", 1.0)))
            except ProviderError as error:
                if not self._passes(error):
                    raise
                log.info("contracts not audited", extra={"underlying": self._live.underlying, "error": str(error)})

    async def look(self, quiet_s: float) -> None:
        """One look: a snapshot of the quiet contracts, and what follows from it."""
        heard_at = self._live.heard_at
        asked = self.watch.candidates(self._quiet(quiet_s), heard_at)
        if not asked:
            return
        quotes = await self._market.option_quotes(asked)
        changed = self.watch.compare(quotes, heard_at)
        await self._deliver(quotes)
        if not changed:
            return
        await asyncio.gather(self._clock.sleep(_CONFIRM_S), asyncio.sleep(_CONFIRM_REAL_S))
        silent = self.watch.confirm(changed, heard_at)
        if silent:
            self._declare(self.watch.gaps(silent, self._clock.now()))
            await self._reopen(silent)

    def _quiet(self, quiet_s: float) -> list[tuple[OptionContract, float]]:
        """Streamed contracts without a word for so long, of expirations that spoke meanwhile."""
        now = self._clock.now()
        quiet = self._live.quiet(now, now - timedelta(seconds=quiet_s))
        count = Counter((contract.root, contract.expiration) for contract, _ in quiet)
        speaks = {key for key, window in self._follower.streamed.items() if count[key] < len(window.contracts)}
        return [(contract, since) for contract, since in quiet if (contract.root, contract.expiration) in speaks]

    async def _reopen(self, silent: Sequence[OptionContract]) -> None:
        now = self._clock.monotonic()
        of_stream = Counter((contract.root, contract.expiration) for contract in silent)
        for key, count in of_stream.items():
            due = now - self._reopened.get(key, float("-inf")) >= _REOPEN_EVERY_S
            log.warning(
                "contracts silent",
                extra={
                    "underlying": self._live.underlying,
                    "expiration": f"{key[0]} {key[1]}",
                    "contracts": count,
                    "first": silent[0].symbol,
                    "stream_reopened": due,
                },
            )
            if due:
                self._reopened[key] = now
                await self._follower.reopen(key)

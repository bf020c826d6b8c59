"""Which expirations and strikes are listed; asked seldom, because the answers change once a day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from zerogex.clock import Clock
from zerogex.domain.calendar import trading_date
from zerogex.domain.contract import is_adjusted, plain
from zerogex.errors import UnknownSymbol
from zerogex.providers.tradestation import answers, parse, wire
from zerogex.providers.tradestation.http import Rest
from zerogex.providers.tradestation.symbols import RootFamily, in_path, listing_symbol, root_families

log = logging.getLogger(__name__)

KEEP_S = 1800.0  # real seconds; new strikes are listed within the day, too
HIGHEST_STRIKE = Decimal(1_000_000)
T = TypeVar("T")
A = TypeVar("A", bound=wire.Refusal)


@dataclass(slots=True)
class _Kept:
    day: date
    until: float
    values: Sequence[object]


@dataclass(slots=True)
class _Memory:
    """Answers by question: forgotten at the turn of the trading day, and never kept when empty."""

    kept: dict[tuple[object, ...], _Kept] = field(default_factory=dict)
    locks: dict[tuple[object, ...], asyncio.Lock] = field(default_factory=dict)

    async def recall(self, key: tuple[object, ...], today: date, ask: Callable[[], Awaitable[Sequence[T]]]) -> list[T]:
        """The answer, asked for once however many wait for it."""
        async with self.locks.setdefault(key, asyncio.Lock()):
            old = self.kept.get(key)
            if old is not None and old.day == today and time.monotonic() < old.until:
                return list(old.values)  # type: ignore[arg-type]
            values = await ask()
            if values:
                self.kept[key] = _Kept(today, time.monotonic() + KEEP_S, values)
            return list(values)

    def known(self, key: tuple[object, ...]) -> Sequence[object]:
        """What is remembered, however old; nothing is asked."""
        return self.kept[key].values if key in self.kept else ()


class Listings:
    """Expirations and strikes of an account's server, remembered."""

    def __init__(self, rest: Rest, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self._memory = _Memory()

    async def expirations(self, underlying: str) -> list[tuple[str, date]]:
        """(root, date), ascending by date then root, without adjusted roots.  Raises UnknownSymbol."""
        today = trading_date(self._clock.now())
        return await self._memory.recall(("expirations", underlying), today, lambda: self._ask_expirations(underlying))

    async def strikes(self, underlying: str, root: str, expiration: date) -> list[Decimal]:
        """The listed strikes in dollars, ascending."""
        today = trading_date(self._clock.now())
        return await self._memory.recall(
            ("strikes", underlying, root, expiration), today, lambda: self._ask_strikes(underlying, root, expiration)
        )

    def known_strikes(self, underlying: str, root: str, expiration: date) -> list[Decimal]:
        """What `strikes` said before; empty where it was never asked."""
        known = self._memory.known(("strikes", underlying, root, expiration))
        return [strike for strike in known if isinstance(strike, Decimal)]

    async def _ask_expirations(self, underlying: str) -> list[tuple[str, date]]:
        first, *others = root_families(underlying)
        found = set(await self._of_family(first, underlying))
        for family in others:
            try:
                found.update(await self._of_family(family, underlying))
            except UnknownSymbol:
                log.info("no second listing", extra={"underlying": underlying, "vendor_symbol": family.vendor})
        return sorted(found, key=lambda listed: (listed[1], listed[0]))

    async def _of_family(self, family: RootFamily, underlying: str) -> list[tuple[str, date]]:
        path = f"/v3/marketdata/options/expirations/{in_path(family.vendor)}"
        answer = await self._answer(wire.EXPIRATIONS, path, "options/expirations", underlying)
        if answer is None:
            return []
        return [(root, day) for root, day in parse.expirations(answer, family) if not is_adjusted(root)]

    async def _ask_strikes(self, underlying: str, root: str, expiration: date) -> list[Decimal]:
        path = f"/v3/marketdata/options/strikes/{in_path(listing_symbol(underlying, root))}"
        answer = await self._answer(
            wire.STRIKES,
            path,
            "options/strikes",
            f"{root} {expiration}",
            expiration=f"{expiration:%m-%d-%Y}",
            spreadType="Single",
        )
        return sorted({_strike(text) for text in parse.strike_texts(answer)}) if answer is not None else []

    async def _answer(
        self, reader: msgspec.json.Decoder[A], path: str, group: str, subject: str, **params: str
    ) -> A | None:
        body = await self._rest.get(path, group, subject, **params)
        return answers.read(reader, body, group, subject) if body else None


def _strike(text: str) -> Decimal:
    try:
        strike = Decimal(text)
    except InvalidOperation:
        strike = Decimal("NaN")
    if not (strike.is_finite() and 0 < strike < HIGHEST_STRIKE):
        raise parse.bad("Strikes[][]", "is no strike", text)
    return Decimal(plain(strike))

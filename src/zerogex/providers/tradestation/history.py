"""Bars of the past, in as many requests as the vendor's limit of 57,600 minutes asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from zerogex.clock import Clock
from zerogex.domain.bar import OptionBar, UnderlyingBar
from zerogex.domain.contract import OptionContract
from zerogex.errors import BadPayload
from zerogex.providers.tradestation import answers, parse, wire
from zerogex.providers.tradestation.http import Rest
from zerogex.providers.tradestation.symbols import in_path, is_index, vendor_symbol

MOST_MINUTES = timedelta(minutes=57_600)  # by the clock, so never more bars than that
B = TypeVar("B")
LATE_STAMPS = {"daily": timedelta(days=1), "weekly": timedelta(days=8), "monthly": timedelta(days=32)}


class History:
    """Historical bars; `report(request, errors)` hears of those that cannot be read."""

    def __init__(self, rest: Rest, clock: Clock, report: Callable[[str, Sequence[BadPayload]], None]) -> None:
        self._rest = rest
        self._clock = clock
        self._report = report

    async def bars(
        self, symbol: str, start: datetime, end: datetime, unit: str = "Minute", interval: int = 1
    ) -> list[UnderlyingBar]:
        """Bars of our symbol whose start lies in [start, end), ascending, unique."""

        def read(bar: wire.Bar, received: datetime) -> UnderlyingBar:
            return parse.underlying_bar(bar, symbol, received, unit=unit, interval=interval)

        minutes = unit.lower() == "minute"
        asked: dict[str, str | int] = {
            "interval": interval,
            "unit": unit.capitalize(),
            **(session_template(symbol) if minutes else {}),
        }
        span = MOST_MINUTES * interval if minutes else max(end - start, timedelta(1))
        found: dict[datetime, UnderlyingBar] = {}
        begin = start
        while begin < end:
            until = min(begin + span, end)
            for bar in await self._between(vendor_symbol(symbol), symbol, begin, until, asked, read):
                if start <= bar.start < end:
                    found[bar.start] = bar
            begin = until
        return [found[begin] for begin in sorted(found)]

    async def option_bars(self, contract: OptionContract, start: datetime, end: datetime) -> list[OptionBar]:
        """One-minute bars of a contract whose start lies in [start, end), ascending, unique."""

        def read(bar: wire.Bar, received: datetime) -> OptionBar:
            return parse.option_bar(bar, contract, received)

        asked: dict[str, str | int] = {"interval": 1, "unit": "Minute"}
        found: dict[datetime, OptionBar] = {}
        begin = start
        while begin < end:
            until = min(begin + MOST_MINUTES, end)
            for bar in await self._between(contract.symbol, contract.symbol, begin, until, asked, read):
                if start <= bar.start < end:
                    found[bar.start] = bar
            begin = until
        return [found[begin] for begin in sorted(found)]

    async def _between(
        self,
        theirs: str,
        subject: str,
        start: datetime,
        end: datetime,
        asked: Mapping[str, str | int],
        read: Callable[[wire.Bar, datetime], B],
    ) -> list[B]:
        group, unit = "barcharts", str(asked["unit"]).lower()
        longest = LATE_STAMPS.get(unit, timedelta(minutes=int(asked["interval"])))  # stamps are ends
        body = await self._rest.get(
            f"/v3/marketdata/barcharts/{in_path(theirs)}",
            group,
            subject,
            firstdate=_written(start),
            lastdate=_written(end + longest),
            **asked,
        )
        if not body:
            return []
        answer, received = answers.read(wire.BARS, body, group, subject), self._clock.now()
        found: list[B] = []
        refused: list[BadPayload] = []
        for raw in answer.bars or ():
            try:
                found.append(read(parse.raw_item(wire.BAR, raw), received))
            except BadPayload as error:
                refused.append(error)
        self._report(f"{group} {subject}", refused)
        return found


def session_template(symbol: str) -> dict[str, str]:
    """Shares trade from 04:00 to 20:00 ET; an index prints in the cash session alone."""
    return {} if is_index(symbol) else {"sessiontemplate": "USEQPreAndPost"}


def _written(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

"""Bars of the past, in as many requests as the vendor's limit of 57,600 minutes asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from zerogex.clock import Clock
from zerogex.domain.bar import UnderlyingBar
from zerogex.errors import BadPayload
from zerogex.providers.tradestation import answers, parse, wire
from zerogex.providers.tradestation.http import Rest
from zerogex.providers.tradestation.symbols import in_path, is_index, vendor_symbol

MOST_MINUTES = timedelta(minutes=57_600)  # by the clock, so never more bars than that
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
        span = MOST_MINUTES * interval if unit.lower() == "minute" else max(end - start, timedelta(1))
        found: dict[datetime, UnderlyingBar] = {}
        begin = start
        while begin < end:
            until = min(begin + span, end)
            for bar in await self._between(symbol, begin, until, unit, interval):
                if start <= bar.start < end:
                    found[bar.start] = bar
            begin = until
        return [found[begin] for begin in sorted(found)]

    async def _between(
        self, symbol: str, start: datetime, end: datetime, unit: str, interval: int
    ) -> list[UnderlyingBar]:
        group = "barcharts"
        longest = LATE_STAMPS.get(unit.lower(), timedelta(minutes=interval))  # stamps are ends
        body = await self._rest.get(
            f"/v3/marketdata/barcharts/{in_path(vendor_symbol(symbol))}",
            group,
            symbol,
            interval=interval,
            unit=unit.capitalize(),
            firstdate=_written(start),
            lastdate=_written(end + longest),
            **(session_template(symbol) if unit.lower() == "minute" else {}),
        )
        if not body:
            return []
        answer, received = answers.read(wire.BARS, body, group, symbol), self._clock.now()
        found: list[UnderlyingBar] = []
        refused: list[BadPayload] = []
        for raw in answer.bars or ():
            try:
                bar = parse.raw_item(wire.BAR, raw)
                found.append(parse.underlying_bar(bar, symbol, received, unit=unit, interval=interval))
            except BadPayload as error:
                refused.append(error)
        self._report(f"{group} {symbol}", refused)
        return found


def session_template(symbol: str) -> dict[str, str]:
    """Shares trade from 04:00 to 20:00 ET; an index prints in the cash session alone."""
    return {} if is_index(symbol) else {"sessiontemplate": "USEQPreAndPost"}


def _written(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

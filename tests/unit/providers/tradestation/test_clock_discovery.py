from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zerogex.clock import ScaledClock
from zerogex.providers.tradestation import discover_clock

TOLD = {
    "simulated": True, "market_anchor": "2026-05-11T13:30:00Z", "wall_anchor": "2026-11-23T04:00:00+00:00",
    "speed": 20.0, "now": "2026-05-11T13:31:00Z",
}  # fmt: skip


async def test_the_simulators_clock_is_found(server: Any) -> None:
    server.on("/simulator/clock", server.says(TOLD))
    assert await discover_clock(server.url) == ScaledClock(
        datetime(2026, 5, 11, 13, 30, tzinfo=UTC), datetime(2026, 11, 23, 4, tzinfo=UTC), 20.0
    )
    assert await discover_clock(f"{server.url}/v3/") is not None


@pytest.mark.parametrize(
    "told",
    [
        {**TOLD, "simulated": False},
        {**TOLD, "speed": 0},
        {**TOLD, "market_anchor": "soon"},
        {"simulated": True},
        [],
        "<html>",
    ],
)
async def test_any_other_answer_is_no_clock(server: Any, told: object) -> None:
    server.on("/simulator/clock", server.says(told))
    assert await discover_clock(server.url) is None


async def test_a_server_without_that_page_and_no_server_at_all_have_no_clock(server: Any) -> None:
    assert await discover_clock(server.url) is None
    assert await discover_clock("http://127.0.0.1:9") is None


async def test_the_vendor_is_not_asked() -> None:
    assert await discover_clock("https://api.tradestation.com") is None
    assert await discover_clock("nonsense") is None


async def test_an_anchor_without_a_zone_is_utc(server: Any) -> None:
    server.on("/simulator/clock", server.says({**TOLD, "market_anchor": "2026-05-11T13:30:00"}))
    clock = await discover_clock(server.url)
    assert clock is not None
    assert clock.market_anchor.utcoffset() == timedelta(0)

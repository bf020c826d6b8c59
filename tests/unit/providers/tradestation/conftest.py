"""A scripted TradeStation, and a client of it that is in a hurry."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zerogex.clock import ManualClock
from zerogex.ports import FeedEvent
from zerogex.providers.tradestation import TradeStation, TradeStationConfig

_SPEC = importlib.util.spec_from_file_location("tradestation_scripted", Path(__file__).with_name("scripted.py"))
assert _SPEC is not None and _SPEC.loader is not None
scripted = importlib.util.module_from_spec(_SPEC)
sys.modules["tradestation_scripted"] = scripted
_SPEC.loader.exec_module(scripted)

OPEN_MARKET = datetime(2026, 5, 11, 14, 25, 30, tzinfo=UTC)  # a Monday, 10:25:30 ET


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    async with scripted.ScriptedServer() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(OPEN_MARKET)


@pytest.fixture
def config(server: Any) -> Callable[..., TradeStationConfig]:
    """Settings for the scripted server; delays a hundred times shorter than delivered."""

    def build(**changes: Any) -> TradeStationConfig:
        settings: dict[str, Any] = {
            "client_id": "the-id",
            "client_secret": "canary-secret",
            "refresh_token": "canary-refresh",
            "api_url": server.url,
            "auth_url": server.url,
            "retry_delay_s": 0.01,
            "request_timeout_s": 5.0,
            "poll_interval_s": 0.05,
        }
        return TradeStationConfig(**{**settings, **changes})

    return build


@pytest.fixture
async def connect(config: Callable[..., TradeStationConfig], clock: ManualClock) -> AsyncIterator[Callable[..., Any]]:
    """Makes clients that note their events in `heard`, and closes them."""
    clients: list[TradeStation] = []

    def build(**changes: Any) -> TradeStation:
        client = TradeStation(config(**changes), clock)
        heard: list[FeedEvent] = []
        client.on_event = heard.append
        client.heard = heard  # type: ignore[attr-defined]
        clients.append(client)
        return client

    yield build
    for client in clients:
        await client.aclose()

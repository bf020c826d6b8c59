"""S05: secrets of every kind are planted, everything goes wrong, and no output has one of them."""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import aclosing, suppress

import psycopg
import pytest

from zerogex.clock import SystemClock
from zerogex.errors import ZerogexError
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.faults import Faults
from zerogex.simulator.server import Simulator
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

CANARIES = {name: f"canary-{name}-5f1d" for name in ("client", "secret", "refresh", "password", "access")}
TROUBLES = [
    {"token_status": 400},
    {"token_status": 502},
    {"status": 401},
    {"status": 500, "html_errors": True},
    {"corrupt": "garbage"},
    {"corrupt": "truncated"},
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
async def test_no_secret_of_the_feed_is_ever_said(
    trouble: dict[str, object], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with Simulator(SimulatorConfig(port=0, faults=Faults(**trouble))) as simulator:  # type: ignore[arg-type]
        config = TradeStationConfig(
            "client-id", CANARIES["secret"], CANARIES["refresh"], api_url=simulator.url, auth_url=simulator.url,
            retry_delay_s=0.01, retry_attempts=1, request_timeout_s=2.0,
        )  # fmt: skip
        market = TradeStation(config, SystemClock())
        market.on_event = lambda event: said.append(repr(event))
        said.append(repr(config))
        for ask in (market.quotes(["SPY"]), market.expirations("SPY"), _first_bar(market)):
            try:
                async with asyncio.timeout(1.0):
                    await ask
            except (ZerogexError, TimeoutError, StopAsyncIteration) as error:
                said += traceback.format_exception(error)
        await market.aclose()
    _assert_clean(said, caplog, capfd)


async def _first_bar(market: TradeStation) -> None:
    async with aclosing(market.follow_bars("SPY")) as bars:
        await anext(bars)


def test_no_password_of_the_database_is_ever_said(
    database: DatabaseConfig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    for host, port in (("127.0.0.1", 1), (database.host, database.port), ("no.such.host.invalid", 5432)):
        config = DatabaseConfig(host=host, port=port, user="nobody", password=CANARIES["password"], dbname="none")
        store = PostgresStore(config)
        said.append(repr(config) + repr(store) + config.place)
        try:
            store.underlyings()
        except ZerogexError as error:
            said += traceback.format_exception(error)
            said.append(repr(error))
        with suppress(psycopg.Error):
            store.close()
    _assert_clean(said, caplog, capfd)


def _assert_clean(said: list[str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    fields = [str(vars(record)) for record in caplog.records]
    out, err = capfd.readouterr()
    everything = "\n".join([*said, caplog.text, *fields, out, err])
    found = [name for name, canary in CANARIES.items() if canary in everything]
    assert found == []

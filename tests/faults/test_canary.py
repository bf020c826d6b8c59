"""S05: secrets of every kind are planted, everything goes wrong, and no output has one of them."""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import aclosing, suppress
from datetime import UTC, datetime

import psycopg
import pytest

from receiver import receiving
from zerogex.clock import SystemClock
from zerogex.domain.alert import Alert, Side, Standing
from zerogex.engines.postman import Postman
from zerogex.errors import ZerogexError
from zerogex.metrics import Meter
from zerogex.notify.channels import Ntfy, Target, Webhook
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.faults import Faults
from zerogex.simulator.server import Simulator
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)
SECRETS = ("client", "secret", "refresh", "password", "access", "topic", "hook")
CANARIES = {name: f"canary-{name}-5f1d" for name in SECRETS}
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


@pytest.mark.parametrize("status", [200, 0, 302, 400, 500])
async def test_no_address_of_a_channel_is_ever_said(
    status: int, store: PostgresStore, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with receiving() as receiver:
        receiver.status, receiver.says = status, f"{CANARIES['topic']} and {CANARIES['hook']} may not"
        topic = Target(f"{receiver.address}/{CANARIES['topic']}", allow_lan=True)
        hook = Target(f"{receiver.address}/?token={CANARIES['hook']}", allow_lan=True)
        for channel in (Ntfy(topic, CANARIES["access"]), Webhook(hook)):
            alert = Alert("1#1", "1", "SPY", NOON, Side.ABOVE, "title", "text", 1.0, 0.0)
            store.alerts.stand("1", Standing(), Standing(Side.ABOVE, 0, NOON), alert, [channel.name])
            await Postman(store, channel, Meter()).deliver_one()
            said += map(repr, (channel, topic, hook, store.alerts.log(9), store.alerts.channels()))
        assert len(receiver.heard) == 2
    _assert_clean(said, caplog, capfd)


def _assert_clean(said: list[str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    fields = [str(vars(record)) for record in caplog.records]
    out, err = capfd.readouterr()
    everything = "\n".join([*said, caplog.text, *fields, out, err])
    found = [name for name, canary in CANARIES.items() if canary in everything]
    assert found == []

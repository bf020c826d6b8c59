"""The Python client against a real server: answers, tables, errors, and a live stream that outlives a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from served import NOON, Served, market_chain, serving, until
from zerogex.client import ApiError, Client, ServerUnreachable
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore


@pytest.fixture(scope="module")
def standing(new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that only read: a live analysis, its chain, and some minutes."""
    store = PostgresStore(new_database(), spool=tmp_path_factory.mktemp("spool"))
    with serving(store, symbols=("SPY",)) as served:
        chain = market_chain(690.5, NOON)
        store.write_latest(chain, chain.is_live)
        served.publish()
        served.publish_bars(10)
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        until(lambda: len(served.app.state.hub.board.known["SPY"].bars) == 10)
        yield served
    store.close()


@pytest.fixture
def client(standing: Served) -> Iterator[Client]:
    with Client(standing.address) as client:
        yield client


def test_an_answer_is_the_json_of_the_route(client: Client) -> None:
    summary = client.summary("SPY")
    assert summary["underlying"] == "SPY"
    assert summary["net_gex"] == pytest.approx(sum(row["net_gex"] for row in client.strikes("SPY")["by_strike"]))


@pytest.mark.parametrize("name", ["strikes", "expirations", "profile", "levels", "heatmap", "smile", "chain", "bars"])
def test_every_table_becomes_a_data_frame(client: Client, name: str) -> None:
    frame = getattr(client, name)("SPY").to_polars()
    assert isinstance(frame, pl.DataFrame)
    assert frame.height > 2


def test_a_table_has_the_numbers_of_the_answer(client: Client) -> None:
    answer = client.strikes("SPY")
    frame = answer.to_polars()
    assert frame["strike"].to_list() == [row["strike"] for row in answer["by_strike"]]
    assert frame["net_gex"].to_list() == [row["net_gex"] for row in answer["by_strike"]]


def test_options_are_those_of_the_route(client: Client) -> None:
    nearest = client.summary("SPY", expirations="0dte", dealer_model="short_all")
    assert nearest["dealer_model"] == "short_all"
    assert nearest["expirations"] == ["2026-02-20"]
    assert nearest["coverage"]["contracts"] == 162


def test_pages_follow_one_another_to_the_end(client: Client) -> None:
    span = {"start": NOON - timedelta(minutes=10), "end": NOON}
    pages = list(client.pages(client.bars("SPY", limit=4, **span)))
    closes = [bar["close"] for page in pages for bar in page["bars"]]
    assert [len(page["bars"]) for page in pages] == [4, 4, 2]
    assert closes == [bar["close"] for bar in client.bars("SPY")["bars"]]
    chain = list(client.pages(client.chain("SPY", limit=200)))
    symbols = [row["option_symbol"] for page in chain for row in page["chain"]]
    assert len(symbols) == len(set(symbols)) == len(market_chain(690.5, NOON))


def test_a_refusal_is_an_error_that_says_what_to_do(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.summary("NOPE")
    assert (refused.value.status, refused.value.code) == (404, "unknown_symbol")
    assert "SPY" in refused.value.hint


def test_a_time_without_an_offset_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(ValueError, match="no offset"):
        client.bars("SPY", start=datetime(2026, 2, 20, tzinfo=UTC).replace(tzinfo=None))


def test_nobody_there_is_said_plainly() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerUnreachable, match="does not answer"):
        client.symbols()


async def test_live_gives_the_whole_then_each_change(store: PostgresStore) -> None:
    with serving(store, symbols=("SPY",), heartbeat_s=0.2) as served, Client(served.address) as client:
        served.publish(690.5)
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        spots = []
        updates = client.live("SPY")
        async for update in updates:
            spots.append((update.kind, update.data["spot"]))
            if len(spots) == 3:
                break
            await asyncio.to_thread(served.publish, 690.5 + len(spots))
        await updates.aclose()  # type: ignore[attr-defined]
    assert spots == [("snapshot", 690.5), ("change", 691.5), ("change", 692.5)]


async def test_live_resumes_after_a_cut(store: PostgresStore) -> None:
    with serving(store, symbols=("SPY",), heartbeat_s=0.2) as served, Client(served.address) as client:
        served.publish(690.5)
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        updates = client.live("SPY")
        first = await anext(updates)
        hub = served.app.state.hub
        for subscriber in list(hub.subscribers):
            subscriber.overrun = True  # the server parts from this client
            subscriber.wake._loop.call_soon_threadsafe(subscriber.wake.set)
        await asyncio.to_thread(served.publish, 691.5)
        second = await asyncio.wait_for(anext(updates), 10)
        await updates.aclose()  # type: ignore[attr-defined]
    assert (first.seq, first.kind) == (1, "snapshot")
    assert (second.seq, second.kind, second.skipped) == (2, "change", 0)


async def test_live_of_what_is_not_there_is_an_error(standing: Served) -> None:
    with Client(standing.address) as client, pytest.raises(ApiError, match="NOPE"):
        await anext(client.live("NOPE"))


async def test_live_of_nothing_is_an_error(standing: Served) -> None:
    with Client(standing.address) as client, pytest.raises(ApiError, match="No topics came"):
        await anext(client.live())


def test_a_misspelt_option_is_an_error_that_names_the_right_one(standing: Served) -> None:
    with Client(standing.address) as client, pytest.raises(ApiError, match=r"Did you mean expirations\?"):
        client.summary("SPY", expiration="0dte")

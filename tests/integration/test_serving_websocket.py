"""The WebSocket over a real socket: snapshot, changes, resuming, and clients that do not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from served import Served, serving, until
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

QUIET = ("heartbeat", "hello", "ack")


@pytest.fixture
def served(store: PostgresStore) -> Iterator[Served]:
    with serving(store, symbols=("SPY",), heartbeat_s=0.2, slow_client_s=0.5, max_clients=5) as served:
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served


@pytest.fixture(scope="module")
def standing(new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that change nothing."""
    store = PostgresStore(new_database(), spool=tmp_path_factory.mktemp("spool"))
    with serving(store, symbols=("SPY",)) as served:
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served
    store.close()


@asynccontextmanager
async def client(served: Served, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(served.websocket, **options) as ws:
        yield ws


async def ask(ws: ClientConnection, *topics: str, **more: Any) -> None:
    await ws.send(json.dumps({"op": "subscribe", "topics": list(topics), **more}))


async def hear(ws: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next message of one of these kinds; without kinds, the next one about data."""
    while True:
        message = json.loads(await ws.recv())
        if message["type"] in kinds or (not kinds and message["type"] not in QUIET):
            return message


async def test_snapshot_then_changes_then_heartbeats(served: Served) -> None:
    async with client(served) as ws:
        assert (await hear(ws, "hello"))["heartbeat_s"] == 0.2
        await ask(ws, "summary:SPY")
        ack = await hear(ws, "ack")
        snapshot = await hear(ws)
        assert (snapshot["type"], snapshot["seq"]) == ("snapshot", ack["seq"])
        written = served.publish(spot=691.0)
        change = await hear(ws)
        assert (change["type"], change["seq"]) == ("change", ack["seq"] + 1)
        assert change["data"]["net_gex"] == written["net_gex"]
        assert change["data"]["age_seconds"] == 0.0
        assert (await hear(ws, "heartbeat"))["symbols"]["SPY"]["state"] == "simulated"


async def test_stored_minutes_arrive_as_changes(served: Served) -> None:
    async with client(served) as ws:
        await ask(ws, "bars:SPY")
        await hear(ws, "ack")
        bars = served.publish_bars(3)
        # Writing many minutes may be heard as several changes; the last one has the last minute.
        while (await hear(ws))["data"]["bars"][-1]["close"] != bars[-1].close:
            pass


async def test_a_cut_client_resumes_without_a_gap(served: Served) -> None:
    async with client(served) as ws:
        epoch = (await hear(ws, "hello"))["epoch"]
        await ask(ws, "summary:SPY")
        seen = (await hear(ws))["seq"]
    for step in range(3):
        served.publish(spot=692.0 + step)
        until(lambda step=step: served.app.state.hub.board.known["SPY"].document["spot"] == 692.0 + step)
    async with client(served) as ws:
        await ask(ws, "summary:SPY", last_seq={"summary:SPY": seen}, epoch=epoch)
        assert (await hear(ws, "ack"))["resumed"] is True
        assert [(await hear(ws))["seq"] for _ in range(3)] == [seen + 1, seen + 2, seen + 3]


async def test_a_restarted_server_declares_the_gap(standing: Served) -> None:
    async with client(standing) as ws:
        await ask(ws, "summary:SPY", last_seq={"summary:SPY": 1}, epoch="of-before")
        assert (await hear(ws, "ack"))["gap"] is True
        assert (await hear(ws))["type"] == "snapshot"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "bad_request"),
        ("[]", "bad_request"),
        ('{"op": "drop"}', "bad_request"),
        ('{"op": "subscribe", "topics": "summary:SPY"}', "bad_request"),
        ('{"op": "subscribe", "topic": ["summary:SPY"]}', "bad_request"),
        ('{"op": "subscribe", "topics": []}', "bad_request"),
        ('{"op": "unsubscribe"}', "bad_request"),
        ('{"op": "subscribe", "topics": ["summary:\\ud800"]}', "bad_request"),
        ('{"op": "ping", "deep": ' + "[" * 4000, "bad_request"),
        ('{"op": "ping", "last_seq": {"x": ' + "[" * 4000, "bad_request"),
        ("[" * 8000, "bad_request"),
        (b'{"op": "ping"}', "bad_request"),
        (b"\xff\x00", "bad_request"),
        ('{"op": "subscribe", "topics": ["summary:NOPE"]}', "unknown_symbol"),
        ('{"op": "subscribe", "topics": ["gossip:SPY"]}', "unknown_topic"),
        ('{"op": "subscribe", "topics": [' + '"x",' * 3000 + '"x"]}', "request_too_long"),
    ],
)
async def test_a_wrong_request_is_a_problem_and_not_the_end(standing: Served, text: str | bytes, code: str) -> None:
    async with client(standing) as ws:
        await ws.send(text)
        problem = await hear(ws, "problem")
        assert problem["code"] == code
        assert problem["hint"]
        await ws.send('{"op": "ping"}')
        await hear(ws, "pong")


@pytest.mark.parametrize(
    ("text", "came", "expected"),
    [
        (b"{}", "binary frame", "a text frame"),
        (
            '{"op": "subscribe", "topic": ["summary:SPY"]}',
            "unknown field `topic`",
            "an object of op, topics, last_seq, epoch",
        ),
        ('{"op": "subscribe", "topics": []}', "No topics came with subscribe", "at least one"),
        ("hello", "'hello'", "an object of"),
    ],
)
async def test_a_wrong_request_is_told_what_came_and_what_was_expected(
    standing: Served, text: str | bytes, came: str, expected: str
) -> None:
    async with client(standing) as ws:
        await ws.send(text)
        detail = (await hear(ws, "problem"))["detail"]
    assert came in detail
    assert f"expected {expected}" in detail


async def test_a_client_follows_a_bounded_number_of_topics(served: Served) -> None:
    for n in range(40):
        served.app.state.hub.board.learn_symbols([f"S{n}"])
    async with client(served) as ws:
        await ask(ws, *[f"bars:S{n}" for n in range(40)])
        assert (await hear(ws, "problem"))["code"] == "too_many_topics"


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_foreign_page_gets_no_socket(standing: Served, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(standing.websocket, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_full_house_says_when_to_come_back(served: Served) -> None:
    hub = served.app.state.hub
    async with client(served), client(served), client(served), client(served), client(served):
        until(lambda: len(hub.subscribers) == 5)
        async with client(served) as ws:
            assert json.loads(await ws.recv())["retry_after_s"] >= 5
            with pytest.raises(ConnectionClosed) as closed:
                await ws.recv()
    assert closed.value.rcvd.code == 1013


async def test_a_stalled_client_is_let_go_politely_while_others_flow(served: Served) -> None:
    hub = served.app.state.hub
    rows = served.publish()["by_strike"] * 10  # large enough to fill the buffers between us
    async with client(served, compression=None, max_queue=1) as stalled, client(served) as flowing:
        await ask(stalled, "strikes:SPY", "summary:SPY")
        await ask(flowing, "summary:SPY")
        await hear(flowing)
        spot = 700.0
        while len(hub.subscribers) == 2:  # until the one that does not read is given up
            spot += 0.25
            await asyncio.to_thread(served.publish, spot, by_strike=rows)
            while (await hear(flowing))["data"]["spot"] != spot:
                pass
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await stalled.recv()
    assert closed.value.rcvd.code == 1013
    assert "resume" in closed.value.rcvd.reason

"""The control address: every verb does what it says, wrong words get a sentence, the ledger counts what was left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from zerogex.simulator import Simulator, SimulatorConfig
from zerogex.simulator.verbs import VERBS

START = datetime(2026, 11, 23, 15, 0, 30, tzinfo=UTC)
DATA = "/v3/marketdata"
QUOTES, CHAIN = f"{DATA}/stream/quotes", f"{DATA}/stream/options/chains"
FORM = {"grant_type": "refresh_token", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
CHAIN_OF_SPY = f"{CHAIN}/SPY?strikeProximity=10"


@asynccontextmanager
async def connected(**changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client signed in to a simulator that runs fast and speaks often."""
    settings = {"port": 0, "start": START, "turn_s": 0.02, "heartbeat_s": 0.1, "speed": 60.0, **changes}
    async with (
        Simulator(SimulatorConfig(**settings)) as simulator,
        httpx2.AsyncClient(base_url=simulator.url, timeout=20) as client,
    ):
        token = (await client.post("/oauth/token", data=FORM)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with connected() as client:
        yield client


async def say(client: httpx2.AsyncClient, verb: str, **arguments: Any) -> None:
    answer = await client.post(f"/simulator/verbs/{verb}", json=arguments)
    assert answer.status_code == 200, answer.text


async def heard(client: httpx2.AsyncClient, path: str = f"{QUOTES}/SPY,QQQ", most: int = 100) -> list[bytes]:
    """The lines of a stream until it ends or so many came."""
    lines: list[bytes] = []
    async with client.stream("GET", path) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            lines.append(line.encode())
            if len(lines) >= most:
                break
    return lines


def symbols(lines: list[bytes]) -> set[str]:
    return {one["Symbol"] for one in map(json.loads, lines) if "Symbol" in one}


async def test_status_answers_the_first_requests_so_and_with_the_headers(client: httpx2.AsyncClient) -> None:
    await say(client, "status", code=429, n=2, headers={"Retry-After": "7"}, path="quotes")
    answers = [await client.get(f"{DATA}/quotes/SPY") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"


async def test_reset_after_breaks_within_an_object(client: httpx2.AsyncClient) -> None:
    await say(client, "reset_after", bytes=2000)
    body = b""
    with pytest.raises(httpx2.RemoteProtocolError):
        async with client.stream("GET", CHAIN_OF_SPY) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
    assert len(body) == 2000


async def test_mute_silences_what_it_names(client: httpx2.AsyncClient) -> None:
    await say(client, "mute", symbols=["QQQ"])
    assert symbols(await heard(client, most=20)) == {"SPY"}


async def test_heartbeat_only_leaves_the_heartbeats(client: httpx2.AsyncClient) -> None:
    await say(client, "heartbeat_only")
    assert all(line.startswith(b'{"Heartbeat"') for line in await heard(client, most=3))


async def test_half_open_streams_say_nothing_and_stay(client: httpx2.AsyncClient) -> None:
    async with client.stream("GET", f"{QUOTES}/SPY") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await say(client, "half_open", once=True)
        number = int(answer.headers["X-Simulated-Stream"])
        before = await _of(client, number)
        assert len(await heard(client, most=50)) == 50  # another one lives on meanwhile
        assert await _of(client, number) == before and before["open"]


@pytest.mark.parametrize(
    ("verb", "arguments", "last"),
    [
        ("goaway", {}, b'{"Error":"GoAway","Message":"The server is about to shut down."}'),
        ("end_string", {}, b"END"),
        ("error_string", {"text": "RESET"}, b"ERROR - RESET"),
    ],
)
async def test_said_once_it_ends_the_streams_that_are_open_and_no_others(
    verb: str, arguments: dict[str, Any], last: bytes, client: httpx2.AsyncClient
) -> None:
    async with client.stream("GET", f"{QUOTES}/SPY") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await say(client, verb, once=True, **arguments)
        assert [line async for line in lines][-1].encode() == last
    assert len(await heard(client, most=30)) == 30
    await say(client, verb, **arguments)
    assert (await heard(client))[-1] == last


async def test_empty_200_close_grants_and_closes(client: httpx2.AsyncClient) -> None:
    await say(client, "empty_200_close")
    assert await heard(client) == []


async def test_dup_repeats_every_object(client: httpx2.AsyncClient) -> None:
    await say(client, "dup", k=3)
    first = await heard(client, f"{QUOTES}/SPY", most=4)
    assert len(set(first)) == 1


def _order(lines: list[bytes]) -> list[int]:
    """The places of contracts in a sorted chain, as they were heard: the window itself follows the price."""
    names = [json.loads(line)["Legs"][0]["Symbol"] for line in lines]
    listed = sorted(set(names))
    return [listed.index(name) for name in names]


async def test_reorder_and_corrupt_are_the_same_again_with_the_same_seed(client: httpx2.AsyncClient) -> None:
    """A stream's chance is its own: by seed and path, whatever else is open."""
    plain = _order(await heard(client, CHAIN_OF_SPY, most=20))
    orders = []
    for seed in (1, 2, 1):
        await say(client, "reorder", window=20, seed=seed)
        orders.append(_order(await heard(client, CHAIN_OF_SPY, most=20)))
    assert orders[0] == orders[2] != orders[1]
    assert orders[0] != plain
    await say(client, "calm")
    await say(client, "corrupt", kind="nan", seed=3)
    assert any(b'"NaN"' in line for line in await heard(client, CHAIN_OF_SPY, most=200))


async def test_revoke_token_refuses_what_was_given_and_grants_anew(client: httpx2.AsyncClient) -> None:
    await say(client, "revoke_token")
    assert (await client.get(f"{DATA}/quotes/SPY")).status_code == 401
    token = (await client.post("/oauth/token", data=FORM)).json()["access_token"]
    assert (await client.get(f"{DATA}/quotes/SPY", headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_rotate_token_gives_a_new_refresh_token_and_kills_the_old(client: httpx2.AsyncClient) -> None:
    await say(client, "rotate_token")
    first = (await client.post("/oauth/token", data=FORM)).json()
    assert first["refresh_token"] != "c"
    assert (await client.post("/oauth/token", data=FORM)).json()["error"] == "invalid_grant"


async def test_cap_streams_refuses_or_closes_what_is_over_it(client: httpx2.AsyncClient) -> None:
    await say(client, "cap_streams", n=1)
    async with client.stream("GET", f"{QUOTES}/SPY"):
        assert (await client.get(f"{QUOTES}/QQQ")).status_code == 429
        await say(client, "cap_streams", n=1, mode="close")
        assert await heard(client) == []


async def test_date_skew_moves_the_date_of_every_answer(client: httpx2.AsyncClient) -> None:
    await say(client, "date_skew", s=300)
    said_at = parsedate_to_datetime((await client.get(f"{DATA}/quotes/SPY")).headers["Date"])
    assert 298 <= (said_at - datetime.now(UTC)).total_seconds() <= 301


async def test_calm_ends_them_all(client: httpx2.AsyncClient) -> None:
    await say(client, "heartbeat_only")
    await say(client, "calm")
    assert symbols(await heard(client, most=10)) == {"SPY", "QQQ"}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("verbs/explode", "", "there is no verb 'explode'; there are status, "),
        ("verbs/goaway", '{"after": 3}', "the verb goaway has no argument 'after'; it takes after_s, once, seed"),
        ("verbs/goaway", '{"once": "yes"}', "the verb goaway has once='yes'; expected true or false"),
        ("verbs/status", '{"code": 503, "once": true}', "the verb status has no argument 'once'"),
        ("verbs/status", "", "the verb status needs code, as in "),
        ("verbs/corrupt", '{"kind": "rot"}', "fault setting is wrong: Invalid enum value 'rot'"),
        ("verbs/dup", '{"k": "many"}', "fault setting is wrong: Expected `int`"),
        ("verbs/mute", "SPY", "expected a JSON object: "),
        ("ledger", '{"stream": 1}', 'expected a receipt like {"stream": 7, "read": 4096}: '),
    ],
)
async def test_a_wrong_word_or_argument_gets_one_sentence(
    path: str, body: str, sentence: str, client: httpx2.AsyncClient
) -> None:
    answer = await client.post(f"/simulator/{path}", content=body)
    assert answer.status_code == 400
    assert answer.json()["Message"].startswith(sentence)
    assert "\n" not in answer.json()["Message"]


async def test_the_control_address_lists_its_verbs_with_examples_that_work(client: httpx2.AsyncClient) -> None:
    listed = (await client.get("/simulator/verbs")).json()
    assert list(listed) == list(VERBS)
    for name, one in listed.items():
        assert one["says"]
        await say(client, name, **one["example"])


async def test_the_ledger_counts_what_a_client_left_unread(client: httpx2.AsyncClient) -> None:
    """Sent = read + unread, to zero, on a connection that the client closed in the middle of things."""
    raw = b""
    async with client.stream("GET", CHAIN_OF_SPY) as answer:
        number = int(answer.headers["X-Simulated-Stream"])
        chunks = answer.aiter_raw(1000)  # held: a generator that is dropped closes the connection
        async for chunk in chunks:
            raw += chunk
            if len(raw) >= 10_000:
                break
        while (await _of(client, number))["bytes"] < 40_000:  # noqa: ASYNC110 - the server says on; nobody reads
            await asyncio.sleep(0.02)
        assert (await _of(client, number))["open"]
    receipt = {"stream": number, "read": len(raw)}
    assert (await client.post("/simulator/ledger", json=receipt)).status_code == 200
    while (await _of(client, number))["open"]:  # noqa: ASYNC110 - the server notices when it next speaks
        await asyncio.sleep(0.02)
    one = await _of(client, number)
    assert one["end"] == "client left"
    assert one["objects"] == raw.count(b"\n") + one["unread"]
    assert one["unread"] > 0


async def _of(client: httpx2.AsyncClient, number: int) -> dict[str, Any]:
    streams = (await client.get("/simulator/ledger")).json()["streams"]
    return next(one for one in streams if one["id"] == number)

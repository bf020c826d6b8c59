"""API keys over a real PostgreSQL and real sockets: who gets in, how often, and what a stranger learns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from served import Served, cut_off, serving, until
from zerogex.errors import SettingsError
from zerogex.ports import ApiKey
from zerogex.serving import access
from zerogex.serving.access import check_keys
from zerogex.serving.config import ServingConfig
from zerogex.serving.keys import digest, new_key
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore


@pytest.fixture
def make_key(store: PostgresStore) -> Callable[..., tuple[str, str]]:
    """A function that makes a key in the store: its id and its text."""

    def make(name: str = "desk", requests_per_minute: int = 600, **more: Any) -> tuple[str, str]:
        key_id, text = new_key()
        scopes = more.pop("scopes", ("data",))
        store.api_keys.add(ApiKey(key_id, name, scopes, requests_per_minute, **more), digest(text))
        return key_id, text

    return make


@pytest.fixture
def served(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server that says a proxy stands before it, and so asks for keys."""
    monkeypatch.setattr(access, "BELIEVED_S", 0.05)
    with serving(store, symbols=("SPY",), allow_remote=True, heartbeat_s=0.1) as served:
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served


def ask(served: Served, path: str = "/SPY/summary", key: str | None = None, **headers: str) -> httpx2.Response:
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return httpx2.get(f"{served.address}/api/v1{path}", headers=headers)


def test_a_key_opens_what_is_closed_without_it(served: Served, make_key: Callable[..., tuple[str, str]]) -> None:
    _, key = make_key()
    assert ask(served).status_code == 401
    assert ask(served, key=key).status_code == 200
    assert ask(served, **{"X-API-Key": key}).status_code == 200
    assert httpx2.get(served.address, auth=("anybody", key)).headers["content-type"].startswith("text/html")
    assert httpx2.get(served.address).status_code == 401
    assert ask(served, "/health/live").status_code == 200


def test_a_browser_is_asked_for_the_key(served: Served) -> None:
    asked = ask(served).headers.get_list("www-authenticate")
    assert [line.split()[0] for line in asked] == ["Bearer", "Basic"]


def test_unknown_revoked_and_expired_keys_get_the_same_answer(
    served: Served, store: PostgresStore, make_key: Callable[..., tuple[str, str]]
) -> None:
    key_id, revoked = make_key()
    _, expired = make_key(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    store.api_keys.revoke(key_id)
    answers = [ask(served, key=key) for key in (revoked, expired, new_key()[1], "zgx_short", "' OR 1=1 --")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert answers[0].json()["code"] == "unauthorized"


def test_a_revoked_key_ends_within_seconds_also_on_its_open_websocket(
    served: Served, store: PostgresStore, make_key: Callable[..., tuple[str, str]]
) -> None:
    key_id, key = make_key()

    async def talk() -> int | None:
        async with connect(served.websocket, additional_headers={"Authorization": f"Bearer {key}"}) as ws:
            assert json.loads(await ws.recv())["type"] == "hello"
            store.api_keys.revoke(key_id)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await asyncio.wait_for(ws.recv(), 5)
            return closed.value.rcvd and closed.value.rcvd.code

    assert asyncio.run(talk()) == 1008
    assert ask(served, key=key).status_code == 401


async def test_a_websocket_without_a_key_is_refused_with_the_reason(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(served.websocket):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "unauthorized"


def test_a_key_may_ask_as_often_as_it_says(served: Served, make_key: Callable[..., tuple[str, str]]) -> None:
    _, key = make_key(requests_per_minute=3)
    answers = [ask(served, key=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit"].startswith('"minute";r=2;')
    assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60'
    assert answers[3].json()["code"] == "rate_limited"
    assert 0 < int(answers[3].headers["retry-after"]) <= 20
    assert answers[3].headers["x-ratelimit-remaining"] == "0"


def test_two_keys_see_only_their_own_quota(served: Served, make_key: Callable[..., tuple[str, str]]) -> None:
    (first_id, first), (second_id, second) = make_key("first", 5), make_key("second", 50)
    ask(served, key=first)
    mine, theirs = ask(served, "/me", key=first).json(), ask(served, "/me", key=second).json()
    assert (mine["key"]["key_id"], mine["quota"]["remaining"]) == (first_id, 3)
    assert (theirs["key"]["key_id"], theirs["quota"]["remaining"]) == (second_id, 49)
    assert first not in json.dumps(mine)
    assert second_id not in json.dumps(mine)


def test_who_guesses_is_slowed_and_who_knows_is_not(served: Served, make_key: Callable[..., tuple[str, str]]) -> None:
    _, key = make_key()
    assert ask(served, key=key).status_code == 200
    codes = [ask(served, key=new_key()[1]).status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert ask(served, key=key).status_code == 200


def test_raw_quotes_are_for_keys_only_where_switched_on(
    served: Served, store: PostgresStore, make_key: Callable[..., tuple[str, str]]
) -> None:
    from served import market_chain

    _, plain = make_key()
    _, licensed = make_key(scopes=("data", "chain"))
    chain = market_chain(690.5, served.clock.now())
    store.write_latest(chain, chain.is_live)
    for key in (plain, licensed):
        answer = ask(served, "/SPY/chain", key)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_licensed")
    with serving(store, symbols=("SPY",), allow_remote=True, chain_to_keys=True) as generous:
        until(lambda: generous.app.state.hub.board.known["SPY"].document)
        assert ask(generous, "/SPY/chain", plain).status_code == 403
        assert len(ask(generous, "/SPY/chain", licensed).json()["chain"]) == len(chain)


def test_without_its_key_store_the_server_lets_nobody_in(
    served: Served, database: DatabaseConfig, make_key: Callable[..., tuple[str, str]]
) -> None:
    _, key = make_key()
    assert ask(served, key=key).status_code == 200
    cut_off(database)
    refused = until(lambda: (answer := ask(served, key=key)).status_code != 200 and answer)
    assert (refused.status_code, refused.json()["code"]) == (503, "key_store_unavailable")
    cut_off(database, away=False)
    until(lambda: ask(served, key=key).status_code == 200)


def test_the_last_use_is_remembered(
    served: Served, store: PostgresStore, make_key: Callable[..., tuple[str, str]]
) -> None:
    _, key = make_key()
    assert store.api_keys.all()[0].last_used_at is None
    ask(served, key=key)
    until(lambda: store.api_keys.all()[0].last_used_at)


def test_a_server_for_the_network_refuses_to_start_without_a_key(
    store: PostgresStore, make_key: Callable[..., tuple[str, str]]
) -> None:
    config = ServingConfig(host="0.0.0.0", allow_remote=True)
    with pytest.raises(SettingsError, match="zerogex keys create"):
        check_keys(config, store.api_keys)
    key_id, _ = make_key()
    check_keys(config, store.api_keys)
    store.api_keys.revoke(key_id)
    make_key(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SettingsError):
        check_keys(config, store.api_keys)
    check_keys(ServingConfig(), store.api_keys)


def test_tls_needs_files_that_exist_and_both_of_them(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("")
    with pytest.raises(SettingsError, match="both"):
        ServingConfig(host="0.0.0.0", tls_cert=tmp_path / "cert.pem")
    with pytest.raises(SettingsError, match="does not exist"):
        ServingConfig(host="0.0.0.0", tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(SettingsError, match="without TLS"):
        ServingConfig(host="0.0.0.0")


def test_the_table_never_holds_a_key(store: PostgresStore, make_key: Callable[..., tuple[str, str]]) -> None:
    key_id, key = make_key()
    secret = key.removeprefix(f"zgx_{key_id}_")
    _, rows = store.query("size")
    assert rows
    assert secret not in repr(store.api_keys.all())
    assert store.api_keys.find(digest(key)).key_id == key_id  # type: ignore[union-attr]
    assert store.api_keys.find(key.encode()) is None

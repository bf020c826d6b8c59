"""Who is not let in, tried on every route that the server describes (S01, S02, S03, S10, S11)."""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from served import NOON, Served, market_chain, serving, until
from zerogex import logs
from zerogex.ports import ApiKey
from zerogex.serving.access import OPEN_PATHS, WRONG_KEYS_A_MINUTE, Access
from zerogex.serving.keys import digest, new_key
from zerogex.serving.quota import Quotas
from zerogex.settings import LogLevel, Settings
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

INJECTIONS = ("'", "' OR '1'='1", "'; DROP TABLE underlying_quotes; --", "1 UNION SELECT 1", "$(id)", "`id`", "%s",
              "%(x)s", "{0}", "\\", "\n", "SPY\x00", "\u202eYPS", "x" * 5000)  # fmt: skip


@pytest.fixture(scope="module")
def guarded(
    new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, DatabaseConfig, Callable[..., str]]]:
    """A server that asks for keys, its database, and a function that makes a key of some scopes."""
    database = new_database()
    store = PostgresStore(database, spool=tmp_path_factory.mktemp("spool"))

    def make(*scopes: str) -> str:
        key_id, text = new_key()
        store.api_keys.add(ApiKey(key_id, "desk", scopes, 100_000), digest(text))
        return text

    with serving(store, symbols=("SPY",), allow_remote=True) as served:
        chain = market_chain(690.5, NOON)
        store.write_latest(chain, chain.is_live)
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served, database, make
    store.close()


def paths_of(served: Served, key: str) -> dict[str, Any]:
    """Every path the server describes, with its operations."""
    answer = httpx2.get(f"{served.address}/api/v1/openapi.json", headers={"X-API-Key": key})
    return answer.json()["paths"]


def test_no_route_answers_without_a_key_or_to_one_that_is_for_something_else(guarded: Any) -> None:
    served, _, make = guarded
    good, other = make("data"), make("chain")
    described = [path.replace("{symbol}", "SPY") for path in paths_of(served, good)]
    pages = ["/", "/assets/main.js", "/metrics", "/docs", "/api/v1/openapi.json", "/nowhere"]
    assert len(described) > 20
    with httpx2.Client(base_url=served.address, timeout=30) as client:
        for path in {*described, *pages} - OPEN_PATHS:
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers={"X-API-Key": other}).status_code == 403, path
            assert client.get(path, headers={"X-API-Key": good}).status_code != 401, path


def test_nothing_is_written_by_any_route_and_no_other_site_may_ask(guarded: Any) -> None:
    """CSRF finds nothing to do: there is no cookie, no route that writes, and a foreign Origin is turned away."""
    served, _, make = guarded
    key = make("data")
    paths = paths_of(served, key)
    assert {method for operations in paths.values() for method in operations} == {"get"}
    forged = {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}
    with httpx2.Client(base_url=served.address, auth=("browser", key)) as client:
        for origin in ("https://evil.example", "null", served.address.replace("http", "https") + ".evil.example"):
            for path in ("/", "/api/v1/symbols", "/api/v1/SPY/summary"):
                assert client.get(path, headers={"Origin": origin}).status_code == 403
                for kind in forged:
                    assert client.post(path, content="a=b", headers={**kind, "Origin": origin}).status_code == 403
        answer = client.get("/api/v1/symbols")
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert client.request(method, "/api/v1/symbols").status_code == 405


@pytest.mark.parametrize("text", INJECTIONS, ids=lambda text: repr(text)[:20])
def test_words_of_an_attacker_are_values_everywhere(guarded: Any, text: str) -> None:
    served, database, make = guarded
    key = make("data")
    before = tables(database)
    with httpx2.Client(base_url=served.address, headers={"X-API-Key": key}, timeout=30) as client:
        for path, operations in paths_of(served, key).items():
            names = [each["name"] for each in operations["get"].get("parameters", ()) if each["in"] == "query"]
            for name in names:
                answer = client.get(path.replace("{symbol}", "SPY"), params={name: text})
                assert answer.status_code < 500, (path, name, answer.text[:200])
                assert "syntax error" not in answer.text
    assert tables(database) == before


def tables(database: DatabaseConfig) -> list[tuple[Any, ...]]:
    with psycopg.connect(**database.parameters()) as connection:
        asked = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
        return connection.execute(asked).fetchall()


@pytest.fixture(params=["json", "text"])
def told(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], str]]:
    """What a server writes with LOG_LEVEL=DEBUG, to files and, in either format, to the terminal."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs._QUIET}
    chosen = Settings(log_level=LogLevel.DEBUG, log_format=request.param, log_dir=tmp_path, _env_file=None)  # type: ignore[call-arg]
    terminal = (tmp_path / "terminal.log").open("w", buffering=1)
    monkeypatch.setattr(sys, "stderr", terminal)
    logs.configure(chosen, service="serve")
    yield lambda: "".join(path.read_text() for path in sorted(tmp_path.glob("*.log")))
    terminal.close()
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


async def test_a_key_in_an_address_opens_nothing_and_is_written_nowhere(guarded: Any, told: Callable[[], str]) -> None:
    served, _, make = guarded
    key = make("data")
    for name in ("key", "api_key", "access_token", "token"):
        answer = httpx2.get(f"{served.address}/api/v1/symbols", params={name: key})
        assert answer.status_code == 401
        with pytest.raises(InvalidStatus):
            async with connect(f"{served.websocket}?{name}={key}"):
                pass
    async with connect(served.websocket, additional_headers={"Authorization": f"Bearer {key}"}) as ws:
        await ws.recv()
    assert httpx2.get(f"{served.address}/api/v1/symbols", headers={"X-API-Key": new_key()[1]}).status_code == 401
    said = told()
    assert "wrong key" in said
    assert key not in said


def test_a_key_in_use_when_a_route_fails_is_written_nowhere(guarded: Any, told: Callable[[], str]) -> None:
    served, _, make = guarded
    key = make("data")

    async def fail() -> None:
        raise RuntimeError("a defect of ours")

    served.app.add_api_route("/fails", fail, include_in_schema=False)
    basic = base64.b64encode(f"anybody:{key}".encode()).decode()
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"Basic {basic}"}):
        answer = httpx2.get(f"{served.address}/fails", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "defect" not in answer.text
    # the last that is said of each of the three, in two files and on the terminal
    said = until(lambda: (lines := told()).count("Exception in ASGI") == 3 * 3 and lines)
    assert "a defect of ours" in said
    assert key not in said
    assert basic not in said
    assert len(said.splitlines()) < 500


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_page_gets_no_socket_even_with_a_key(guarded: Any, origin: str) -> None:
    served, _, make = guarded
    headers = {"Authorization": f"Bearer {make('data')}"}
    with pytest.raises(InvalidStatus):
        async with connect(served.websocket, additional_headers=headers, origin=origin):  # type: ignore[arg-type]
            pass


class Known:
    """A key store that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def find(self, code: bytes) -> ApiKey | None:
        self.asked += 1
        return None


async def test_a_hundred_addresses_guess_ten_times_a_minute_each_and_are_written_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ten thousand guesses: the eleventh of each address is not even looked up."""

    async def nothing(*_: Any) -> None:
        raise AssertionError("somebody was let in")

    known = Known()
    door = Access(nothing, known, Quotas())  # type: ignore[arg-type]
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for guess in range(10_000):
        scope = {
            "type": "http", "method": "GET", "path": "/api/v1/symbols", "query_string": b"",
            "headers": [(b"x-api-key", f"zgx_guess_{guess}".encode())], "client": (f"10.0.0.{guess % 100}", 1),
        }  # fmt: skip
        await door(scope, nothing, send)
    # an address earns a guess in six seconds: a slow machine may look up a few more than ten each
    assert statuses.count(429) > 8_000
    assert known.asked == statuses.count(401) >= 100 * WRONG_KEYS_A_MINUTE
    assert sum(record.getMessage() == "wrong key" for record in caplog.records) == known.asked
    assert "zgx_guess" not in caplog.text

"""The machine-readable description is true, its examples run; a fuzzer and a corpus of attacks get nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import jsonschema_rs
import pytest
from websockets.asyncio.client import connect

from served import NOON, Served, market_chain, minute, serving, until
from zerogex.ports import MinuteBatch
from zerogex.serving.described import EXAMPLES
from zerogex.serving.tables import MEDIA_TYPES, Format
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore


@pytest.fixture(scope="module")
def standing(new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server with a live chain and one stored minute."""
    from datetime import timedelta

    store = PostgresStore(new_database(), spool=tmp_path_factory.mktemp("spool"))
    with serving(store, symbols=("SPY",)) as served:
        chain = market_chain(690.5, NOON)
        start = NOON - timedelta(minutes=1)
        store.write_minute(MinuteBatch(uuid4(), "SPY", start, chain, (minute("SPY", start),)))
        store.write_latest(chain, chain.is_live)
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served
    store.close()


@pytest.fixture(scope="module")
def document(standing: Served) -> dict[str, Any]:
    described: dict[str, Any] = httpx2.get(f"{standing.address}/api/v1/openapi.json").json()
    return described


def test_every_route_of_a_symbol_has_an_example(document: dict[str, Any]) -> None:
    bare = [
        path
        for path, operations in document["paths"].items()
        if "{symbol}" in path and "x-example" not in operations["get"]
    ]
    assert bare == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_its_answer_is_as_described(standing: Served, document: dict[str, Any], name: str) -> None:
    example = EXAMPLES[name]
    answer = httpx2.get(f"{standing.address}/api/v1/{example}", timeout=60)
    assert answer.status_code == 200, answer.text
    form = Format(answer.request.url.params.get("format", "json"))
    assert answer.headers["content-type"] == MEDIA_TYPES[form]
    path = "/api/v1/" + example.partition("?")[0].replace("SPY", "{symbol}")
    said = httpx2.get(f"{standing.address}/api/v1/{example}", params={"format": "json"}, timeout=60).json()
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate({**schema, "components": document["components"]}, said)


def test_every_refusal_is_as_described(standing: Served, document: dict[str, Any]) -> None:
    for path in ("/NOPE/summary", "/SPY/bars?limit=0", "/SPY/summary?as_of=2001-01-01T00:00:00Z"):
        problem = httpx2.get(f"{standing.address}/api/v1{path}").json()
        jsonschema_rs.validate(document["components"]["schemas"]["Problem"], problem)


def test_a_fuzzer_finds_nothing(standing: Served, tmp_path: Path) -> None:
    options = "--phases examples,fuzzing --max-examples 3 --workers 1 --seed 7 --generation-deterministic"
    address = f"{standing.address}/api/v1/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", address, *options.split()]
    hooks = {**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("fuzzed_times.py"))}
    run = subprocess.run(command, cwd=tmp_path, env=hooks, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout[-6000:]


HARMLESS = {"application/json", "application/problem+json"} | {kind.partition(";")[0] for kind in MEDIA_TYPES.values()}
ATTACKS = (
    "' OR '1'='1",
    "'; DROP TABLE gex_summary; --",
    "SPY'/**/UNION/**/SELECT/**/key_hash/**/FROM/**/api_keys--",
    "1; SELECT pg_sleep(30)",
    "%(symbol)s",
    "$1::text",
    "{{7*7}}${7*7}#{7*7}",
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "SPY\r\nSet-Cookie: evil=1",
    "SPY\x00.json",
    "\ud7ff\uffff\u202e",
    "=cmd|' /C calc'!A0",
    "A" * 4000,
    "-1",
    "1e309",
    "NaN",
    "true",
    "[]",
    '{"$gt": ""}',
)


def _holes(document: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Every place of every route that takes a value: (path, name of a query parameter, or None for the symbol)."""
    return [
        (path, parameter["name"] if parameter["in"] == "query" else None)
        for path, operations in document["paths"].items()
        for parameter in operations["get"].get("parameters", ())
    ]


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_an_attack_gets_nowhere(standing: Served, document: dict[str, Any], attack: str) -> None:
    with httpx2.Client(base_url=standing.address, timeout=60) as client:
        before = client.get("/api/v1/SPY/history").json()["history"]
        for path, name in _holes(document):
            where = path.replace("{symbol}", "SPY" if name else quote(attack, safe=""))
            answer = client.get(where, params={name: attack} if name else {})
            what = f"{where} {name}: {answer.status_code} {answer.text[:300]}"
            assert answer.status_code < 500, what
            assert answer.headers["content-type"].partition(";")[0] in HARMLESS, what
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "set-cookie" not in answer.headers
            assert "root:" not in answer.text
            assert "Traceback" not in answer.text
        assert client.get("/api/v1/SPY/history").json()["history"] == before
        assert client.get(f"/assets/{quote(attack, safe='/.')}").status_code in (404, 414)


async def test_an_attack_over_the_websocket_gets_nowhere(standing: Served) -> None:
    async with connect(standing.websocket) as ws:
        for attack in ATTACKS:
            for text in (attack, json.dumps({"op": attack}), json.dumps({"op": "subscribe", "topics": [attack]}),
                         json.dumps({"op": "subscribe", "topics": [f"summary:{attack}"]})):  # fmt: skip
                await ws.send(text)
                while (said := json.loads(await ws.recv()))["type"] != "problem":
                    assert said["type"] in ("hello", "heartbeat"), (text[:80], said)
                assert 400 <= said["status"] < 500

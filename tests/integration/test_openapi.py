"""The machine-readable description is true: its examples run, its schemas hold, and a fuzzer finds nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import jsonschema_rs
import pytest

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
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout[-6000:]

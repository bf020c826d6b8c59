"""What the API writes of a chain, read back by `zerogex gex`: the same market, and still marked as simulated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from served import NOON, Served, market_chain, serving, until
from zerogex.cli.gex import gex
from zerogex.domain.chain import OptionChain
from zerogex.domain.iv import IvSource
from zerogex.errors import ChainFileError
from zerogex.providers.chain_files import read_chain
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

FORMATS = ("json", "csv", "ndjson", "parquet", "arrow")
GUESSED = 3  # contracts whose volatility is the default


@pytest.fixture(scope="module")
def market(new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = PostgresStore(new_database(), spool=tmp_path_factory.mktemp("spool"))
    with serving(store, symbols=("SPY",)) as served:
        live = stored_chain()
        store.write_latest(live, live.is_live)
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served
    store.close()


def stored_chain() -> OptionChain:
    chain = market_chain(690.5, NOON)
    source = chain.iv_source.copy()
    source[:GUESSED] = IvSource.DEFAULT
    return replace(chain, iv_source=source, event_time=np.full(len(chain), NOON.timestamp() - 7.0))


def exported(market: Served, form: str) -> bytes:
    answer = httpx2.get(f"{market.address}/api/v1/SPY/chain", params={"format": form}, timeout=60)
    assert answer.status_code == 200
    return answer.content


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_is_read_back_as_the_simulated_market_it_is(market: Served, form: str) -> None:
    said = read_chain(exported(market, form), f"api.{form}")
    chain, stored = said.chain, stored_chain()
    assert (chain.simulated, chain.as_of, chain.spot, chain.underlying) == (True, NOON, 690.5, "SPY")
    assert set(chain.symbol) == set(stored.symbol)
    assert chain.open_interest.sum() == stored.open_interest.sum()
    assert np.unique(chain.event_time).tolist() == [NOON.timestamp() - 7.0]
    assert np.isnan(chain.iv).sum() == GUESSED
    assert not [note for note in said.notes if "no time" in note or "inferred" in note]
    assert [note for note in said.notes if note.startswith(f"{GUESSED} volatilities of the file are defaults")]


def test_a_bare_export_speaks_at_the_time_of_its_newest_quote(market: Served) -> None:
    """As written before the rows carried their head."""
    lines = exported(market, "csv").decode().splitlines()
    names = lines[0].split(",")
    kept = [names.index(name) for name in names if name not in ("underlying", "spot", "data_timestamp", "simulated")]
    bare = "\n".join(",".join(line.split(",")[place] for place in kept) for line in lines) + "\n"
    said = read_chain(bare.encode(), "old.csv")
    assert said.chain.as_of.timestamp() == NOON.timestamp() - 7.0
    assert [note for note in said.notes if "its newest quote" in note]


def test_lines_that_end_early_and_damaged_ones_are_told_apart(market: Served) -> None:
    whole = exported(market, "ndjson")
    with pytest.raises(ChainFileError, match="is cut off: its line"):
        read_chain(whole[:-20], "api.ndjson")
    lines = whole.splitlines(keepends=True)
    with pytest.raises(ChainFileError, match="is damaged NDJSON in line 2"):
        read_chain(lines[0] + b"{" + b"".join(lines[1:]), "api.ndjson")
    with pytest.raises(ChainFileError, match="is damaged Arrow"):
        read_chain(exported(market, "arrow")[:-5000], "api.arrow")


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_says_simulated_of_an_export(market: Served, form: str, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    file.write_bytes(exported(market, form))
    command = typer.Typer(pretty_exceptions_enable=False)
    command.command()(gex)
    headline = CliRunner().invoke(command, [str(file)]).stdout.splitlines()[0]
    assert headline.startswith("SPY 690.50   Fri 2026-02-20 12:00:00 ET")
    assert "SIMULATED" in headline
    assert json.loads(CliRunner().invoke(command, [str(file), "-o", "json"]).stdout)["simulated"] is True

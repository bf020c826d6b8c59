"""Killed at every named place (F46): the next start is a recovery, and P1 and P5 hold."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from faults.checks import table_hashes
from faults.processes import Ingest, chain_beyond, check_chains, feed, replay
from zerogex import crashpoints
from zerogex.errors import SettingsError
from zerogex.providers.tradestation.token_file import TokenFile
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.migrate import migrations
from zerogex.store.postgres import PostgresStore

OF_INGEST = [name for name in crashpoints.POINTS if not name.startswith("token_")]


@pytest.mark.parametrize("point", OF_INGEST)
async def test_ingest_killed_anywhere_goes_on_where_it_was(
    point: str, database: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    times = 60 + 7 * seed if point in ("after_read", "after_parse") else 5 + seed % 5
    async with feed(seed) as market:
        async with Ingest(market, database, tmp_path / "home", ZEROGEX_CRASH_AT=f"{point}:{times}") as first:
            assert await first.ended() == -signal.SIGKILL, first.words
        spool = tmp_path / "home" / "spool" / database.dbname
        left = shutil.copytree(spool, tmp_path / "left")
        killed_at = market.clock.now()
        began = time.monotonic()
        async with Ingest(market, database, tmp_path / "home") as second:
            await chain_beyond(database, "SPY", killed_at)
            sys.stdout.write(
                f"{point}: the first minute after a start was stored in {time.monotonic() - began:.1f} s\n"
            )
            await chain_beyond(database, "SPY", killed_at, 2)
            end = market.clock.now() - timedelta(minutes=2)
            await market.settled(database, ["SPY"], end)
            assert await second.stop() == 0, second.words
        check_chains(database, "SPY", [*first.stored.get("SPY", []), *second.stored["SPY"]])
        assert not await market.troubles(database, "SPY", end)
    once = table_hashes(database)
    replay(database, left, "SPY")
    assert table_hashes(database) == once


def run(program: str, *arguments: str) -> int:
    """Another Python with this program."""
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False).returncode


@pytest.mark.parametrize("point", ["token_before_write", "token_mid_write"])
def test_a_token_file_killed_while_it_rotates_is_the_old_or_the_new_one(point: str, tmp_path: Path) -> None:
    """F03."""
    program = (
        "import sys; from pathlib import Path; from zerogex import crashpoints\n"
        "from zerogex.providers.tradestation.token_file import TokenFile\n"
        "crashpoints.arm(sys.argv[2]); TokenFile(Path(sys.argv[1]), 'configured').write('newer')"
    )
    kept = TokenFile(tmp_path / "token.json", "configured")
    kept.write("older")
    assert run(program, str(tmp_path / "token.json"), point) == -signal.SIGKILL
    assert kept.read() == "older"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    assert run(program, str(tmp_path / "token.json"), "") == 0
    assert kept.read() == "newer"


@pytest.mark.parametrize("version", [migration.version for migration in migrations()])
def test_a_migration_killed_at_any_step_is_whole_or_not_there(
    version: int, postgres_server: EmbeddedServer, new_database: Callable[[], DatabaseConfig]
) -> None:
    """F50."""
    empty = postgres_server.config(f"killed_{version}_{os.getpid()}")
    program = (
        "import json, sys; from zerogex import crashpoints; from zerogex.store.config import DatabaseConfig\n"
        "from zerogex.store.migrate import migrate\n"
        "crashpoints.arm(sys.argv[2]); migrate(DatabaseConfig(**json.loads(sys.argv[1])))"
    )
    assert run(program, json.dumps(asdict(empty)), f"migration_step_{version}") == -signal.SIGKILL
    store = PostgresStore(empty)
    assert store.migrate() == [each.name for each in migrations() if each.version >= version]
    store.check_schema()
    store.close()
    assert columns(empty) == columns(new_database())


def columns(database: DatabaseConfig) -> list[tuple[object, ...]]:
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall()


@pytest.mark.parametrize("text", ["after_lunch", "after_commit:0", "after_commit:x", "migration_step_x"])
def test_a_place_that_does_not_exist_is_a_sentence(text: str) -> None:
    with pytest.raises(SettingsError, match=r"ZEROGEX_CRASH_AT is .* the places are after_read"):
        crashpoints.arm(text)

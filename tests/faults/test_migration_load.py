"""A schema changed under a large table, a writer and a long question (F49): nobody waits longer than a lock's patience.

FAULT_ROWS=5000000 makes the table as large as it is on a real machine; `-s` prints how long the writer was held up.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from zerogex.domain.chain import OptionChain
from zerogex.ports import MinuteBatch
from zerogex.store import migrate
from zerogex.store.config import DatabaseConfig
from zerogex.store.migrate import Migration
from zerogex.store.postgres import PostgresStore

ROWS = int(os.environ.get("FAULT_ROWS", "100000"))
MINUTE = timedelta(minutes=1)
COLUMNS = """
    SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns
    WHERE table_name = 'option_chains' AND column_name NOT IN ('option_symbol', 'timestamp')
"""
MORE_ROWS = """
    INSERT INTO option_chains (option_symbol, timestamp, {others})
    SELECT 'OLD ' || number, timestamp - interval '1 hour', {others}
    FROM (SELECT * FROM option_chains LIMIT 1) AS one, generate_series(1, %s) AS number
"""
FINGERPRINT = """
    SELECT count(*), sum(hashtext(option_symbol || timestamp || coalesce(bid, 0) || coalesce(gamma, 0)))
    FROM option_chains WHERE option_symbol LIKE 'OLD %'
"""


class Writer(threading.Thread):
    """Stores a minute after another, and remembers how long each took."""

    def __init__(self, store: PostgresStore, chain: OptionChain) -> None:
        super().__init__(daemon=True)
        self.store, self.chain = store, chain
        self.took: list[tuple[float, float]] = []  # (when it began, how long it took), seconds
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(0.05):
            start = self.chain.as_of + MINUTE * len(self.took)
            began = time.monotonic()
            self.store.write_minute(MinuteBatch(uuid4(), "SPX", start, replace(self.chain, as_of=start + MINUTE), ()))
            self.took.append((began, time.monotonic() - began))

    def wrote(self, more: int) -> None:
        """Wait for so many minutes more."""
        enough = len(self.took) + more
        while len(self.took) < enough:
            assert self.is_alive()
            time.sleep(0.01)


def test_a_large_table_changes_under_a_writer_and_a_long_question(
    store: PostgresStore, database: DatabaseConfig, make_chain: Callable[..., OptionChain],
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    chain = make_chain(strikes=100)
    store.write_minute(MinuteBatch(uuid4(), "SPX", chain.as_of - MINUTE, chain, ()))
    reader = psycopg.connect(**database.parameters())
    reader.execute("SET statement_timeout = 0")
    others = reader.execute(COLUMNS).fetchone()
    assert others is not None
    reader.execute(MORE_ROWS.format(others=others[0]), [ROWS])  # type: ignore[arg-type]
    reader.commit()
    before = reader.execute(FINGERPRINT).fetchone()  # from here on a question that does not end
    assert before is not None and before[0] == ROWS
    step = Migration(migrate.newest() + 1, "9999_more", "ALTER TABLE option_chains ADD COLUMN more integer")
    known = migrate.migrations()
    monkeypatch.setattr(migrate, "migrations", lambda: (*known, step))

    writer = Writer(store, chain)
    writer.start()
    applied: list[str] = []
    migration = threading.Thread(target=lambda: applied.extend(migrate.migrate(database)))
    try:
        writer.wrote(5)
        began = time.monotonic()
        migration.start()
        while caplog.messages.count("migration waits for a lock") < 2:
            assert migration.is_alive()
            time.sleep(0.05)
        writer.wrote(1)  # between two tries of the migration it gets through
        reader.rollback()
        migration.join()
        changed = time.monotonic()
        writer.wrote(5)  # the program that knows nothing of the new column goes on
    finally:
        writer.stopping.set()
        writer.join()
    assert applied == ["9999_more"]
    assert reader.execute(FINGERPRINT).fetchone() == before
    stored = reader.execute("SELECT count(DISTINCT timestamp) FROM chain_minutes").fetchone()
    assert stored == (1 + len(writer.took),)
    reader.close()
    longest = max(took for at, took in writer.took if at + took >= began and at <= changed)
    sys.stdout.write(f"{ROWS} rows: migrated in {changed - began:.1f} s, a write was held up {longest:.2f} s at most\n")

"""The road of the numbered migrations and the one complete file lead to the same database."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

import zerogex.store
from zerogex.domain.chain import OptionChain
from zerogex.errors import SchemaBehind, StoreUnavailable
from zerogex.ports import MinuteBatch
from zerogex.store import migrate
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import connect
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.migrate import Migration, migrations
from zerogex.store.postgres import PostgresStore

PACKAGE = Path(zerogex.store.__file__).parent


@pytest.fixture
def empty(postgres_server: EmbeddedServer, request: pytest.FixtureRequest) -> DatabaseConfig:
    """A database without any table."""
    name = re.sub(r"\W+", "_", request.node.name)[:40]
    return postgres_server.config(f"empty_{name}")


def dump(server: EmbeddedServer, config: DatabaseConfig) -> str:
    """What pg_dump says of the schema, without its random tokens."""
    command = [server.binaries / "pg_dump", "--schema-only", "--no-owner", "-d", server.dsn(config.dbname)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def test_schema_file_and_migrations_give_the_same_database(
    postgres_server: EmbeddedServer, empty: DatabaseConfig, database: DatabaseConfig
) -> None:
    if not (postgres_server.binaries / "pg_dump").exists():
        pytest.skip("this server comes without pg_dump")
    with connect(empty, autocommit=True) as connection:
        connection.execute((PACKAGE / "schema.sql").read_text())  # type: ignore[arg-type]
    assert dump(postgres_server, empty) == dump(postgres_server, database)
    applied = []
    for config in (empty, database):
        with connect(config) as connection:
            applied.append(connection.execute("SELECT version, name FROM schema_migrations ORDER BY 1").fetchall())
    assert applied[0] == applied[1] == [(m.version, m.name) for m in migrations()]
    store = PostgresStore(empty)
    store.check_schema()
    store.close()


def test_migrations_are_numbered_without_holes() -> None:
    assert [m.version for m in migrations()] == list(range(1, len(migrations()) + 1))


def test_migrating_again_does_nothing(database: DatabaseConfig) -> None:
    assert migrate.migrate(database) == []


def test_two_processes_may_migrate_at_once(empty: DatabaseConfig) -> None:
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate.migrate(empty))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied, key=len) == [[], [], [m.name for m in migrations()]]


def with_another(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    known = migrations()
    added = Migration(migrate.newest() + 1, "9999_more", text)  # type: ignore[arg-type]
    monkeypatch.setattr(migrate, "migrations", lambda: (*known, added))


def test_a_migration_that_fails_leaves_nothing_behind(
    store: PostgresStore, database: DatabaseConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = migrate.newest()
    with_another(monkeypatch, "CREATE TABLE half (a int); SELECT 1 / 0;")
    with pytest.raises(Exception, match="division by zero"):
        store.migrate()
    with connect(database) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
    needs = f"at version {newest}, this program needs {newest + 1}; run `zerogex db migrate`"
    with pytest.raises(SchemaBehind, match=needs):
        store.check_schema()
    monkeypatch.undo()
    store.check_schema()


def test_a_migration_gives_up_its_place_in_the_queue_while_a_lock_is_held(
    store: PostgresStore, database: DatabaseConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "SET LOCAL lock_timeout = '20ms'; ALTER TABLE feed_state ADD COLUMN more int;"
    with_another(monkeypatch, text)
    reader = psycopg.connect(**database.parameters())
    reader.execute("SELECT * FROM feed_state")
    pauses: list[float] = []
    let_go = lambda: reader.rollback() if len(pauses) > 2 else None  # noqa: E731
    monkeypatch.setattr(migrate.time, "sleep", lambda s: (pauses.append(s), let_go()))
    assert store.migrate() == ["9999_more"]
    assert len(pauses) == 3

    monkeypatch.setattr(migrate.time, "sleep", pauses.append)
    with connect(database) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE name = '9999_more'")
    reader.execute("SELECT * FROM feed_state")
    with pytest.raises(StoreUnavailable, match=r"cannot do this now: .*lock timeout"):
        store.migrate()
    reader.close()


def test_a_database_newer_than_the_program_is_left_alone(store: PostgresStore, database: DatabaseConfig) -> None:
    with connect(database) as connection:
        connection.execute("INSERT INTO schema_migrations (version, name) VALUES (99, '0099_future')")
    for attempt in (store.check_schema, store.migrate):
        with pytest.raises(SchemaBehind, match="newer than this program's"):
            attempt()


def test_a_program_goes_on_with_a_database_one_version_ahead(
    store: PostgresStore,
    database: DatabaseConfig,
    monkeypatch: pytest.MonkeyPatch,
    make_chain: Callable[..., OptionChain],
) -> None:
    with monkeypatch.context() as tomorrow:
        with_another(tomorrow, "ALTER TABLE option_chains ADD COLUMN more int; CREATE TABLE another (a int);")
        assert store.migrate() == ["9999_more"]
    store.check_schema()
    assert store.migrate() == []
    chain, minute = make_chain(), datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
    with store.writer_lock("SPX"):
        store.write_minute(MinuteBatch(uuid4(), "SPX", minute, chain, (), ()))
    found = store.minute_chain("SPX", minute)
    assert found is not None and len(found) == len(chain)

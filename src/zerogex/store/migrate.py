"""Numbered migrations: each in one transaction, one migrating process at a time, run again without harm."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import LiteralString

import psycopg

from zerogex.crashpoints import MIGRATION, crashpoint
from zerogex.errors import SchemaBehind
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.failures import in_our_words
from zerogex.store.sql import statement

log = logging.getLogger(__name__)

_FILE = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
TOLERATED_AHEAD = 1  # a migration only adds, so that yesterday's program goes on while machines are updated in turn
LOCK_TRIES = 20  # of a second and a half each, with a pause between, which lets the waiting sessions through


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from one version of the schema to the next."""

    version: int
    name: str  # the file's name without its ending
    text: LiteralString


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration of this program, ascending."""
    found = []
    for file in (files("zerogex.store") / "migrations").iterdir():
        if match := _FILE.match(file.name):
            text = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), file.name.removesuffix(".sql"), text))
    return tuple(sorted(found, key=lambda migration: migration.version))


def newest() -> int:
    """The version this program works with."""
    return migrations()[-1].version


def current(connection: Connection) -> int:
    """The version a database has; 0 for one without our schema."""
    row = connection.execute(statement("has_schema_migrations")).fetchone()
    if row is None or not row[0]:
        return 0
    return max((version for (version,) in connection.execute(statement("applied_migrations"))), default=0)


def check(connection: Connection, place: str) -> None:
    """Raise SchemaBehind unless the database has this program's version, or the one after it."""
    version = current(connection)
    if version < newest():
        raise SchemaBehind(
            f"the schema of {place} is at version {version}, this program needs {newest()}; run `zerogex db migrate`"
        )
    if version > newest() + TOLERATED_AHEAD:
        raise SchemaBehind(
            f"the schema of {place} is at version {version}, newer than this program's {newest()}; update the program"
        )
    if version > newest():
        log.warning("database is one version ahead", extra={"schema": version, "program": newest()})


def migrate(config: DatabaseConfig) -> list[str]:
    """Apply what is missing; returns the names of what was applied.

    Raises SchemaBehind if the database is more than one version ahead of the program.
    """
    with connect(config, "zerogex migrate", autocommit=True) as connection, in_our_words(config):
        connection.execute(statement("lock_migrations"))
        try:
            connection.execute(statement("create_schema_migrations"))
            applied = {version for (version,) in connection.execute(statement("applied_migrations"))}
            if applied and max(applied) > newest():
                check(connection, config.place)
            missing = [migration for migration in migrations() if migration.version not in applied]
            for migration in missing:
                _apply(connection, migration)
        finally:
            if not connection.closed:
                connection.execute(statement("unlock_migrations"))
    return [migration.name for migration in missing]


def _apply(connection: Connection, migration: Migration) -> None:
    """One migration; where a lock is not to be had at once, again after a pause."""
    for turn in range(1, LOCK_TRIES + 1):
        try:
            with connection.transaction():
                connection.execute(statement("short_lock_timeout"))
                connection.execute(statement("no_statement_timeout"))
                connection.execute(migration.text)
                named = {"version": migration.version, "name": migration.name}
                connection.execute(statement("record_migration"), named)
                crashpoint(f"{MIGRATION}{migration.version}")
        except psycopg.errors.LockNotAvailable:
            if turn == LOCK_TRIES:
                raise
            log.info("migration waits for a lock", extra={"migration": migration.name, "turn": turn})
            time.sleep(min(0.2 * turn, 2.0))
        else:
            log.info("migration applied", extra={"migration": migration.name})
            return

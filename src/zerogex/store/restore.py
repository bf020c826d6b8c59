"""A dump of `upkeep.dump` back into a new database, whichever of its two forms it has."""

from __future__ import annotations

import csv
import gzip
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from psycopg import sql

from zerogex.errors import StoreError
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.failures import in_our_words
from zerogex.store.migrate import migrate
from zerogex.store.sql import statement
from zerogex.store.upkeep import NOTHING, create_database, libpq_environment, program

_BLOCK_BYTES = 1 << 20
_SUFFIX = ".csv.gz"


def restore(config: DatabaseConfig, saved: Path, into: str, inherited: Mapping[str, str] = NOTHING) -> DatabaseConfig:
    """Make the database `into` on the same server and fill it; a database that is there is never touched.

    Raises StoreError where the dump cannot be read or the database is there.
    """
    if not saved.exists():
        raise StoreError(f"there is no dump {saved}; `zerogex db clear-data` says where it saves them")
    target = replace(config, dbname=into)
    if saved.is_dir():
        tables = sorted(saved.glob(f"*{_SUFFIX}"))
        if not tables:
            raise StoreError(f"{saved} has no table in it (*{_SUFFIX}), so it is no dump")
        _make(target)
        migrate(target)
        with connect(target, "zerogex restore") as connection, in_our_words(target):
            connection.execute(statement("no_statement_timeout"))
            for file in tables:
                _copy_in(connection, file)
            connection.commit()
    else:
        pg_restore = _pg_restore(target, saved)
        _make(target)
        command = [pg_restore, "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={into}", str(saved)]
        _run(command, libpq_environment(target, inherited), f"database {into!r} is incomplete, drop it")
    return target


def _make(target: DatabaseConfig) -> None:
    if not create_database(target):
        raise StoreError(f"database {target.dbname!r} is there already; name another with --into")


def _pg_restore(target: DatabaseConfig, saved: Path) -> str:
    """A pg_restore that can read this dump, found before anything is made."""
    with connect(replace(target, dbname="postgres"), "zerogex restore") as connection:
        server = connection.info.server_version // 10_000
    found = program("pg_restore", server)
    if found is None:
        raise StoreError("pg_restore is not on this machine; install the PostgreSQL client")
    _run([str(found), "--list", str(saved)], {}, f"{saved} cannot be restored")
    return str(found)


def _run(command: list[str], environment: dict[str, str], otherwise: str) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise StoreError(f"{said}; {otherwise}")


def _copy_in(connection: Connection, file: Path) -> None:
    """One table, by way of a stage, so that the days it needs are known before its rows come."""
    name = file.name.removesuffix(_SUFFIX)
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        columns = sql.SQL(", ").join(map(sql.Identifier, next(csv.reader(text))))
    names = {"table": sql.Identifier(name), "columns": columns}
    connection.execute(sql.SQL(statement("stage_table")).format(**names))
    copy_in = sql.SQL(statement("copy_stage")).format(**names)
    with gzip.open(file, "rb") as data, connection.cursor().copy(copy_in) as copy:
        while block := data.read(_BLOCK_BYTES):
            copy.write(block)
    if name in {name for (name,) in connection.execute(statement("partitioned_tables"))}:
        connection.execute(statement("ensure_staged_days"), {"parent": name})
    connection.execute(sql.SQL(statement("unstage_table")).format(**names))
    connection.execute(statement("drop_stage"))

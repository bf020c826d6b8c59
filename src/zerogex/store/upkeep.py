"""What an operator does to a database: dump it, clear it, vacuum it, look at it with libpq's own programs."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psycopg
from psycopg import sql

from zerogex.errors import StoreError
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.embedded import find_binaries
from zerogex.store.failures import in_our_words
from zerogex.store.sql import statement

_DUMP_TIMEOUT_S = 3600


class Part(StrEnum):
    """What can be cleared."""

    DATA = "data"
    OPTIONS = "options"
    UNDERLYING = "underlying"


_FLOW = ("flow_totals", "flow_strikes", "flow_expirations", "flow_prints")
_OPTIONS = ("option_chains", "chain_minutes", "option_latest", *_FLOW)
_UNDERLYING = ("underlying_quotes", "underlying_latest")
_ANALYSES = ("gex_summary", "gex_calculations", "gex_strikes", "gex_live")
_DIARY = ("ingest_batches", "ingestion_metrics", "data_quality_log", "data_gaps")
TABLES: Mapping[Part, tuple[str, ...]] = {
    Part.DATA: (*_UNDERLYING, *_OPTIONS, *_ANALYSES, *_DIARY),
    Part.OPTIONS: _OPTIONS,
    Part.UNDERLYING: _UNDERLYING,
}


NOTHING: Mapping[str, str] = {}


def libpq_environment(config: DatabaseConfig, inherited: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """How libpq's programs find the database; the password goes by the environment, never by arguments.

    `inherited` is the caller's own environment; what it says of another PostgreSQL is left out.
    """
    known = {
        "PGHOST": config.host,
        "PGPORT": str(config.port),
        "PGDATABASE": config.dbname,
        "PGUSER": config.user,
        "PGPASSWORD": config.password,
        "PGSSLMODE": config.sslmode,
        "PGCONNECT_TIMEOUT": str(max(2, round(config.connect_timeout_s))),
        "PGTZ": "America/New_York",
    }
    others = {name: value for name, value in inherited.items() if not name.startswith("PG") or name == "PGPASSFILE"}
    return {**others, **{name: value for name, value in known.items() if value is not None}}


def program(name: str, version: int | None = None) -> Path | None:
    """A program of PostgreSQL, beside the embedded server (of `version`) or on the PATH; None where there is none."""
    try:
        beside = find_binaries(None, version) / name
    except StoreError:
        beside = None
    if beside is not None and beside.exists():
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


def dump(config: DatabaseConfig, folder: Path, at: datetime, inherited: Mapping[str, str] = NOTHING) -> Path:
    """Everything in the database into a new file (pg_dump's) or folder (compressed CSV), readable by us alone.

    Raises StoreError when neither can be written.
    """
    stem = folder / f"{config.dbname}-{at:%Y%m%dT%H%M%SZ}"
    with connect(config, "zerogex dump") as connection:
        server = connection.info.server_version // 10_000
    pg_dump = program("pg_dump", server)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if pg_dump is not None and _dumped(pg_dump, libpq_environment(config, inherited), stem.with_suffix(".dump")):
            return stem.with_suffix(".dump")
        return _copied(config, stem.with_suffix(".csv"))
    except OSError as error:
        raise StoreError(f"no dump can be written under {folder} ({error.strerror}); nothing was changed") from error


def _dumped(pg_dump: Path, environment: Mapping[str, str], file: Path) -> bool:
    """Whether pg_dump did it; it may be older than the server."""
    file.touch(mode=0o600)
    command = [str(pg_dump), "--format=custom", "--no-password", "--no-privileges", f"--file={file}"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_DUMP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        done = None
    if done is not None and done.returncode == 0:
        return True
    file.unlink(missing_ok=True)
    return False


def _copied(config: DatabaseConfig, folder: Path) -> Path:
    """Each table as CSV with a header, gzipped, all of one instant."""
    folder.mkdir(mode=0o700)
    with connect(config, "zerogex dump") as connection, in_our_words(config):
        connection.execute(statement("consistent_read"))
        connection.execute(statement("no_statement_timeout"))
        for table in (*TABLES[Part.DATA], "feed_state"):  # which says whether the data are simulated
            copy_out = sql.SQL(statement("copy_table")).format(table=sql.Identifier(table))
            with gzip.open(folder / f"{table}.csv.gz", "wb", 6) as file, connection.cursor().copy(copy_out) as copy:
                for data in copy:
                    file.write(data)
    return folder


def clear(config: DatabaseConfig, part: Part) -> None:
    """Empty the tables of a part, at once or not at all."""
    tables = sql.SQL(", ").join(map(sql.Identifier, TABLES[part]))
    with connect(config, "zerogex clear") as connection, in_our_words(config):
        connection.execute(sql.SQL(statement("truncate")).format(tables=tables))
        connection.commit()


def writers(config: DatabaseConfig) -> list[str]:
    """The names of sessions that hold a writer's lock now."""
    with connect(config, "zerogex clear") as connection, in_our_words(config):
        return [name for (name,) in connection.execute(statement("writers_now"))]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of itself and of our database."""

    version: str
    timescale: str | None  # version of the extension in this database
    size_bytes: int
    connections: int
    writers: list[str]


def facts(connection: Connection) -> Facts:
    """Ask the server."""
    row = connection.execute(statement("database_facts")).fetchone()
    assert row is not None
    version, timescale, size_bytes, connections = row
    names = [name for (name,) in connection.execute(statement("writers_now"))]
    return Facts(version, timescale, size_bytes, connections, names)


def vacuum(config: DatabaseConfig) -> Iterator[str]:
    """VACUUM ANALYZE of each table of ours, by name as it is done."""
    with connect(config, "zerogex vacuum", autocommit=True) as connection, in_our_words(config):
        connection.execute(statement("vacuum_timeouts"))
        for (table,) in connection.execute(statement("tables")).fetchall():
            connection.execute(sql.SQL(statement("vacuum")).format(table=sql.Identifier(table)))
            yield table


def unsummed(config: DatabaseConfig) -> int:
    """How many stored minutes have flow that is computed when asked, until `refresh_views` has summed it."""
    with connect(config, "zerogex refresh") as connection, in_our_words(config):
        return len(connection.execute(statement("minutes_to_sum"), {"all": False}).fetchall())


def refresh_views(config: DatabaseConfig) -> Iterator[tuple[str, datetime]]:
    """Sum the flow of every stored minute anew from option_chains; each, as it is done.

    Each in a transaction of its own, so that a minute is never without its sums.  Those of minutes no longer stored go.
    """
    with connect(config, "zerogex refresh", autocommit=True) as connection, in_our_words(config):
        connection.execute(statement("vacuum_timeouts"))
        orphans = connection.execute(statement("orphaned_sums")).fetchall()
        stored = connection.execute(statement("minutes_to_sum"), {"all": True}).fetchall()
        for underlying, timestamp in orphans + stored:
            connection.execute(statement("sum_flow_of_minute"), {"underlying": underlying, "timestamp": timestamp})
            yield underlying, timestamp
        for table in _FLOW:
            connection.execute(sql.SQL(statement("vacuum")).format(table=sql.Identifier(table)))


def refresh_materialized_views(config: DatabaseConfig) -> list[str]:
    """Refresh the materialized views an operator made; their names."""
    with connect(config, "zerogex refresh", autocommit=True) as connection, in_our_words(config):
        connection.execute(statement("vacuum_timeouts"))
        found = connection.execute(statement("materialized_views")).fetchall()
        for schema, name in found:
            view = sql.Identifier(schema, name)
            connection.execute(sql.SQL(statement("refresh_view")).format(view=view))
    return [f"{schema}.{name}" for schema, name in found]


def create_database(config: DatabaseConfig) -> bool:
    """Make the database of a configured server if it is missing; whether it was."""
    administration = replace(config, dbname="postgres")
    with connect(administration, "zerogex init", autocommit=True) as connection, in_our_words(config):
        if connection.execute(statement("database_exists"), {"dbname": config.dbname}).fetchone():
            return False
        names = {"name": sql.Identifier(config.dbname), "template": sql.Identifier("template1")}
        try:
            connection.execute(sql.SQL(statement("create_database")).format(**names))
        except psycopg.errors.DuplicateDatabase:
            return False
    return True

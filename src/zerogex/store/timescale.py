"""The tables kept by day as TimescaleDB hypertables, where a server has that extension.

ZeroGEX's own partitions by day and hypertables exclude each other, so this is a conversion an operator
asks for (`zerogex db timescale`), done in one transaction; see docs/decisions.  Compression and retention
need TimescaleDB's community build; its Apache build has hypertables alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from zerogex.errors import LockHeld, StoreUnavailable
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.failures import in_our_words
from zerogex.store.sql import statement

# What rows of a compressed batch share, and their order within: a minute is read as a whole.
COMPRESSION: Mapping[str, tuple[str, str]] = {
    "underlying_quotes": ("symbol", "timestamp"),
    "option_chains": ("underlying", "timestamp, option_symbol"),
    "gex_calculations": ("underlying", "timestamp, expiration, strike"),
}
_NOT_IN_THIS_BUILD = "0A000"


@dataclass(frozen=True, slots=True)
class Converted:
    """What was done."""

    version: str  # of the extension
    tables: list[str]  # now hypertables; empty where they were already
    compressed: bool
    refused: str | None  # why compression or retention is not to be had, in the server's words


def convert(config: DatabaseConfig, *, compress_after_days: int = 7, keep_days: int | None = None) -> Converted:
    """Make hypertables, compress what is older, and drop what is older than `keep_days` (None: nothing, ever).

    Raises StoreUnavailable where the server has no TimescaleDB, LockHeld while ingest writes.
    """
    patient = replace(config, statement_timeout_s=86_400.0)
    with connect(patient, "zerogex timescale", autocommit=True) as connection, in_our_words(config):
        version = _extension(connection, config)
        if writing := [name for (name,) in connection.execute(statement("writers_now"))]:
            raise LockHeld(f"{', '.join(writing)} is writing; stop it, convert, and start it again")
        with connection.transaction():
            tables = make_hypertables(connection)
        refused = _policies(connection, compress_after_days, keep_days)
    return Converted(version, tables, refused is None, refused)


def _extension(connection: Connection, config: DatabaseConfig) -> str:
    """The extension's version, made in this database if the server has it ready."""
    available = connection.execute(statement("timescale_available")).fetchone()
    if available is None:
        raise StoreUnavailable(
            f"the server of {config.place} has no TimescaleDB; nothing needs it: "
            "ZeroGEX keeps its days in partitions of its own"
        )
    try:
        connection.execute(statement("timescale_extension"))
    except psycopg.Error as error:
        said = " ".join((error.diag.message_primary or str(error)).split())
        raise StoreUnavailable(
            f"TimescaleDB cannot be used in {config.place} ({said}); add it to shared_preload_libraries and start the "
            "server again"
        ) from error
    return str(available[0])


def make_hypertables(connection: Connection) -> list[str]:
    """Turn every table partitioned by day into a hypertable with the same rows; the names of those turned.

    Views are dropped and made again around it.  The caller's transaction makes it all or nothing.
    """
    tables = [name for (name,) in connection.execute(statement("partitioned_tables"))]
    if not tables:
        return []
    views = connection.execute(statement("view_definitions")).fetchall()
    for name, _ in reversed(views):
        connection.execute(sql.SQL(statement("drop_view")).format(view=sql.Identifier(name)))
    for table in tables:
        names = {"table": sql.Identifier(table), "aside": sql.Identifier(f"{table}_aside")}
        for step in ("set_aside", "plain_copy"):
            connection.execute(sql.SQL(statement(step)).format(**names))
        connection.execute(statement("create_hypertable"), {"table": table})
        for step in ("move_rows", "drop_aside"):
            connection.execute(sql.SQL(statement(step)).format(**names))
    connection.execute(statement("no_day_partitions"))
    for name, definition in views:
        head = sql.SQL(statement("create_view")).format(view=sql.Identifier(name))
        connection.execute(head + sql.SQL("\n") + sql.SQL(definition))  # the server's own words for it
    return tables


def _policies(connection: Connection, compress_after_days: int, keep_days: int | None) -> str | None:
    """Compression, and retention if asked for; the server's words where its build has neither."""
    for table, (segment, order) in COMPRESSION.items():
        names = {"table": sql.Identifier(table), "segment": sql.Literal(segment), "order": sql.Literal(order)}
        try:
            with connection.transaction():
                connection.execute(sql.SQL(statement("compress")).format(**names))
                connection.execute(statement("compression_policy"), {"table": table, "days": compress_after_days})
                if keep_days is not None:
                    connection.execute(statement("retention_policy"), {"table": table, "days": keep_days})
        except psycopg.Error as error:
            if error.sqlstate != _NOT_IN_THIS_BUILD:
                raise
            return " ".join((error.diag.message_primary or str(error)).split())
    return None

"""A dump of `upkeep.dump` back into a new database, whichever of its two forms it has."""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from zerogex.errors import StoreError
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.failures import in_our_words
from zerogex.store.migrate import migrate
from zerogex.store.sql import statement, statements
from zerogex.store.upkeep import NOTHING, create_database, libpq_environment, program

_BLOCK_BYTES = 1 << 20
_SUFFIX = ".csv.gz"
_OURS = "schema_migrations"  # the table that every database of this program has
_FOREIGN = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
_BROKEN_ARCHIVE = re.compile(
    r"input file|archive|end of file|compressed data|uncompress|block ID|TOC|header|syntax|COPY failed", re.IGNORECASE
)


def restore(config: DatabaseConfig, saved: Path, into: str, inherited: Mapping[str, str] = NOTHING) -> DatabaseConfig:
    """Make the database `into` on the same server and fill it; a database that is there is never touched.

    Raises StoreError where the dump cannot be read or the database is there; what was made is dropped again.
    """
    if not saved.exists():
        raise StoreError(f"there is no dump {saved}; `zerogex db clear-data` says where it saves them")
    target = replace(config, dbname=into)
    if saved.is_dir():
        files = sorted(saved.glob(f"*{_SUFFIX}"))
        if not files:
            raise StoreError(f"{saved} has no table in it (*{_SUFFIX}), so it is no dump")
        tables = {file: _columns(file) for file in files}
        with _made(target):
            _copy_all(target, tables)
    else:
        pg_restore = _pg_restore(target, saved)
        command = [pg_restore, "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={into}", str(saved)]
        with _made(target):
            _run(command, libpq_environment(target, inherited), saved)
    return target


@contextmanager
def _made(target: DatabaseConfig) -> Iterator[None]:
    """A new database for the block, which is taken back where the block does not end well."""
    if not create_database(target):
        raise StoreError(f"database {target.dbname!r} is there already; name another with --into")
    try:
        yield
    except BaseException as error:
        try:
            _drop(target)
        except StoreError as left:
            raise StoreError(
                f"{error or type(error).__name__}; the unfinished database is left ({left}), drop it: "
                f"zerogex db psql -d postgres -c 'DROP DATABASE \"{target.dbname}\"'"
            ) from error
        raise


def _drop(target: DatabaseConfig) -> None:
    administration = replace(target, dbname="postgres")
    drop = sql.SQL(statements("restore.sql")["drop_database"].text).format(name=sql.Identifier(target.dbname))
    with connect(administration, "zerogex restore", autocommit=True) as connection, in_our_words(administration):
        connection.execute(drop)


def _pg_restore(target: DatabaseConfig, saved: Path) -> str:
    """A pg_restore that can read this dump, found before anything is made."""
    with connect(replace(target, dbname="postgres"), "zerogex restore") as connection:
        server = connection.info.server_version // 10_000
    found = program("pg_restore", server)
    if found is None:
        raise StoreError("pg_restore is not on this machine; install the PostgreSQL client")
    if _OURS not in _run([str(found), "--list", str(saved)], {}, saved).split():
        raise StoreError(f"{saved} is not a dump of this program (it has no table {_OURS})")
    return str(found)


def _run(command: list[str], environment: dict[str, str], saved: Path) -> str:
    """What a program printed; StoreError with its first word of trouble."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0].removeprefix("pg_restore: error: ")
        damaged = "is damaged and " if _BROKEN_ARCHIVE.search(said) else ""
        raise StoreError(f"{saved} {damaged}cannot be restored ({said})")
    return done.stdout


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Say which file is damaged, and how."""
    try:
        yield
    except EOFError:
        raise StoreError(f"{file} is damaged (it is cut off)") from None
    except (gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{file} is damaged ({error})") from None
    except _FOREIGN as error:
        raise StoreError(f"{file} is not a dump of this program ({error.diag.message_primary})") from None
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise StoreError(f"{file} is damaged ({error.diag.message_primary})") from None


def _columns(file: Path) -> list[str]:
    """The names in the first line of a saved table."""
    with _readable(file), gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        names = next(csv.reader(text), [])
    if not all(names):
        raise StoreError(f"{file} is damaged (its first line does not name columns)")
    if not names:
        raise StoreError(f"{file} is damaged (it is empty)")
    return names


def _copy_all(target: DatabaseConfig, tables: Mapping[Path, list[str]]) -> None:
    migrate(target)
    with connect(target, "zerogex restore") as connection, in_our_words(target):
        connection.execute(statement("no_statement_timeout"))
        for file, columns in tables.items():
            with _readable(file):
                _copy_in(connection, file, columns)
        connection.commit()


def _copy_in(connection: Connection, file: Path, names: list[str]) -> None:
    """One table, by way of a stage, so that the days it needs are known before its rows come."""
    name = file.name.removesuffix(_SUFFIX)
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    known = {"table": sql.Identifier(name), "columns": columns}
    connection.execute(sql.SQL(statement("stage_table")).format(**known))
    copy_in = sql.SQL(statement("copy_stage")).format(**known)
    with gzip.open(file, "rb") as data, connection.cursor().copy(copy_in) as copy:
        while block := data.read(_BLOCK_BYTES):
            copy.write(block)
    if name in {name for (name,) in connection.execute(statement("partitioned_tables"))}:
        connection.execute(statement("ensure_staged_days"), {"parent": name})
    connection.execute(sql.SQL(statement("unstage_table")).format(**known))
    connection.execute(statement("drop_stage"))

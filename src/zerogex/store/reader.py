"""People's own SQL: one statement, by a role that can only read, within limits of time and rows.

The role `zerogex_reader` is made once, by whoever may make roles; its password lies under ZEROGEX_HOME.
Where it cannot be made or cannot log in, a read-only transaction must do, and the answer says so.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from zerogex.errors import StoreError, StoreUnavailable
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.failures import in_our_words, is_connection_lost
from zerogex.store.sql import statement

READER = "zerogex_reader"
TIMEOUT_S = 15.0
_READING = ("select", "with", "values", "table", "show", "explain")
_BEFORE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)


class BadQuery(StoreError):
    """The SQL itself is at fault."""

    exit_code = 65


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a query; `cut` where there were more than asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    cut: bool
    by_reader: bool  # False: by our own role, in a read-only transaction


def ask(config: DatabaseConfig, text: str, *, secret: Path, limit: int = 1000, timeout_s: float = TIMEOUT_S) -> Answer:
    """Run one reading statement.  `secret` is the file of the reader's password.

    Raises BadQuery with a sentence of what is wrong with the SQL, StoreUnavailable if nobody answers.
    """
    _check(text)
    with _session(replace(config, statement_timeout_s=timeout_s), secret) as (connection, by_reader):
        try:
            connection.execute(statement("read_only"))
            connection.execute(statement("new_york_time"))
            with connection.cursor() as cursor:
                columns: list[str] = []
                rows: list[tuple[Any, ...]] = []
                # the text is a person's: it runs by the reader's role, or read only
                for row in cursor.stream(text.encode()):
                    columns = [column.name for column in cursor.description or ()]
                    if len(rows) == limit:
                        return Answer(columns, rows, True, by_reader)
                    rows.append(tuple(_utc(value) for value in row))
            return Answer(columns or _columns(connection, text), rows, False, by_reader)
        except psycopg.Error as error:
            if is_connection_lost(error):
                raise
            raise BadQuery(_sentence(error, timeout_s)) from error
        except UnicodeError as error:
            raise BadQuery("the SQL is not valid UTF-8 text") from error


def _check(text: str) -> None:
    """Refuse what cannot be a question before anybody is asked."""
    begins = _BEFORE.match(text)
    rest = text[begins.end() if begins else 0 :]
    if "\x00" in text or not rest.strip():
        raise BadQuery("there is no SQL to run; write, for example: zerogex query 'SELECT now()'")
    word = re.match(r"[a-z]*", rest.lower())
    if word is None or word[0] not in _READING:
        raise BadQuery(
            f"a query begins with {', '.join(_READING)}; this one begins with {rest.split()[0][:20]!r} "
            "(to change data, use zerogex db psql)"
        )


def _columns(connection: Connection, text: str) -> list[str]:
    """Column names of a statement that gave no rows."""
    connection.pgconn.prepare(b"", text.encode())
    described = connection.pgconn.describe_prepared(b"")
    return [(described.fname(place) or b"").decode() for place in range(described.nfields)]


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _sentence(error: psycopg.Error, timeout_s: float) -> str:
    """What is wrong, and where."""
    said = " ".join((error.diag.message_primary or str(error)).split())
    if error.sqlstate == "57014":
        return f"the query took longer than {timeout_s:g} s and was stopped; restrict it by underlying and day"
    if "multiple commands" in said:
        return "there is more than one statement; give one at a time"
    if error.sqlstate in ("25006", "42501"):
        return f"queries only read ({said}); to change data, use zerogex db psql"
    place = f" (at character {error.diag.statement_position})" if error.diag.statement_position else ""
    hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"the SQL is wrong: {said}{place}{hint}"


@contextmanager
def _session(config: DatabaseConfig, secret: Path) -> Iterator[tuple[Connection, bool]]:
    """A connection of the reader; of our own role where there can be none."""
    connection = _as_reader(config, secret)
    by_reader = connection is not None
    if connection is None:
        connection = connect(config, "zerogex query")
        with suppress(psycopg.Error), connection.transaction():
            connection.execute(sql.SQL(statement("set_role")).format(role=sql.Identifier(READER)))
    try:
        with in_our_words(config):
            yield connection, by_reader
    finally:
        connection.close()


def _as_reader(config: DatabaseConfig, secret: Path) -> Connection | None:
    """The reader's connection; the role is made, or given a new password, where that is needed and allowed."""
    for fresh in (False, True):
        if not fresh and not secret.exists():
            continue
        try:
            _prepare(config, secret, fresh)
        except psycopg.Error as error:
            if is_connection_lost(error):
                with in_our_words(config):
                    raise
            return None
        password = secret.read_text().strip()
        with suppress(StoreUnavailable, StoreError):
            return connect(replace(config, user=READER, password=password), "zerogex query")
    return None


def _prepare(config: DatabaseConfig, secret: Path, fresh: bool) -> None:
    """See to it that the reader exists and may read everything of ours; `fresh` gives it a new password."""
    with connect(config, "zerogex query", autocommit=True) as owner:
        known = owner.execute(statement("role_exists"), {"role": READER}).fetchone()
        password = secrets.token_urlsafe(24) if known is None or fresh else None
        with owner.transaction():
            if known is None:
                owner.execute(sql.SQL(statement("create_reader")).format(role=sql.Identifier(READER)))
            if password is not None:
                change = sql.SQL(statement("set_password"))
                owner.execute(change.format(role=sql.Identifier(READER), password=sql.Literal(password)))
            if owner.execute(statement("not_readable"), {"role": READER}).fetchone() is not None:
                owner.execute(sql.SQL(statement("grant_reading")).format(role=sql.Identifier(READER)))
        if password is not None:
            _write(secret, password)


def _write(secret: Path, password: str) -> None:
    secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = secret.with_name(f"{secret.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(password)
    new.replace(secret)

"""What the database's errors mean to us: one sentence, with the place and never the password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from zerogex.errors import SchemaBehind, StoreError, StoreRefusesUs, StoreUnavailable
from zerogex.store.config import DatabaseConfig

# SQLSTATE classes and codes after which trying again, later, can help
_PASSING_CLASSES = ("08", "40", "53", "58")
_PASSING = ("25006", "55P03", "57P01", "57P02", "57P03", "57P05")
_SCHEMA = ("42P01", "42703", "42704", "42883")  # no such table, column, type, function
_DATA_CLASSES = ("22", "23")  # the values themselves are at fault
# A refused connection has no SQLSTATE in libpq, only words; a server that speaks another language is "not reachable"
_NOT_LET_IN = (
    ("no password supplied", "give it in ~/.pgpass, or set DB_PASSWORD_PROVIDER=env and DB_PASSWORD"),
    ("password authentication failed", "check DB_USER and where DB_PASSWORD_PROVIDER gets the password from"),
    ("Peer authentication failed", "check DB_USER, or set DB_HOST=127.0.0.1 to come with a password"),
    ("no pg_hba.conf entry", "let this role and machine in by the server's pg_hba.conf"),
    ("FATAL: role", "check DB_USER, or make the role"),
)
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')
_PREFIX = re.compile(
    r"^connection failed: connection to server (?:at|on) .*? failed: (?:FATAL: +)?"
)  # we name the place
_CANCELLED, _NO_PARTITION = "57014", "23514"


class Refused(StoreError):
    """The database will never take these values."""


def is_connection_lost(error: psycopg.Error) -> bool:
    """Whether the connection, rather than a statement, failed: what was sent may or may not have been done."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    )


def is_no_partition(error: psycopg.Error) -> bool:
    """Whether a row had no partition to go to, rather than failing a check of its own."""
    return error.sqlstate == _NO_PARTITION and error.diag.constraint_name is None


def translate(error: psycopg.Error, config: DatabaseConfig) -> StoreError:
    """The error of `zerogex.errors` that says what happened."""
    said = " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
    mend = next((mend for words, mend in _NOT_LET_IN if words in said), None)
    said = _PREFIX.sub("", said)
    state = error.sqlstate
    if is_connection_lost(error):
        if mend is not None:
            return StoreRefusesUs(f"{config.place} does not let us in: {said}; {mend}")
        if _NO_DATABASE.search(said):
            return StoreUnavailable(f"{config.place} is missing: {said}; check DB_NAME, or make it: zerogex db init")
        return StoreUnavailable(f"cannot reach {config.place}: {said}")
    if state is not None and (state in _PASSING or state.startswith(_PASSING_CLASSES)):
        return StoreUnavailable(f"{config.place} cannot do this now: {said}")
    if state in _SCHEMA:
        return SchemaBehind(f"{config.place} lacks something this program needs ({said}); run `zerogex db migrate`")
    if state == _CANCELLED:
        return StoreUnavailable(f"{config.place} gave up after {config.statement_timeout_s:g} s: {said}")
    kind = Refused if state is not None and state.startswith(_DATA_CLASSES) else StoreError
    return kind(f"{config.place} refused: {said}")


@contextmanager
def in_our_words(config: DatabaseConfig) -> Iterator[None]:
    """Turn psycopg's errors inside the block into ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, config) from error

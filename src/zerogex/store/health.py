"""What a person who looks after the database wants to know of it; asks only, writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from zerogex.store import migrate
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import connect
from zerogex.store.failures import in_our_words
from zerogex.store.sql import statement


@dataclass(frozen=True, slots=True)
class BlockedSession:
    """A session that waits for another one's lock."""

    session: str  # the name it gave itself
    waiting_s: float
    blocked_by: str  # the other's name


@dataclass(frozen=True, slots=True)
class Health:
    """The state of one database and its server."""

    place: str
    server_version: str
    schema_version: int
    newest_schema: int
    size_bytes: int
    sessions: int
    sessions_max: int
    read_only: bool
    writers: tuple[tuple[str, str], ...]  # (underlying, who holds the right to write it)
    blocked: tuple[BlockedSession, ...]


def health(config: DatabaseConfig) -> Health:
    """Ask a database how it is.  Raises StoreUnavailable where it cannot be reached."""
    with connect(config, "zerogex doctor", autocommit=True) as connection, in_our_words(config):
        schema = migrate.current(connection)
        version, size, sessions, sessions_max, read_only = connection.execute(statement("server_health")).fetchall()[0]
        writers = connection.execute(statement("writer_sessions")).fetchall() if schema else []
        blocked = connection.execute(statement("blocked_sessions")).fetchall()
    return Health(
        config.place,
        str(version),
        schema,
        migrate.newest(),
        int(size),
        int(sessions),
        int(sessions_max),
        bool(read_only),
        tuple((str(underlying), str(holder)) for underlying, holder in writers),
        tuple(BlockedSession(str(name), float(waited), str(by)) for name, waited, by in blocked),
    )

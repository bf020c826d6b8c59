"""The sole right to write an underlying.

A session's advisory lock gives it, so it ends with the session, however that ends.  A holder whose
session was cut does not notice by itself: therefore each new holder raises the underlying's epoch in
the table `writers`, and a write of an older epoch is refused (a fencing token).
"""

from __future__ import annotations

import os
import re
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NamedTuple

import psycopg

from zerogex.domain.calendar import NEW_YORK
from zerogex.errors import LockHeld, StoreError, StoreUnavailable
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, Patience, connect
from zerogex.store.failures import in_our_words
from zerogex.store.sql import statement


def our_name(pid: int | None = None) -> str:
    """Who we are (or another process of this machine), short enough to be part of a session's name (63 bytes)."""
    return f"process {pid or os.getpid()} on {socket.gethostname()[:24]}"


def holder_name(pid: int | None = None) -> str:
    """The name of a session that holds a lock: ours, or that of another process of this machine."""
    return f"zerogex-writer {our_name(pid)}"


class _Held(NamedTuple):
    session: Connection
    epoch: int
    backend: int  # the server's process for the session


class WriterLocks:
    """The locks that one store holds, by underlying."""

    def __init__(self, config: DatabaseConfig, patience: Patience) -> None:
        self.config = config
        self._patience = patience
        self._held: dict[str, _Held] = {}  # by underlying
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, underlying: str) -> Iterator[None]:
        """Hold the lock for the block; raises LockHeld naming the other holder."""
        with self._guard:
            if underlying in self._held:
                raise LockHeld(f"{underlying} is already being written by this process ({holder_name()})")
            self._held[underlying] = self._acquire(underlying)
        try:
            yield
        finally:
            with self._guard:
                session = self._held.pop(underlying).session
            with suppress(psycopg.Error), self._answering(session):
                session.execute(statement("release_writer_lock"), {"underlying": underlying})
            session.close()

    def holds(self, underlying: str) -> bool:
        """Whether the lock is ours, as far as we know."""
        return underlying in self._held

    def fence(self, connection: Connection, underlying: str) -> None:
        """Within a transaction: make sure that no newer holder writes; raises LockHeld.

        Nothing is asked of a store that never took the lock (gap filling, tests).
        """
        held = self._held.get(underlying)
        if held is None:
            return
        row = connection.execute(statement("current_epoch"), {"underlying": underlying}).fetchone()
        if row is None or row[0] == held.epoch:
            return
        with self._guard:  # a renewal of ours raises the epoch before it is done
            held = self._held.get(underlying)
        if held is None or row[0] != held.epoch:
            raise LockHeld(f"{underlying} is now written by {row[1]}; this process lost its lock and stops writing")

    def renew(self, underlying: str | None = None) -> None:
        """Take a lock (None: each) again whose session was cut; raises LockHeld if somebody else was faster.

        Raises StoreUnavailable while the server has not yet noticed that our former session is gone.  Who is in a
        hurry does not ask: each write is fenced.
        """
        if self._patience.most_s is not None:
            return
        with self._guard:
            for name, held in list(self._held.items()):
                if underlying not in (None, name):
                    continue
                try:
                    with self._answering(held.session):
                        held.session.execute("")
                except psycopg.Error:
                    held.session.close()
                    self._held[name] = self._acquire(name, former=held.backend)

    def _answering(self, connection: Connection) -> AbstractContextManager[None]:
        """A server that hangs, or a wire that went dead, must not hold a minute back."""
        return self._patience.answering(connection, self.config.statement_timeout_s)

    def _acquire(self, underlying: str, *, former: int | None = None) -> _Held:
        connection = connect(self.config, holder_name(), autocommit=True)
        named = {"underlying": underlying}
        try:
            with in_our_words(self.config), self._answering(connection):
                row = connection.execute(statement("try_writer_lock"), named).fetchone()
                if row is not None and row[0]:
                    epoch = connection.execute(statement("next_epoch"), {**named, "holder": holder_name()}).fetchone()
                    assert epoch is not None
                    return _Held(connection, int(epoch[0]), connection.info.backend_pid)
                holder = connection.execute(statement("writer_lock_holder"), named).fetchone()
        except BaseException:
            connection.close()
            raise
        connection.close()
        backend, name, address, since = holder or (None, "another session", None, None)
        if former is not None and backend == former:
            raise StoreUnavailable(f"{self.config.place} still keeps {underlying} for a session of ours that was cut")
        where = f" from {address}" if address else ""
        when = f", connected since {since.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} ET" if since else ""
        raise LockHeld(
            f"{underlying} is already being written by {name}{where}{when}; "
            "stop that one first, or stand by with --standby",
            passing=_is_gone(name),
        )


def _is_gone(holder: str) -> bool:
    """Whether a holder was a process of this machine that has ended: the server has not noticed yet."""
    named = re.fullmatch(r"zerogex-writer process (\d+) on (.*)", holder)
    if named is None or holder != holder_name(int(named[1])):
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


class Fellows:
    """The processes that share a watch list know each other by the names of their sessions."""

    def __init__(self, config: DatabaseConfig, patience: Patience) -> None:
        self.config = config
        self._patience = patience
        self._session: Connection | None = None
        self._prefix = ""

    def place(self, group: str) -> tuple[int, int]:
        """(our rank, how many) among those alive; raises StoreUnavailable."""
        prefix = f"zerogex-share {zlib.crc32(group.encode()):08x} "
        if self._session is None or self._session.closed or prefix != self._prefix:
            self.close()
            self._session = connect(self.config, prefix + our_name(), autocommit=True)
            self._prefix = prefix
        session = self._session
        try:
            with in_our_words(self.config), self._patience.answering(session, self.config.statement_timeout_s):
                ours = [row[0] for row in session.execute(statement("fellow_sessions"), {"prefix": prefix})]
            return ours.index(True), len(ours)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Leave the others."""
        if self._session is not None:
            self._session.close()
            self._session = None

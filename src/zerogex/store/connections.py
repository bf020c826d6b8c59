"""A small pool of connections that fails at once, and says why.

psycopg_pool connects in the background on a schedule of its own: while the database is away each
caller waits out the whole timeout and learns only that there was one.  Here the caller connects,
and gets the server's own words.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from zerogex.errors import StoreUnavailable
from zerogex.store.config import DatabaseConfig
from zerogex.store.failures import in_our_words

Connection = psycopg.Connection[tuple[Any, ...]]

_TRUSTED_S = 1.0  # a connection idle for longer is asked whether it still lives
_PATIENCE_S = 2.0  # beyond the statement timeout, before a connection is cut
_IDLE_S = 60.0  # beyond `pool_min`, connections idle for longer are closed


def connect(config: DatabaseConfig, application: str | None = None, *, autocommit: bool = False) -> Connection:
    """A new connection; raises StoreUnavailable."""
    with in_our_words(config):
        return psycopg.connect(**config.parameters(application), autocommit=autocommit)


class Patience:
    """How long a server may take to answer: a server that hangs does not keep its own timeouts, so we cut the wire."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._asked: dict[object, tuple[Connection, list[threading.Timer]]] = {}
        self.most_s: float | None = None  # whatever was agreed on, if somebody is in a hurry

    @contextmanager
    def answering(self, connection: Connection, within_s: float) -> Iterator[None]:
        """Cut the connection if the block lasts longer."""
        question = object()
        with self._guard:
            within_s = within_s if self.most_s is None else min(within_s, self.most_s)
            self._asked[question] = (connection, [_cut_after(within_s, connection)])
        try:
            yield
        finally:
            with self._guard:
                _, timers = self._asked.pop(question)
            for timer in timers:
                timer.cancel()

    def hurry(self, most_s: float | None) -> None:
        """Wait so long at most, for what is being asked now, too; None: as agreed on again."""
        with self._guard:
            self.most_s = most_s
            if most_s is not None:
                for connection, timers in self._asked.values():
                    timers.append(_cut_after(most_s, connection))


def _cut_after(seconds: float, connection: Connection) -> threading.Timer:
    def cut() -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    return timer


class ConnectionPool:
    """Up to `pool_max` connections, the last returned first taken; safe from several threads."""

    def __init__(self, config: DatabaseConfig, patience: Patience | None = None) -> None:
        self.config = config
        self._patience = patience or Patience()
        self._slots = threading.BoundedSemaphore(config.pool_max)
        self._idle: deque[tuple[Connection, float]] = deque()
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one block; what is not committed at its end is rolled back."""
        if not self._slots.acquire(timeout=self.config.connect_timeout_s):
            raise StoreUnavailable(
                f"all {self.config.pool_max} connections to {self.config.place} are busy; raise DB_POOL_MAX"
            )
        try:
            connection = self._take()
            try:
                with self._patience.answering(connection, self.config.statement_timeout_s + _PATIENCE_S):
                    yield connection
            finally:
                self._give_back(connection)
        finally:
            self._slots.release()

    def discard_idle(self) -> None:
        """Close the idle connections: the server they spoke to is gone."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop()[0].close()

    def close(self) -> None:
        """Close the idle connections, and each other one when it is given back."""
        self._closed = True
        self.discard_idle()

    def _take(self) -> Connection:
        if self._closed:
            raise StoreUnavailable(f"the store on {self.config.place} is closed")
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return connect(self.config)
            if time.monotonic() - since < _TRUSTED_S or self._lives(connection):
                return connection
            connection.close()
            self.discard_idle()  # what one hung server keeps waiting, the others would too

    def _lives(self, connection: Connection) -> bool:
        try:
            with self._patience.answering(connection, self.config.connect_timeout_s):
                connection.execute("")
                connection.rollback()
        except psycopg.Error:
            return False
        return True

    def _give_back(self, connection: Connection) -> None:
        with suppress(psycopg.Error):
            if connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
                connection.rollback()
        if self._closed or connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.close()
            return
        self._idle.append((connection, time.monotonic()))
        self._close_surplus()

    def _close_surplus(self) -> None:
        while len(self._idle) > self.config.pool_min:
            try:
                connection, since = self._idle.popleft()
            except IndexError:
                return
            if time.monotonic() - since < _IDLE_S:
                self._idle.appendleft((connection, since))
                return
            connection.close()

"""Hearing what changed in the database, over LISTEN/NOTIFY.

A notice is a wake-up, not a queue: it says that something is new, and a listener that missed one
finds the same data at its next look.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import psycopg

from zerogex.errors import StoreUnavailable
from zerogex.ports import Notice
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.sql import statement

log = logging.getLogger(__name__)

RETRY_S = 0.5


def payload(channel: str, underlying: str) -> str:
    """A notice as the text of a NOTIFY."""
    return f"{channel} {underlying}"


class Listeners:
    """Sessions that listen, kept open between calls so that nothing is missed in between."""

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self._idle: list[Connection] = []
        self._guard = threading.Lock()
        self._away = False

    def notices(self, timeout_s: float) -> Iterator[Notice]:
        """Notices as they come; ends after `timeout_s` without one, also while the database is away."""
        deadline = time.monotonic() + timeout_s
        connection: Connection | None = None
        try:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    connection = connection or self._take()
                    for said in connection.notifies(timeout=left, stop_after=1):
                        deadline = time.monotonic() + timeout_s
                        channel, _, underlying = said.payload.partition(" ")
                        yield Notice(channel, underlying)
                except (psycopg.Error, StoreUnavailable) as error:
                    if connection is not None:
                        connection.close()
                        connection = None
                    self._say_away(error)
                    time.sleep(max(0.0, min(RETRY_S, deadline - time.monotonic())))
        finally:
            if connection is not None:
                self._give_back(connection)

    def close(self) -> None:
        """Close the sessions that nobody is reading."""
        with self._guard:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _take(self) -> Connection:
        with self._guard:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed:
                    return connection
        connection = connect(self.config, f"{self.config.application} listener", autocommit=True)
        connection.execute(statement("listen"))
        if self._away:
            self._away = False
            log.info("listening again", extra={"database": self.config.place})
        return connection

    def _give_back(self, connection: Connection) -> None:
        with self._guard:
            self._idle.append(connection)

    def _say_away(self, error: Exception) -> None:
        if not self._away:
            log.warning("cannot listen for notices", extra={"database": self.config.place, "error": str(error)})
        self._away = True

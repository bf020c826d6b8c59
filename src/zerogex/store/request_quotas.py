"""Requests to a vendor, counted in the database for all processes of an account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, LiteralString

from zerogex.ports import Turn
from zerogex.store.connections import Connection
from zerogex.store.sql import statement

Do = Callable[[Callable[[Connection], Any]], Any]


class RequestQuotaTable:
    """The table `vendor_requests`; see `ports.RequestQuotas`.  Windows slide, by the database's clock."""

    def __init__(self, do: Do) -> None:
        self._do = do

    def take(self, account: str, resource: str, requests: int, window_s: float) -> Turn:
        """Send now, and be counted, or how long to wait."""
        named = {"account": account, "resource": resource, "requests": requests, "window_s": window_s}

        def ask(connection: Connection) -> Any:
            with connection.transaction():
                return connection.execute(statement("take_request"), named).fetchone()

        granted_at, wait_s, banned_s = self._do(ask)
        return Turn(None, wait_s, banned_s) if granted_at is None else Turn(granted_at)

    def settle(self, account: str, resource: str, granted_at: datetime) -> None:
        """The answer of a granted request is there."""
        self._write(statement("settle_request"), account=account, resource=resource, granted_at=granted_at)

    def ban(self, account: str, resource: str, seconds: float) -> None:
        """Nobody of the account asks for this resource before that."""
        self._write(statement("ban_requests"), account=account, resource=resource, seconds=seconds)

    def _write(self, text: LiteralString, **named: Any) -> None:
        def write(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(text, named)

        self._do(write)

"""API keys in the database: digests, never keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, TypeVar

from zerogex.ports import ApiKey
from zerogex.store.connections import Connection
from zerogex.store.sql import statements

T = TypeVar("T")
Do = Callable[[Callable[[Connection], Any]], Any]


class ApiKeyTable:
    """The table `api_keys`; see `ports.KeyStore`."""

    def __init__(self, do: Do) -> None:
        self._do = do

    def add(self, key: ApiKey, digest: bytes) -> None:
        """Remember a new key by the digest of its text."""
        names = ("key_id", "name", "requests_per_minute", "expires_at")
        named = {name: getattr(key, name) for name in names} | {"digest": digest, "scopes": list(key.scopes)}
        self._write("add_key", named)

    def find(self, digest: bytes) -> ApiKey | None:
        """The key of a digest, if it is good now; None for revoked, expired and unknown ones alike."""
        rows = self._read("find_key", digest=digest)
        return _key(rows[0]) if rows else None

    def all(self) -> Sequence[ApiKey]:
        """Every key ever made, newest last."""
        return [_key(row) for row in self._read("all_keys")]

    def revoke(self, key_id: str, at: datetime | None = None) -> bool:
        """End a key now, or let it expire at an instant; False where there is no such key in force."""
        rows = self._read("revoke_key", key_id=key_id, at=at)
        return bool(rows)

    def note_use(self, key_id: str) -> None:
        """Remember that a key was used now."""
        self._write("note_key_use", {"key_id": key_id})

    def _write(self, name: str, named: dict[str, Any]) -> None:
        def write(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(_sql(name), named)

        self._do(write)

    def _read(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        def read(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.transaction():
                return connection.execute(_sql(name), parameters).fetchall()

        rows: list[tuple[Any, ...]] = self._do(read)
        return rows


def _sql(name: str) -> LiteralString:
    return statements("api_keys.sql")[name].text


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, name, scopes, requests, *times = row
    return ApiKey(key_id, name, tuple(scopes), requests, *(time and time.astimezone(UTC) for time in times))

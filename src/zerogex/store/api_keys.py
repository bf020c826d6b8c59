"""API keys in the database: digests, never keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from zerogex.ports import ApiKey
from zerogex.store.table import Do, Table

T = TypeVar("T")


class ApiKeyTable(Table):
    """The table `api_keys`; see `ports.KeyStore`."""

    def __init__(self, do: Do) -> None:
        super().__init__(do, "api_keys.sql")

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


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, name, scopes, requests, *times = row
    return ApiKey(key_id, name, tuple(scopes), requests, *(time and time.astimezone(UTC) for time in times))

"""The refresh token on disk: whole or not at all, readable by its owner only.

A key may rotate: each refresh then returns a new token and kills the old one, so the new one
must survive a crash at any instant.  The file names the configured token it descends from (by
fingerprint); when the operator configures another one, the file's is ignored.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from zerogex.crashpoints import crashpoint
from zerogex.errors import SettingsError

log = logging.getLogger(__name__)


class TokenFile:
    """Where a rotated refresh token is kept.  Raises OSError where it cannot be written."""

    def __init__(self, path: Path, configured: str) -> None:
        self._path = path
        self._origin = hashlib.sha256(configured.encode()).hexdigest()

    def read(self) -> str | None:
        """The newest descendant of the configured token, or None."""
        try:
            kept = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"the token file {self._path} cannot be read ({type(error).__name__}): delete it and sign in again"
            ) from None
        if not isinstance(kept, dict) or kept.get("origin") != self._origin:
            return None
        token = kept.get("refresh_token")
        return token if isinstance(token, str) and token else None

    def write(self, token: str) -> None:
        """Replace the file: at every instant it is the old one or the new one."""
        crashpoint("token_before_write")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            fresh.unlink()
        try:
            self._write_whole(fresh, json.dumps({"origin": self._origin, "refresh_token": token}).encode())
            fresh.replace(self._path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise
        self._sync_directory()

    @staticmethod
    def _write_whole(path: Path, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            written = os.write(descriptor, content[: len(content) // 2])
            crashpoint("token_mid_write")
            while written < len(content):
                written += os.write(descriptor, content[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sync_directory(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

"""What a server may say instead of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zerogex.errors import ZerogexError


class ApiError(ZerogexError):
    """The server refused: its problem document as an exception."""

    exit_code = 69

    def __init__(self, problem: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.status = int(problem.get("status", 0))
        self.code = str(problem.get("code", "unknown"))
        self.hint = str(problem.get("hint", ""))
        self.retry_after_s = retry_after_s
        super().__init__(
            f"{problem.get('detail', 'The server refused.')} ({self.status} {self.code}) {self.hint}".strip()
        )


class ServerUnreachable(ZerogexError):
    """No server answers at this address."""

    exit_code = 69

"""What was really said: counts per stream and symbol, so that what arrived can be compared with it."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from typing import Any

_CLOSED_KEPT = 500


class StreamRecord:
    """One stream's account: objects handed to the socket, by symbol."""

    def __init__(self, number: int, kind: str, path: str) -> None:
        self.number, self.kind, self.path = number, kind, path
        self.objects: Counter[str] = Counter()
        self.heartbeats = 0
        self.errors = 0
        self.bytes = 0
        self.closed_bars = 0
        self.last_closed_bar = ""
        self.end = ""

    def as_fields(self) -> dict[str, Any]:
        return {
            "id": self.number, "kind": self.kind, "path": self.path, "open": not self.end, "end": self.end,
            "objects": sum(self.objects.values()), "by_symbol": dict(self.objects), "heartbeats": self.heartbeats,
            "errors": self.errors, "bytes": self.bytes, "closed_bars": self.closed_bars,
            "last_closed_bar": self.last_closed_bar,
        }  # fmt: skip


class Ledger:
    """Every stream, and every request by status; totals never forget, single streams are kept for the last 500."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.open: dict[int, StreamRecord] = {}
        self._closed: deque[StreamRecord] = deque(maxlen=_CLOSED_KEPT)
        self.requests: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.refreshes = 0

    def opened(self, kind: str, path: str) -> StreamRecord:
        record = StreamRecord(next(self._numbers), kind, path)
        self.open[record.number] = record
        return record

    def closed(self, record: StreamRecord, end: str) -> None:
        record.end = end
        self.open.pop(record.number, None)
        self._closed.append(record)

    def said(self, record: StreamRecord, symbol: str) -> None:
        record.objects[symbol] += 1
        self.totals[f"{record.kind} {symbol}"] += 1

    def answered(self, route: str, status: int) -> None:
        self.requests[f"{route} {status}"] += 1

    def as_fields(self) -> dict[str, Any]:
        streams = [*self._closed, *self.open.values()]
        return {
            "streams": [record.as_fields() for record in streams],
            "open_streams": len(self.open),
            "objects": dict(self.totals),
            "requests": dict(self.requests),
            "token_requests": self.refreshes,
        }

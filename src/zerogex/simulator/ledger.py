"""What was really said: counts per stream and symbol, so that what arrived can be compared with it.

An object on the wire when the client closes the connection is said but never read.  Only the client knows how
far it read; where it tells (a receipt), the ledger knows how many objects lay beyond.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

LEFT = "client left"
_CLOSED_KEPT = 500
_ENDS_KEPT = 20_000  # objects of one stream: more than the buffers of any connection hold
_ENDS_KEPT_CLOSED = 2_000


class StreamRecord:
    """One stream's account: objects handed to the socket, by symbol."""

    def __init__(self, number: int, kind: str, path: str) -> None:
        self.number, self.kind, self.path = number, kind, path
        self.objects: Counter[str] = Counter()
        self.ends: deque[int] = deque(maxlen=_ENDS_KEPT)  # where the newest objects end, in bytes of the stream
        self.read: int | None = None  # bytes that the client read before it closed; None: it did not tell
        self.heartbeats = 0
        self.errors = 0
        self.bytes = 0
        self.closed_bars = 0
        self.last_closed_bar = ""
        self.end = ""

    @property
    def unread(self) -> int | None:
        """Objects that a client left behind when it closed; None where it did not tell, or did not close."""
        return None if self.read is None else sum(end > self.read for end in self.ends)

    def as_fields(self) -> dict[str, Any]:
        return {
            "id": self.number, "kind": self.kind, "path": self.path, "open": not self.end, "end": self.end,
            "objects": sum(self.objects.values()), "by_symbol": dict(self.objects), "heartbeats": self.heartbeats,
            "errors": self.errors, "bytes": self.bytes, "closed_bars": self.closed_bars,
            "last_closed_bar": self.last_closed_bar, "unread": self.unread,
        }  # fmt: skip


class Ledger:
    """Every stream, and every request by status; totals never forget, single streams are kept for the last 500."""

    def __init__(self) -> None:
        self._next = 1
        self.open: dict[int, StreamRecord] = {}
        self._closed: deque[StreamRecord] = deque(maxlen=_CLOSED_KEPT)
        self.requests: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()  # requests beyond a quota, by resource
        self.refreshes = 0

    @property
    def next_number(self) -> int:
        """The number that the next stream will get."""
        return self._next

    def opened(self, kind: str, path: str) -> StreamRecord:
        record = StreamRecord(self._next, kind, path)
        self._next += 1
        self.open[record.number] = record
        return record

    def closed(self, record: StreamRecord, end: str) -> None:
        record.end = end
        record.ends = deque(record.ends, maxlen=_ENDS_KEPT_CLOSED)
        self.open.pop(record.number, None)
        self._closed.append(record)

    def said(self, record: StreamRecord, symbol: str, end: int) -> None:
        """An object is handed to the socket; it ends at this byte of its stream."""
        record.objects[symbol] += 1
        record.ends.append(end)
        self.totals[f"{record.kind} {symbol}"] += 1

    def read(self, number: int, size: int) -> int | None:
        """A client closed a stream after reading so many bytes: the objects it left; None for no such stream."""
        for record in (*self._closed, *self.open.values()):
            if record.number == number:
                record.read = size
                return record.unread
        return None

    def answered(self, route: str, status: int) -> None:
        self.requests[f"{route} {status}"] += 1

    def as_fields(self) -> dict[str, Any]:
        streams = [*self._closed, *self.open.values()]
        return {
            "streams": [record.as_fields() for record in streams],
            "open_streams": len(self.open),
            "unread": sum(record.unread or 0 for record in streams),
            "objects": dict(self.totals),
            "requests": dict(self.requests),
            "quota_violations": dict(self.violations),
            "token_requests": self.refreshes,
        }

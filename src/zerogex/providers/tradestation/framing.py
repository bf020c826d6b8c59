"""Bytes in, JSON texts out, wherever the network cut them.

TradeStation ends each object with a line feed, but chunk boundaries mean nothing, lines may end
in CRLF, the last one in nothing, and objects have been seen glued together.  The same bytes
give the same texts for every way of cutting them.
"""

from __future__ import annotations

import re

OBJECT_LIMIT = 1 << 20  # bytes; a longer object is dropped up to the end of its line and counted

# A closing brace followed by an opening one is the seam of two objects, except inside a string.
_SEAM = re.compile(rb"\}[ \t\r]*\{")
_STRING_OR_SEAM = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|\}[ \t\r]*(?=\{)', re.DOTALL)


class LineSplitter:
    """Cuts a byte stream into objects.  Feed it chunks; ask `end()` for what lacks its final newline."""

    def __init__(self, limit: int = OBJECT_LIMIT) -> None:
        self.quarantined = 0  # objects over the limit
        self._limit = limit
        self._tail = bytearray()  # the beginning of an object whose end has not come
        self._skipping = False  # inside an oversized object: wait for its newline

    @property
    def pending(self) -> bool:
        """Whether an object has begun and not ended."""
        return bool(self._tail)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The objects this chunk completes, in order, stripped of white space; blank lines are nothing."""
        newline = chunk.rfind(b"\n")
        if newline < 0:
            return self._grow(chunk)
        block = bytes(self._tail) + chunk[:newline] if self._tail else chunk[:newline]
        self._tail.clear()
        lines = block.split(b"\n")
        if self._skipping:
            del lines[0]
            self._skipping = False
        glued = _SEAM.search(block) is not None
        if not glued and len(block) <= self._limit:
            found = [line for raw in lines if (line := raw.strip())]
        else:
            found = [text for line in lines for text in self._objects(line)]
        rest = chunk[newline + 1 :]
        return found + self._grow(rest) if rest else found

    def end(self) -> list[bytes]:
        """The last object, if the stream ended without a newline; the splitter is empty afterwards."""
        last = bytes(self._tail)
        self._tail.clear()
        self._skipping = False
        return self._objects(last)

    def _grow(self, piece: bytes) -> list[bytes]:
        """Add bytes without a newline; glued objects leave as soon as the next one begins."""
        if self._skipping:
            return []
        begin = max(len(self._tail) - 64, 0)
        self._tail += piece
        found: list[bytes] = []
        if _SEAM.search(self._tail, begin):
            *whole, rest = _cut(bytes(self._tail))
            self._tail[:] = rest
            for text in whole:
                if len(text) > self._limit:
                    return found + self._skip()
                if stripped := text.strip():
                    found.append(stripped)
        if len(self._tail) > self._limit:
            self._skip()
        return found

    def _skip(self) -> list[bytes]:
        self.quarantined += 1
        self._tail.clear()
        self._skipping = True
        return []

    def _objects(self, line: bytes) -> list[bytes]:
        """The objects of one whole line, up to the first oversized one."""
        found = []
        for text in _cut(line):
            if len(text) > self._limit:
                self.quarantined += 1
                break
            if stripped := text.strip():
                found.append(stripped)
        return found


def _cut(line: bytes) -> list[bytes]:
    """A line at its seams."""
    pieces, begin = [], 0
    for match in _STRING_OR_SEAM.finditer(line):
        if line[match.start()] == ord("}"):
            pieces.append(line[begin : match.end()])
            begin = match.end()
    pieces.append(line[begin:])
    return pieces

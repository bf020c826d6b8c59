"""How a stream speaks: framing, heartbeats, endings, and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from random import Random
from typing import Any, Protocol

from zerogex.simulator.exchange import Exchange
from zerogex.simulator.faults import Faults
from zerogex.simulator.ledger import LEFT, StreamRecord
from zerogex.simulator.tricks import disturbed, transformed
from zerogex.simulator.wire import Fields, encode, stamp

Said = tuple[str, Fields]  # (symbol or contract, object)
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

CONTENT_TYPE = b"application/vnd.tradestation.streams.v2+json"
_NONE = Faults()
GOAWAY = {"Error": "GoAway", "Message": "The server is about to shut down."}


class Source(Protocol):
    """What a stream is about."""

    def first(self) -> list[Said]:
        """What is said at once."""

    def turn(self) -> list[Said]:
        """What has changed since."""


class Speech:
    """One open stream: says what its source has to say until somebody ends it."""

    def __init__(self, exchange: Exchange, record: StreamRecord, source: Source, send: Send, peer: Any) -> None:
        self.exchange, self.record, self.source, self._send, self._peer = exchange, record, source, send, peer
        self.opened = self.spoke = time.monotonic()
        self.beats = 0
        self._seeded: Faults | None = None
        self._random = Random()

    @property
    def faults(self) -> Faults:
        """The faults that concern this stream now."""
        faults = self.exchange.faults
        return faults if not 0 < faults.streams_before <= self.record.number else _NONE

    @property
    def random(self) -> Random:
        """This stream's own chance, by seed and path: what other streams do does not change it."""
        if self._seeded is not self.exchange.faults:
            self._seeded = self.exchange.faults
            self._random.seed(f"{self._seeded.seed} {self.record.path}")
        return self._random

    async def run(self, receive: Receive, *, close_at_once: bool = False) -> None:
        """Serve until the client leaves, the server closes, or a fault ends it."""
        headers = [(b"content-type", CONTENT_TYPE), (b"x-simulated-stream", str(self.record.number).encode())]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        listener = asyncio.create_task(_left(receive))
        end = "error"
        try:
            end = "over the cap" if close_at_once else await self._speak(listener)
        except _Cut:  # without the last chunk: the client must notice
            end = "cut"
            self.exchange.hang_up(self._peer)
            await listener
        finally:
            listener.cancel()
            self.exchange.ledger.closed(self.record, end)
        if end != "cut":
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _speak(self, listener: asyncio.Task[None]) -> str:
        if self.faults.empty_200_close:
            return "empty"
        begun = False
        while True:
            end = await self._fate()
            if end:
                return end
            if not (self._silent() or self.faults.heartbeat_only):
                said = self.source.turn() if begun else await asyncio.to_thread(self.source.first)
                begun = True
                await self._say(said)
            await asyncio.wait({listener}, timeout=self.exchange.config.turn_s)
            if listener.done():
                return LEFT
            if not self._silent() and time.monotonic() - self.spoke >= self.exchange.config.heartbeat_s:
                await self._beat()

    def _silent(self) -> bool:
        stall = self.faults.stall_after_s
        return 0 < stall <= time.monotonic() - self.opened

    async def _fate(self) -> str:
        """The reason to end now, after saying what belongs to it; empty to go on."""
        faults, age = self.faults, time.monotonic() - self.opened
        if self.exchange.closing.is_set() or 0 < faults.goaway_after_s <= age:
            await self._error({"StreamStatus": "GoAway"} if faults.goaway_as_status else GOAWAY)
            return "goaway"
        if 0 < faults.dual_logon_after_s <= age:
            symbol = next(iter(self.record.objects), "")
            await self._error({"Symbol": symbol, "Error": "DualLogon"})
            return "dual logon"
        if faults.end_string or faults.error_string:
            await self._write(b"END\n" if faults.end_string else f"ERROR - {faults.error_string}\n".encode())
            return "text"
        return "eof" if 0 < faults.eof_after_s <= age else ""

    async def _error(self, fields: Fields) -> None:
        self.record.errors += 1
        await self._write(encode(fields) + b"\n")

    async def _beat(self) -> None:
        self.beats += 1
        self.record.heartbeats += 1
        at = stamp(self.exchange.now())
        await self._write(encode({"Heartbeat": self.beats, "Timestamp": at}) + b"\n")

    async def _say(self, said: list[Said]) -> None:
        """Send objects, and count those that leave whole."""
        faults, random = self.faults, self.random
        if faults.mute:
            mute = {name.upper() for name in faults.mute}
            said = [item for item in said if item[0].upper() not in mute]
        if not said:
            return
        said = disturbed(said, faults, random)
        ending = b"\r\n" if faults.crlf else b"\n"
        pieces = [transformed(fields, faults, random) + ending for _, fields in said]
        if faults.blank_lines:
            pieces = [ending + piece for piece in pieces]
        for (symbol, fields), end in zip(said, itertools.accumulate(map(len, pieces)), strict=True):
            if end <= self._room():  # counted before the socket drains: the client may count them first
                self._count(symbol, fields, self.record.bytes + end)
        data = b"".join(pieces)
        await (self._write_in_pieces(data) if faults.rechunk else self._write(data))

    def _room(self) -> float:
        """Bytes until the connection breaks."""
        limit = self.faults.cut_after_bytes
        return max(limit - self.record.bytes, 0) if limit else math.inf

    def _count(self, symbol: str, fields: Fields, end: int) -> None:
        if "Error" in fields:
            self.record.errors += 1
            return
        self.exchange.ledger.said(self.record, symbol, end)
        if fields.get("BarStatus") == "Closed" and fields["TimeStamp"] > self.record.last_closed_bar:
            self.record.closed_bars += 1
            self.record.last_closed_bar = fields["TimeStamp"]

    async def _write_in_pieces(self, data: bytes) -> None:
        """The same bytes in chunks of any size, some ending within an object."""
        while data:
            cut = self.random.choice((1, 7, 40, 200, 900, 4000))
            await self._write(data[:cut])
            data = data[cut:]

    async def _write(self, data: bytes) -> None:
        """Send bytes; raises _Cut where the connection breaks within them."""
        room = self._room()
        part = data if len(data) <= room else data[: int(room)]
        if part:
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            self.record.bytes += len(part)
            self.spoke = time.monotonic()
        if len(part) < len(data):
            raise _Cut


class _Cut(Exception):
    """The connection breaks here."""


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass

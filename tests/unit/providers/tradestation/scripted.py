"""A TradeStation on a real socket that says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

MEDIA_TYPE = "application/vnd.tradestation.streams.v2+json"


@dataclass(slots=True)
class Asked:
    """One request as it came."""

    method: str
    raw_path: str
    path: str  # decoded
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(slots=True)
class Says:
    """An ordinary answer."""

    body: object = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Line:
    """A stream's side of a connection: what the script writes the client reads, chunk by chunk."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, *objects: object) -> None:
        """Objects, each with its newline, all in one chunk."""
        await self.raw(b"".join(_encoded(item) + b"\n" for item in objects))

    async def raw(self, data: bytes) -> None:
        """One chunk of exactly these bytes."""
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()

    async def hold(self) -> None:
        """Keep the connection open without a word until the client leaves."""
        await asyncio.Event().wait()

    def cut(self) -> None:
        """Drop the connection in the middle of the answer."""
        self._writer.transport.abort()


Script = Callable[[Asked, Line], Awaitable[None]]
Answer = Says | Script | Callable[[Asked], Says]


def _encoded(item: object) -> bytes:
    return item if isinstance(item, bytes) else json.dumps(item).encode()


class ScriptedServer:
    """Answers by path prefix; a list of answers is used up one by one, the last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.open_streams = 0
        self.most_streams = 0
        self.tokens = 0
        self.url = ""
        self._answers: dict[str, list[Answer]] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._used: dict[str, int] = defaultdict(int)
        self.on("/oauth/token", self._grant)

    says = Says

    def on(self, prefix: str, *answers: Answer) -> None:
        """Answer requests whose decoded path begins so; the longest prefix wins."""
        self._answers[prefix] = list(answers)
        self._used.pop(prefix, None)

    def count(self, prefix: str) -> int:
        """How many requests for paths that begin so have come."""
        return sum(1 for asked in self.asked if asked.path.startswith(prefix))

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _grant(self, asked: Asked) -> Says:
        self.tokens += 1
        return Says({"access_token": f"access-{self.tokens}", "token_type": "Bearer", "expires_in": 1200})

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (asked := await _request(reader)) is not None:
                self.asked.append(asked)
                if not await self._answer(asked, reader, writer):
                    return
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    def _next(self, path: str) -> Answer:
        prefix = max((known for known in self._answers if path.startswith(known)), key=len, default=None)
        if prefix is None:
            return Says({"Error": "NotFound", "Message": f"no such path {path}"}, 404)
        answers, used = self._answers[prefix], self._used[prefix]
        self._used[prefix] += 1
        return answers[min(used, len(answers) - 1)]

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        answer = self._next(asked.path)
        if not isinstance(answer, Says) and (answer == self._grant or not asyncio.iscoroutinefunction(answer)):
            answer = answer(asked)  # type: ignore[call-arg,assignment]
        if isinstance(answer, Says):
            body = _encoded(answer.body)
            head = {"Content-Length": str(len(body)), "Content-Type": "application/json", **answer.headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            writer.write(f"HTTP/1.1 {answer.status} X\r\n{lines}\r\n".encode() + body)
            await writer.drain()
            return True
        await self._stream(answer, asked, reader, writer)  # type: ignore[arg-type]
        return False

    async def _stream(
        self, script: Script, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.open_streams += 1
        self.most_streams = max(self.most_streams, self.open_streams)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        running = asyncio.ensure_future(script(asked, Line(writer)))  # type: ignore[arg-type]
        left = asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait({running, left}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() and not writer.transport.is_closing():
                running.result()
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        finally:
            self.open_streams -= 1
            running.cancel()
            left.cancel()
            await asyncio.gather(running, left, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *rest = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Asked(method, parts.path, unquote(parts.path), query, headers, body.decode())

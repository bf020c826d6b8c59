"""What one connection may take of this server: bytes and seconds of a request, and seconds to read what we say.

uvicorn waits for ever for the rest of a request, and for a client to read its answer.  These two protocols do not:
whoever sends a request byte by byte gets 408, a head that is too long 431, and one that reads nothing is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import Any

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from zerogex.serving.problems import Problem

UNREAD_S = 20.0  # an answer of which nothing is taken for this long is given up, with its connection
CORK: int | None = getattr(socket, "TCP_CORK", None)  # lets head and body of an answer travel as one
FAREWELL_S = 10.0  # how long a WebSocket that was left may take to hear so


class PatientHttp(H11Protocol):
    """HTTP/1.1 with a deadline for a whole request: `request_s` from its first byte, or from connecting."""

    def __init__(self, *arguments: Any, request_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._request_s = request_s
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """An answer leaves at once: head and body are two writes, and the second must not wait for an ACK."""
        super().connection_made(transport)
        self._set(socket.TCP_NODELAY, True)
        self._mind()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request; the deadline stays where it was until the request is whole."""
        super().data_received(data)
        became_websocket = self.transport.get_protocol() is not self
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not became_websocket:
            self._mind()
        else:
            self._forget()
            if CORK is not None and self.conn.their_state is h11.DONE:
                self._set(CORK, True)

    def on_response_complete(self) -> None:
        """The answer is written; now it must be read."""
        if CORK is not None:
            self._set(CORK, False)
        super().on_response_complete()
        unread = self.transport.get_write_buffer_size()
        if unread:
            self.loop.call_later(UNREAD_S, self._let_read, unread)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is not HTTP, with the status that fits (431 for a head too long)."""
        error = sys.exc_info()[1]
        if getattr(error, "error_status_hint", 400) == 431:
            self._refuse(head_too_large())
        else:
            self._refuse(Problem(400, "bad_request", "This is not a request of HTTP/1.1.", "Send one."))

    def _set(self, option: int, on: bool) -> None:
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # not TCP, or gone already
            if connection is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, on)

    def _mind(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self._request_s, self._lose_patience)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _lose_patience(self) -> None:
        """The request is not whole in time: say so where something of it came and nothing was answered yet."""
        self._deadline = None
        begun = bool(self.conn.trailing_data[0]) or self.conn.their_state is h11.SEND_BODY
        if begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(too_slow(self._request_s))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer in place of the application, and hang up."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # what it may still answer is not sent
        body = msgspec.json.encode(problem.document())
        headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
        headers += [("Cache-Control", "no-store"), ("Connection", "close")]
        reason = STATUS_PHRASES[problem.status]
        events = (h11.Response(status_code=problem.status, headers=headers, reason=reason), h11.Data(data=body))
        for event in (*events, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _let_read(self, before: int) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread == before:
            self.transport.abort()
        elif unread:
            self.loop.call_later(UNREAD_S, self._let_read, unread)


class PatientWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is gone soon after the server has left it, whether or not the client reads the farewell."""

    async def run_asgi(self) -> None:
        """Let the application talk; then wait a little for the close to be heard."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(FAREWELL_S, self._hang_up)

    def _hang_up(self) -> None:
        if not self.disconnected:
            self.transport.abort()


def head_too_large() -> Problem:
    """431: request line and headers are longer than any honest client's."""
    hint = "Send fewer or shorter headers; none of this API's is long."
    detail = "The head of the request is too long."
    return Problem(431, "request_header_fields_too_large", detail, hint, headers={"Connection": "close"})


def too_slow(seconds: float) -> Problem:
    """408: the request did not come whole in time."""
    hint = "Send the whole request at once."
    return Problem(408, "request_timeout", f"The request was not whole within {seconds:g} seconds.", hint)

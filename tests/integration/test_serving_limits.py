"""What one connection may take: bytes of a request, and seconds to say it and to read the answer."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from served import Served, serving, until
from zerogex.serving import patience, websocket
from zerogex.serving.guard import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_TARGET_BYTES
from zerogex.store.postgres import PostgresStore

REQUEST_S = 0.5


@pytest.fixture
def served(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(patience, "UNREAD_S", 0.2)
    monkeypatch.setattr(patience, "FAREWELL_S", 0.2)
    monkeypatch.setattr(websocket, "CLOSING_PATIENCE_S", 0.2)
    with serving(store, symbols=("SPY",), request_s=REQUEST_S, slow_client_s=0.2, heartbeat_s=0.1) as served:
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served


@contextlib.contextmanager
def wire(served: Served, receive_bytes: int | None = None) -> Iterator[socket.socket]:
    """A bare connection, so that bytes can be sent as no honest client would."""
    with socket.socket() as connection:
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", served.config.port))
        yield connection


def everything(connection: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65_536):
            heard += more
    return heard


def answer(raw: bytes) -> tuple[int, dict[str, Any]]:
    """Status and problem document of an answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body or b"{}")


def head(served: Served, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} /api/v1/version HTTP/1.1", f"Host: 127.0.0.1:{served.config.port}", *lines]).encode()


@pytest.mark.parametrize("lines", [(), ("Content-Length: 10", "", "five.")], ids=["head", "body"])
def test_a_request_that_never_becomes_whole_is_408(served: Served, lines: tuple[str, ...]) -> None:
    with wire(served) as connection:
        connection.sendall(head(served, *lines))
        status, problem = answer(everything(connection))
    if lines:  # the route needs no body, so it has answered; the connection ends all the same
        assert status == 200
    else:
        assert (status, problem["code"]) == (408, "request_timeout")


def test_one_byte_now_and_then_does_not_put_the_deadline_off(served: Served) -> None:
    with wire(served) as connection:
        connection.sendall(head(served))
        connection.settimeout(REQUEST_S / 5)
        heard = b""
        while not heard:
            with contextlib.suppress(TimeoutError):
                heard = connection.recv(65_536)
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"\r\nX: y" if not heard else b"")
    assert answer(heard)[0] == 408


def test_who_connects_and_says_nothing_is_hung_up_on(served: Served) -> None:
    with wire(served) as connection:
        assert everything(connection) == b""


def test_many_half_requests_do_not_keep_others_waiting(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(wire(served)) for _ in range(100)]
        for connection in slow:
            connection.sendall(b"GET / HT")
        assert httpx2.get(f"{served.address}/api/v1/SPY/summary").status_code == 200
        assert {answer(everything(connection))[0] for connection in slow} == {408}


@pytest.mark.parametrize(
    ("request_line", "headers", "status", "code"),
    [
        ("/api/v1/version", {"X-Long": "x" * MAX_HEAD_BYTES}, 431, "request_header_fields_too_large"),
        ("/api/v1/version", {f"X-{n}": "x" * 900 for n in range(20)}, 431, "request_header_fields_too_large"),
        ("/api/v1/version?" + "x" * MAX_TARGET_BYTES, {}, 414, "uri_too_long"),
        ("/api/v1/version", {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413, "content_too_large"),
        ("/api/v1/version", {"Content-Length": "99999999999999999999"}, 413, "content_too_large"),
        ("/api/v1/version", {"Transfer-Encoding": "chunked"}, 411, "length_required"),
    ],
)
def test_a_request_too_large_is_refused_by_its_head(
    served: Served, request_line: str, headers: dict[str, str], status: int, code: str
) -> None:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    with wire(served) as connection:
        connection.sendall(head(served, *lines, "", "").replace(b"/api/v1/version", request_line.encode(), 1))
        found, problem = answer(everything(connection))
    assert (found, problem["code"]) == (status, code)
    assert problem["hint"]


def test_an_endless_head_is_cut_off(served: Served) -> None:
    with wire(served) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head(served))
            for _ in range(50):
                connection.sendall(b"\r\nX: " + b"x" * 1000)
        assert answer(everything(connection))[0] in (431, 408)


def test_what_is_not_http_is_a_problem_too(served: Served) -> None:
    with wire(served) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        status, problem = answer(everything(connection))
    assert (status, problem["code"]) == (400, "bad_request")


def test_who_reads_no_answer_is_dropped(served: Served) -> None:
    rows = served.publish()["by_strike"] * 200
    served.publish(by_strike=rows)
    until(lambda: len(served.app.state.hub.board.known["SPY"].document["by_strike"]) == len(rows))
    with wire(served, receive_bytes=4096) as connection:
        ask = head(served, "", "").replace(b"version", b"SPY/strikes", 1)
        connection.sendall(ask)
        until(lambda: served.connections() == 1)
        until(lambda: served.connections() == 0)


async def test_a_websocket_outlives_the_deadline_of_requests(served: Served) -> None:
    async with connect(served.websocket) as ws:
        began = time.monotonic()
        while time.monotonic() - began < 2 * REQUEST_S:  # heartbeats, and nothing else
            assert json.loads(await ws.recv())["type"] in ("hello", "heartbeat")


def test_a_websocket_that_reads_nothing_leaves_nothing_behind(served: Served) -> None:
    hub = served.app.state.hub
    rows = served.publish()["by_strike"] * 100
    with wire(served, receive_bytes=4096) as connection:
        lines = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        connection.sendall(
            head(served, *lines, "Sec-WebSocket-Version: 13", "", "").replace(b"/api/v1/version", b"/ws", 1)
        )
        until(lambda: len(hub.subscribers) == 1)
        text = b'{"op": "subscribe", "topics": ["strikes:SPY", "summary:SPY"]}'
        connection.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
        spot = 700.0
        while hub.subscribers:
            spot += 0.25
            served.publish(spot, by_strike=rows)
        until(lambda: served.connections() == 0)

"""Where alerts arrive in tests: a real HTTP server that answers as it is told, and keeps what it heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


@dataclass
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    answered: int


@dataclass
class Receiver:
    """`status` is what every request is answered with from now on; 0: the connection is cut without an answer."""

    address: str = ""
    status: int = 200
    location: str = ""
    says: str = ""
    hold_s: float = 0.0
    heard: list[Heard] = field(default_factory=list)

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The bodies that were answered well."""
        return [each.body for each in self.heard if each.answered == 200]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
            status = receiver.status
            time.sleep(receiver.hold_s)
            receiver.heard.append(Heard(self.path, dict(self.headers), body, status))
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            said = receiver.says.encode() or b"no\x1b[31m"
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Nothing: tests look at `heard`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

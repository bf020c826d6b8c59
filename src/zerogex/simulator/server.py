"""The simulator as a server: one uvicorn on loopback, usable in a test or for a whole evening.

async with Simulator(SimulatorConfig(port=0)) as simulator:
    ...  # simulator.url, simulator.auth_url
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zerogex.errors import ZerogexError
from zerogex.simulator import control, oauth, rest, streams
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.exchange import Exchange, Refused, reply

log = logging.getLogger(__name__)

_LONGEST_URL = 25_000  # bytes; beyond it 414
_RESOURCES = (
    ("/v3/marketdata/quotes/", "quote-snapshot"), ("/v3/marketdata/barcharts/", "barcharts"),
    ("/v3/marketdata/stream/quotes/", "quote-change-stream"),
    ("/v3/marketdata/stream/barcharts/", "stream-barcharts"),
    ("/v3/marketdata/options/expirations/", "option-expirations"),
    ("/v3/marketdata/options/strikes/", "option-strikes"),
    ("/v3/marketdata/options/riskreward", "option-riskreward"),
    ("/v3/marketdata/options/spreadtypes", "option-spreadtypes"),
    ("/v3/marketdata/stream/options/chains/", "option-chains"),
    ("/v3/marketdata/stream/options/quotes", "option-quotes"),
    ("/v3/marketdata/stream/marketdepth/", "market-depth"), ("/v3/marketdata/symbols/", "symbols"),
    ("/v2/data/symbols/", "symbols"),
)  # fmt: skip


class Gate:
    """What happens before a route is asked: faults, length, token, quota; and the headers of every answer."""

    def __init__(self, app: ASGIApp, exchange: Exchange) -> None:
        self.app, self.exchange = app, exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        faults, path = self.exchange.faults, scope["path"]
        own = path.startswith(control.ROOT)
        headers: dict[str, str] = {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._marks(headers)]
                resource = next((name for start, name in _RESOURCES if path.startswith(start)), path[:60])
                self.exchange.ledger.answered(resource, message["status"])
            await send(message)

        try:
            if not own:
                await asyncio.sleep(faults.latency_s)
                headers |= self._admit(scope)
        except Refused as refused:
            await self._refusal(refused)(scope, receive, answer)
            return
        await self.app(scope, receive, answer)

    def _admit(self, scope: Scope) -> dict[str, str]:
        """Check a request; the rate-limit headers of its resource.  Raises Refused."""
        path = scope["path"]
        length = len(scope.get("raw_path") or path.encode()) + len(scope.get("query_string", b""))
        if length > _LONGEST_URL:
            raise Refused(414, "URITooLong", "Request-URI Too Large")
        if not path.startswith(("/v2/", "/v3/")):
            return {}
        status = self.exchange.failing_status(path)
        if status:
            raise Refused(
                status, _ERRORS.get(status, "InternalServerError"), _MESSAGES.get(status, "Switched on as a fault")
            )
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        self.exchange.authorize(token.decode("latin-1"))
        resource = next((name for start, name in _RESOURCES if path.startswith(start)), None)
        return self.exchange.charge(resource) if resource else {}

    def _refusal(self, refused: Refused) -> Response:
        faults = self.exchange.faults
        refused.headers |= faults.status_headers
        if faults.html_errors and refused.status >= 500:
            return HTMLResponse(f"<html><head><title>{refused.status}</title></head></html>", refused.status)
        return refused.response()

    def _marks(self, headers: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
        yield b"x-simulated", b"true"
        at = datetime.now(UTC) + timedelta(seconds=self.exchange.faults.date_skew_s)
        yield b"date", format_datetime(at, usegmt=True).encode()
        for name, value in headers.items():
            yield name.lower().encode(), value.encode("latin-1")


_ERRORS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests",
           500: "InternalServerError", 501: "NotImplemented", 503: "ServiceUnavailable",
           504: "GatewayTimeout"}  # fmt: skip
_MESSAGES = {429: "Rate quota exceeded", 401: "The access token is missing, invalid or expired"}


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return refused.response()


async def _failed(request: Request, problem: Exception) -> Response:
    return reply({"Error": "InternalServerError", "Message": "The simulator failed; its log says why"}, 500)


async def _not_found(request: Request, problem: Exception) -> Response:
    return reply({"Error": "NotFound", "Message": f"No resource {request.url.path[:100]}"}, 404)


def application(exchange: Exchange, instead: Sequence[Route] = ()) -> ASGIApp:
    """All routes behind the gate; those given take the place of ours with the same path."""
    app = Starlette(
        routes=[*instead, *control.routes(), *oauth.routes(), *rest.routes(), *streams.routes()],
        exception_handlers={Refused: _refused, 404: _not_found, 500: _failed},
    )
    app.state.exchange = exchange
    return Gate(app, exchange)


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to whoever embeds it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Simulator:
    """TradeStation on loopback.  `url` is what TRADESTATION_API_URL and TRADESTATION_AUTH_URL point to.

    `instead` are routes that answer in the place of ours.
    """

    def __init__(self, config: SimulatorConfig | None = None, instead: Sequence[Route] = ()) -> None:
        self.config = config or SimulatorConfig()
        self.instead = tuple(instead)
        self.exchange = Exchange(self.config)
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """Root of the API, without /v3."""
        if self._socket is None:
            raise ZerogexError("the simulator is not started; call start() first")
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def auth_url(self) -> str:
        """Root of the sign-in: the same server."""
        return self.url

    async def start(self) -> None:
        """Listen; returns when requests are answered.  Raises ZerogexError where the port is taken."""
        try:
            self._socket = self._listening()
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        except OSError as problem:
            raise ZerogexError(f"the simulator cannot listen on {self.config.host}:{self.config.port} "
                               f"({problem.strerror}); choose another --port") from None  # fmt: skip
        settings = uvicorn.Config(application(self.exchange, self.instead), log_config=None, lifespan="off",
                                  http="h11", ws="none", loop="asyncio", access_log=False,
                                  server_header=False, date_header=False,
                                  timeout_graceful_shutdown=3, h11_max_incomplete_event_size=65_536)  # fmt: skip
        self._server = _Server(settings)
        self.exchange.hang_up = self._hang_up
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        while not self._server.started:
            await asyncio.sleep(0.005)
            if self._task.done():
                await self._task
                raise ZerogexError("the simulator stopped while starting")
        log.info("simulator listening", extra={"url": self.url, "seed": self.config.seed, "speed": self.config.speed})

    def _listening(self) -> socket.socket:
        if self.config.listen_fd is not None:
            return socket.socket(fileno=self.config.listen_fd)
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        return socket.create_server((self.config.host, self.config.port), family=family, backlog=256)

    def _hang_up(self, peer: Any) -> None:
        """Close the connection of a peer as it stands, whatever was being said on it."""
        for connection in list(self._server.server_state.connections) if self._server else ():
            transport = getattr(connection, "transport", None)
            if transport is not None and transport.get_extra_info("peername")[:2] == tuple(peer):
                transport.close()

    async def stop(self) -> None:
        """Tell every stream to go away, then close."""
        self.exchange.closing.set()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.wait({self._task}, timeout=5)
            if not self._task.done():
                self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._socket is not None:
            self._socket.close()
        self._server = self._task = None

    async def serve_forever(self) -> None:
        """Serve until cancelled."""
        await self.start()
        try:
            assert self._task is not None
            await asyncio.shield(self._task)
        finally:
            await self.stop()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self.stop()

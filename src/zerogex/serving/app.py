"""The web server as an ASGI application: page, API, WebSocket, and the watcher behind them.

store.notices() ──► watcher (thread) ──► hub ──► board ◄── routes (HTTP)
                                          └──► websocket (one queue a client)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI
from starlette.websockets import WebSocket

from zerogex.clock import Clock
from zerogex.metrics import Meter
from zerogex.ports import Store
from zerogex.serving import described, page, parameters, problems
from zerogex.serving.access import Access
from zerogex.serving.board import Board
from zerogex.serving.config import ServingConfig
from zerogex.serving.guard import MAX_HEAD_BYTES, Guard
from zerogex.serving.hub import Hub
from zerogex.serving.metrics import RequestMeter
from zerogex.serving.patience import PatientHttp, PatientWebSocket
from zerogex.serving.quota import Quotas
from zerogex.serving.routes import api
from zerogex.serving.watcher import Watcher
from zerogex.serving.websocket import converse


def create_app(store: Store, clock: Callable[[], Clock], config: ServingConfig, meter: Meter | None = None) -> FastAPI:
    """Everything a browser or a program may ask of ZeroGEX.

    `clock` is called for each answer, because the clock of a simulated market is known only
    once its feed has announced itself.  The watcher runs while the application does.
    """
    board = Board(config, clock)
    hub = Hub(board)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = Watcher(store, hub, asyncio.get_running_loop())
        watcher.start()
        heart = asyncio.create_task(hub.keep_beating())
        try:
            yield
        finally:
            heart.cancel()
            await asyncio.to_thread(watcher.stop)

    app = FastAPI(
        title="ZeroGEX",
        version=config.version,
        summary="Dealer gamma exposure, gamma flip, walls and max pain",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    problems.install(app)
    parameters.install(app)
    described.install(app)
    app.include_router(api(store, board, hub))

    async def ws(websocket: WebSocket) -> None:
        await converse(websocket, hub)

    app.router.add_websocket_route("/ws", ws)
    page.mount(app)
    if config.needs_keys:
        app.add_middleware(Access, keys=store.api_keys, quotas=Quotas())
    app.add_middleware(Guard, hosts=config.hosts)
    if meter is not None:
        app.add_middleware(RequestMeter, meter=meter)
        meter.watch(lambda: [("websocket_clients", len(hub.subscribers), ()), ("database_up", board.database, ())])
    app.state.hub = hub
    return app


def server_options(config: ServingConfig) -> dict[str, Any]:
    """Keyword arguments for `uvicorn.Config` that suit this application: small requests, quiet, patient."""
    return {
        "host": config.host,
        "port": config.port,
        "http": functools.partial(PatientHttp, request_s=config.request_s),
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
        "ws": PatientWebSocket,
        "ws_max_size": 65_536,
        "ws_per_message_deflate": config.needs_keys,  # on loopback it would cost time and save nothing
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": 3,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "lifespan": "on",
        "ssl_certfile": config.tls_cert,
        "ssl_keyfile": config.tls_key,
    }

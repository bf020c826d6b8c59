"""The web server around the application: one socket, no signals of its own, a polite end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from zerogex.errors import ZerogexError
from zerogex.serving.app import server_options
from zerogex.serving.config import ServingConfig

log = logging.getLogger(__name__)

SPARE_FILES = 1000  # beside the WebSockets: requests, the database, logs


class AddressTaken(ZerogexError):
    """Somebody else listens where we want to."""

    exit_code = 74


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_until_cancelled(
    application: FastAPI, config: ServingConfig, on_started: Callable[[], None] = lambda: None
) -> None:
    """Answer requests until this task is cancelled, then finish those under way.

    `on_started` is called when the address is ours.
    Raises AddressTaken where the address cannot be listened on.
    """
    _allow_open_files(config.max_clients + SPARE_FILES)
    with _listening(config.host, config.port) as listener:
        server = _Server(uvicorn.Config(application, **server_options(config)))
        task = asyncio.ensure_future(server.serve(sockets=[listener]))
        host, port = listener.getsockname()[:2]
        log.info("page and API listening", extra={"host": host, "port": port})
        on_started()
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            server.should_exit = True
            await task


def _allow_open_files(wanted: int) -> None:
    """Raise this process's own limit, as far as the system lets it: each client is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise AddressTaken(
            f"cannot listen on {host}:{port} ({reason}); choose another with --port or SERVE_PORT"
        ) from None
    return listener

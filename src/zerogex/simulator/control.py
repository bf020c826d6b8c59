"""The control address: the simulator's clock, its ledger, and its faults, at /simulator/ of the same server."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zerogex.errors import SettingsError
from zerogex.simulator import verbs
from zerogex.simulator.asked import exchange_of
from zerogex.simulator.exchange import Refused, reply
from zerogex.simulator.faults import changed

log = logging.getLogger(__name__)

ROOT = "/simulator/"


class Receipt(msgspec.Struct, forbid_unknown_fields=True):
    """How many bytes of a stream's body a client had read when it closed the connection."""

    stream: int  # the answer's header X-Simulated-Stream
    read: int


def routes() -> list[Route]:
    return [
        Route(f"{ROOT}clock", clock),
        Route(f"{ROOT}ledger", ledger, methods=["GET", "POST"]),
        Route(f"{ROOT}faults", faults, methods=["GET", "POST"]),
        Route(f"{ROOT}verbs", described),
        Route(f"{ROOT}verbs/{{name}}", verb, methods=["POST"]),
    ]


async def clock(request: Request) -> Response:
    """The market's clock, for engines that live by it."""
    return reply(exchange_of(request).clock_fields())


async def ledger(request: Request) -> Response:
    """What was said to whom; POST hands in a receipt."""
    book = exchange_of(request).ledger
    if request.method == "GET":
        return reply(book.as_fields())
    try:
        receipt = msgspec.json.decode(await request.body(), type=Receipt)
    except msgspec.DecodeError as problem:
        raise Refused(400, "BadRequest", f'expected a receipt like {{"stream": 7, "read": 4096}}: {problem}') from None
    unread = book.read(receipt.stream, receipt.read)
    if unread is None:
        raise Refused(404, "NotFound", f"no stream {receipt.stream} is open, or among those closed of late")
    return reply({"unread": unread})


async def faults(request: Request) -> Response:
    """The switchboard: GET shows it, POST with a JSON object moves switches; `{"reset": true}` puts all back first."""
    exchange = exchange_of(request)
    if request.method == "POST":
        changes = await _object(request)
        try:
            base = exchange.config.faults if changes.pop("reset", False) else exchange.faults
            exchange.switch(changed(base, changes))
        except SettingsError as problem:
            raise Refused(400, "BadRequest", str(problem)) from None
        log.info("simulator faults changed", extra={"changes": sorted(changes)})
    return reply(msgspec.to_builtins(exchange.faults))


async def described(request: Request) -> Response:
    """What can be said to `/simulator/verbs/NAME`."""
    return reply(verbs.described())


async def verb(request: Request) -> Response:
    """Say one verb, its arguments as a JSON object; the switchboard as it stands then."""
    exchange, name = exchange_of(request), request.path_params["name"]
    arguments = await _object(request)
    try:
        exchange.switch(verbs.said(exchange.faults, name, arguments, next_stream=exchange.ledger.next_number))
    except SettingsError as problem:
        raise Refused(400, "BadRequest", str(problem)) from None
    log.info("simulator fault", extra={"verb": name, "arguments": sorted(arguments)})
    return reply(msgspec.to_builtins(exchange.faults))


async def _object(request: Request) -> dict[str, Any]:
    """The body as a JSON object, an empty one where there is none."""
    body = await request.body()
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}
    except msgspec.DecodeError as problem:
        raise Refused(400, "BadRequest", f"expected a JSON object: {problem}") from None

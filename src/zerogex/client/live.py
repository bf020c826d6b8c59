"""The WebSocket as an iterator that outlives cuts."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from zerogex.client.errors import ApiError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
SILENCE_S = 30.0  # without a word, not even a heartbeat: the connection is dead
MAX_MESSAGE_BYTES = 64 * 2**20
REFUSED = frozenset({401, 403, 404, 421})


@dataclass(frozen=True, slots=True)
class Update:
    """One message about a topic."""

    topic: str  # KIND:SYMBOL
    kind: str  # snapshot: the whole; change: what the route says now (of bars, the last minutes)
    seq: int
    skipped: int  # changes left out because we were slow
    data: dict[str, Any]


@dataclass(slots=True)
class _Place:
    """How far we have read."""

    epoch: str | None = None
    seq: dict[str, int] = field(default_factory=dict)


async def follow(address: str, topics: Sequence[str], headers: Mapping[str, str]) -> AsyncIterator[Update]:
    """Updates of topics until closed; reconnects with growing pauses and resumes where it was."""
    place = _Place()
    pause_s = FIRST_PAUSE_S
    url = address.replace("http", "ws", 1) + "/ws"
    while True:
        try:
            async with connect(url, additional_headers=headers, max_size=MAX_MESSAGE_BYTES) as ws:
                async for update in _read(ws, topics, place):
                    pause_s = FIRST_PAUSE_S
                    yield update
        except InvalidStatus as error:
            if error.response.status_code in REFUSED:
                raise ApiError(_problem(error.response.body, error.response.status_code)) from error
        except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
            pass
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _read(ws: ClientConnection, topics: Sequence[str], place: _Place) -> AsyncIterator[Update]:
    """Subscribe, and what comes of it until the connection ends; raises ApiError for a topic that does not exist."""
    ask: dict[str, Any] = {"op": "subscribe", "topics": list(topics)}
    if place.epoch is not None:
        ask |= {"last_seq": place.seq, "epoch": place.epoch}
    await ws.send(json.dumps(ask))
    while True:
        message = json.loads(await asyncio.wait_for(ws.recv(), SILENCE_S))
        kind = message["type"]
        if kind == "hello" and message["epoch"] != place.epoch:
            place.epoch, place.seq = message["epoch"], {}
        elif kind == "problem" and message.get("status") in (400, 404, 422):
            raise ApiError(message)
        elif kind in ("snapshot", "change"):
            place.seq[message["topic"]] = message["seq"]
            yield Update(message["topic"], kind, message["seq"], message["skipped"], message["data"])


def _problem(body: bytes | bytearray | None, status: int) -> dict[str, Any]:
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        said = {}
    return {"status": status, **(said if isinstance(said, dict) else {})}

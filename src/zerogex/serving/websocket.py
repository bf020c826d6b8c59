"""`/ws`: subscribe, acknowledge, snapshot, changes, heartbeats; docs/api.md has the protocol."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Literal

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from zerogex.serving.hub import Hub, Subscriber
from zerogex.serving.problems import Problem
from zerogex.serving.responses import encode

log = logging.getLogger(__name__)

MAX_TOPICS = 32  # a client
MAX_REQUEST_BYTES = 8192
CLOSING_PATIENCE_S = 30.0  # how long a close frame may wait behind what a stalled client has not read
TRY_AGAIN_LATER, POLICY_VIOLATION, GOING_AWAY = 1013, 1008, 1001


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may say."""

    op: Literal["subscribe", "unsubscribe", "ping"]
    topics: list[str] = []
    last_seq: dict[str, int] = {}  # topic to the last seq seen, to resume
    epoch: str | None = None  # of the server that gave those numbers


class SlowClient(Exception):
    """The client takes no bytes; its queue is let go."""


async def converse(websocket: WebSocket, hub: Hub) -> None:
    """Serve one client until it leaves, lags or misbehaves."""
    await websocket.accept()
    config = hub.board.config
    if len(hub.subscribers) >= config.max_clients:
        hint = f"All {config.max_clients} places are taken; come back later."
        await _refuse(websocket, "busy", hint, retry_after_s=round(random.uniform(5, 20), 1))
        return
    subscriber = Subscriber()
    hub.subscribers.add(subscriber)
    hello = {"type": "hello", "epoch": hub.epoch, "version": config.version, "heartbeat_s": config.heartbeat_s}
    subscriber.say(encode(hello | {"max_topics": MAX_TOPICS}).decode())
    tasks = {
        asyncio.create_task(_listen(websocket, hub, subscriber)),
        asyncio.create_task(_send(websocket, hub, subscriber)),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(subscriber)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [error for task in done if (error := task.exception()) is not None]
    await _part(websocket, errors)


async def _listen(websocket: WebSocket, hub: Hub, subscriber: Subscriber) -> None:
    """Act on what the client says; ends when it leaves."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        try:
            _act(message.get("text"), hub, subscriber)
        except Problem as problem:
            subscriber.say(encode(problem.document() | {"type": "problem"}).decode())


def _act(text: str | None, hub: Hub, subscriber: Subscriber) -> None:
    hint = 'Say {"op": "subscribe", "topics": ["summary:SPY"]}; docs/api.md has the protocol.'
    if text is None:
        raise Problem(400, "bad_request", "Not a request: it came in a binary frame, expected a text frame.", hint)
    if len(text) > MAX_REQUEST_BYTES:
        raise Problem(413, "request_too_long", f"A request has at most {MAX_REQUEST_BYTES} characters.", hint)
    try:
        ask = msgspec.json.decode(text, type=Ask)
    except msgspec.DecodeError as error:
        detail = f"Not a request: {text[:60]!r}: {error}; expected an object of {', '.join(Ask.__struct_fields__)}."
        raise Problem(400, "bad_request", detail, hint) from None
    if ask.op == "ping":
        subscriber.say('{"type":"pong"}')
    elif not ask.topics:
        detail = f"No topics came with {ask.op}, expected at least one."
        raise Problem(400, "bad_request", detail, hint)
    for name in ask.topics:
        if ask.op == "unsubscribe":
            hub.unsubscribe(subscriber, name)
        elif len(subscriber.sent.keys() | {name}) > MAX_TOPICS:
            raise Problem(429, "too_many_topics", f"A client follows at most {MAX_TOPICS} topics.", hint)
        elif ask.op == "subscribe":
            hub.subscribe(subscriber, name, ask.last_seq.get(name), ask.epoch)


async def _send(websocket: WebSocket, hub: Hub, subscriber: Subscriber) -> None:
    """Hand over what waits, as fast as the client takes it; raises SlowClient when it takes nothing."""
    while True:
        await subscriber.wake.wait()
        subscriber.wake.clear()
        while (text := hub.next_message(subscriber)) is not None:
            try:
                async with asyncio.timeout(hub.board.config.slow_client_s):  # wait_for would make a task a message
                    await websocket.send_text(text)
            except TimeoutError:
                raise SlowClient from None
        if subscriber.overrun:
            raise Problem(429, "too_many_requests", "More requests than answers read.", "Ask less often.")


async def _part(websocket: WebSocket, errors: list[BaseException]) -> None:
    """Say goodbye in the way the reason deserves."""
    for error in errors:
        if isinstance(error, SlowClient):
            log.info("slow client closed")
            await _close(websocket, TRY_AGAIN_LATER, "too slow; reconnect and resume with last_seq")
        elif isinstance(error, Problem):
            await _close(websocket, POLICY_VIOLATION, error.code)
        elif isinstance(error, WebSocketDisconnect | OSError):
            log.debug("client left", extra={"how": type(error).__name__})
        else:
            log.error("websocket failed", exc_info=error)
            await _close(websocket, 1011, "internal error")


async def _refuse(websocket: WebSocket, code: str, hint: str, retry_after_s: float) -> None:
    await websocket.send_text(
        encode({"type": "problem", "code": code, "hint": hint, "retry_after_s": retry_after_s}).decode()
    )
    await _close(websocket, TRY_AGAIN_LATER, code)


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close politely; a client that will not even take the close frame is dropped in the end."""
    try:
        await asyncio.wait_for(websocket.close(code, reason), CLOSING_PATIENCE_S)
    except (TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
        log.debug("client gone before the close")

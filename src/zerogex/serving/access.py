"""Who may ask: on loopback everybody, elsewhere the holder of an API key, as often as the key allows.

A key comes as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or as the password of HTTP Basic, which
browsers ask for by themselves and send with the page's own requests and WebSocket.  When the key store
cannot be asked, nobody is let in.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from zerogex.errors import SettingsError, StoreError
from zerogex.ports import ApiKey, KeyStore
from zerogex.serving.config import ServingConfig
from zerogex.serving.keys import digest, looks_like_key
from zerogex.serving.problems import Problem
from zerogex.serving.quota import Quotas, Standing

log = logging.getLogger(__name__)

READ = "data"  # the scope that whatever is served asks for; a route may ask for more
OPEN_PATHS = frozenset({"/api/v1/health/live", "/api/v1/health/ready"})  # for supervisors and load balancers
BELIEVED_S = 3.0  # how long a key that was found good is not looked up again: the longest a revoked one lives on
USE_NOTED_EVERY_S = 60.0
WRONG_KEYS_A_MINUTE = 10  # from one address; after that nothing is looked up for it
REMEMBERED = 4096
POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; `key` is None for the machine's own user on loopback."""

    key: ApiKey | None = None
    standing: Standing | None = None

    def may(self, scope: str) -> bool:
        """Whether the caller has a scope."""
        return self.key is None or scope in self.key.scopes


def caller_of(request: Request) -> Caller:
    """Who sent a request."""
    caller: Caller = request.scope.get("zerogex.caller", Caller())
    return caller


def check_keys(config: ServingConfig, keys: KeyStore) -> None:
    """Refuse to start a server for the network that nobody could use; raises SettingsError."""
    now = datetime.now(UTC)
    in_force = [key for key in keys.all() if key.revoked_at is None and (key.expires_at or now) >= now]
    if config.needs_keys and not in_force:
        raise SettingsError(
            f"host {config.host!r} is for other machines, and there is no API key in force; "
            "make one: zerogex keys create --name NAME"
        )


class Access:
    """ASGI middleware: lets callers with a good key through, within their allowance."""

    def __init__(self, app: ASGIApp, keys: KeyStore, quotas: Quotas) -> None:
        self.app = app
        self._keys = keys
        self._quotas = quotas
        self._believed: OrderedDict[bytes, tuple[ApiKey, float]] = OrderedDict()
        self._noted: OrderedDict[str, float] = OrderedDict()
        self._noting: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            text = token_in(Headers(scope=scope))
            key = await self._admit(text, _address(scope))
            standing = self._quotas.take(key.key_id, key.requests_per_minute)
            if not standing.allowed:
                raise too_many(standing)
            if READ not in key.scopes:
                raise unscoped()
        except Problem as problem:
            await _refuse(problem, scope, receive, send)
            return
        scope["zerogex.caller"] = Caller(key, standing)
        if scope["type"] == "websocket":
            await self.app(scope, receive, self._still_good(text, send))
        else:
            await self.app(scope, receive, _counted(standing, send))

    async def _admit(self, text: str | None, address: str) -> ApiKey:
        """The good key of this text; raises Problem 401, 429 or 503."""
        if text is None:
            raise unauthorized()
        code = digest(text)
        known = self._believed.get(code)
        if known is not None and time.monotonic() - known[1] < BELIEVED_S:
            return known[0]
        if not self._quotas.take(f"wrong {address}", WRONG_KEYS_A_MINUTE, cost=0 if known else 1).allowed:
            raise guessing()
        # A text that is no key is looked up too: an answer takes the same time whatever was sent.
        try:
            key = await asyncio.to_thread(self._keys.find, code)
        except StoreError:
            log.warning("key store not reached; nobody is let in")
            raise keys_unavailable() from None
        if key is None or not looks_like_key(text):
            self._believed.pop(code, None)
            log.warning("wrong key", extra={"address": address})  # ten a minute and address at most
            raise unauthorized()
        self._quotas.give_back(f"wrong {address}", WRONG_KEYS_A_MINUTE, 0 if known else 1)
        _remember(self._believed, code, (key, time.monotonic()))
        self._note(key)
        return key

    def _note(self, key: ApiKey) -> None:
        """Write down the last use, now and then, without making anybody wait."""
        now = time.monotonic()
        if now - self._noted.get(key.key_id, -USE_NOTED_EVERY_S) >= USE_NOTED_EVERY_S:
            _remember(self._noted, key.key_id, now)
            task = asyncio.create_task(self._write_use(key.key_id))
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)

    async def _write_use(self, key_id: str) -> None:
        try:
            await asyncio.to_thread(self._keys.note_use, key_id)
        except StoreError as error:
            log.debug("use of a key not noted", extra={"reason": str(error)})

    def _still_good(self, text: str | None, send: Send) -> Send:
        """A WebSocket outlives the check at its door: what it is sent asks again."""

        async def checked(message: Message) -> None:
            if message["type"] == "websocket.send":
                try:
                    await self._admit(text, "")
                except Problem as problem:
                    if problem.status == 401:
                        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "key_revoked"})
                        raise WebSocketDisconnect(POLICY_VIOLATION) from None
            await send(message)

        return checked


def token_in(headers: Headers) -> str | None:
    """The key a request carries."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip() or None
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2] or None
        except (binascii.Error, ValueError):
            return None
    return headers.get("x-api-key") or None


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _remember(table: OrderedDict, key: object, value: object) -> None:  # type: ignore[type-arg]
    table[key] = value
    table.move_to_end(key)
    while len(table) > REMEMBERED:
        table.popitem(last=False)


def _counted(standing: Standing, send: Send) -> Send:
    async def counted(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(standing.headers())
        await send(message)

    return counted


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem.response(HTTPConnection(scope))
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="ZeroGEX"'
        response.headers.append("WWW-Authenticate", 'Basic realm="ZeroGEX: any user, the API key as password"')
    await response(scope, receive, send)


def unauthorized() -> Problem:
    """401: no key, an unknown one, a revoked one, an expired one; the answer does not tell which."""
    hint = "Send a key that is in force: Authorization: Bearer zgx_…; `zerogex keys create` makes one."
    return Problem(401, "unauthorized", "This server needs an API key, and none that is in force was sent.", hint)


def unscoped() -> Problem:
    """403: a good key, for something else."""
    detail = "This key is not for reading data."
    return Problem(403, "scope_missing", detail, "Use a key with the scope data: `zerogex keys list` shows the scopes.")


def guessing() -> Problem:
    """429: too many wrong keys from one address."""
    detail = "Too many wrong keys came from this address."
    return Problem(429, "too_many_wrong_keys", detail, "Wait a minute, then send the right one.", retry_after_s=60)


def too_many(standing: Standing) -> Problem:
    """429: the key's allowance is used up."""
    detail = f"This key may ask {standing.limit} times a minute."
    hint = "Ask less often, or follow the WebSocket /ws: it says what changes."
    return Problem(429, "rate_limited", detail, hint, retry_after_s=standing.reset_s, headers=standing.headers())


def keys_unavailable() -> Problem:
    """503: keys cannot be checked."""
    detail = "Keys cannot be checked now, so nobody is let in."
    return Problem(503, "key_store_unavailable", detail, "Try again in a few seconds.", retry_after_s=5)

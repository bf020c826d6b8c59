"""Access tokens: one refresh at a time, ahead of expiry, and the old token for as long as it lives.

Tokens expire by the machine's seconds, whatever the market's clock says.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import httpx2
import msgspec

from zerogex.errors import NotAuthorized, ProviderError, Unavailable
from zerogex.providers.tradestation import wire
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.token_file import TokenFile

log = logging.getLogger(__name__)

DEFAULT_LIFE_S = 1200.0
AHEAD_AT_MOST_S = 90.0  # before expiry; a quarter of the life for short-lived tokens
RETRY_AFTER_TROUBLE_S = 5.0  # between refreshes while the sign-in host is away and the old token lives
RETRY_AFTER_REFUSAL_S = 300.0  # a refused refresh token does not heal by asking more often
REFRESH_TIMEOUT_S = 15.0


class Credentials:
    """The access token of one account, kept fresh."""

    def __init__(
        self,
        config: TradeStationConfig,
        http: httpx2.AsyncClient,
        monotonic: Callable[[], float] = time.monotonic,
        on_change: Callable[[str], None] = lambda refusal: None,
    ) -> None:
        """`on_change` hears why the sign-in host refuses us, and an empty text when it no longer does."""
        self._config = config
        self._http = http
        self._now = monotonic
        self._file = TokenFile(config.token_file, config.refresh_token) if config.token_file else None
        self._refresh_token = config.refresh_token
        self._token: str | None = None
        self._refresh_at = self._expires_at = float("-inf")
        self._on_change = on_change
        self._refused: NotAuthorized | None = None
        self._ask_again_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """A token that is valid now.  Raises NotAuthorized or Unavailable when there is none to be had."""
        now = self._now()
        if self._token is None or now >= self._expires_at:
            await self._refresh()
        elif now >= self._refresh_at and now >= self._ask_again_at:
            self._begin()  # the old one still serves, so nobody waits
        assert self._token is not None
        return self._token

    async def refused(self, token: str) -> str:
        """The server answered 401 to this token: another one, by one refresh however many ask."""
        if token == self._token:
            await self._refresh()
        return await self.token()

    async def aclose(self) -> None:
        """Abandon a refresh under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    async def _refresh(self) -> None:
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._renew(), name="tradestation token refresh")
            self._refreshing.add_done_callback(_observe)
        return self._refreshing

    async def _renew(self) -> None:
        if self._refused is not None and self._now() < self._ask_again_at:
            raise NotAuthorized(str(self._refused))
        try:
            grant = await self._grant()
        except NotAuthorized as refusal:
            self._refused = refusal
            self._ask_again_at = self._now() + RETRY_AFTER_REFUSAL_S
            log.error("sign-in refused", extra={"reason": str(refusal), "next_try_s": RETRY_AFTER_REFUSAL_S})
            self._on_change(str(refusal))
            raise
        except ProviderError:
            self._ask_again_at = self._now() + RETRY_AFTER_TROUBLE_S
            raise
        life = grant.expires_in if grant.expires_in and 0 < grant.expires_in < 1e7 else DEFAULT_LIFE_S
        now = self._now()
        if self._refused is not None:
            log.info("sign-in accepted again")
            self._on_change("")
        self._token, self._refused = grant.access_token, None
        self._expires_at = now + life
        self._refresh_at = now + life - min(AHEAD_AT_MOST_S, life / 4)
        await self._keep(grant.refresh_token)

    async def _grant(self) -> wire.Grant:
        """Trade the refresh token; when it is refused but another process has stored a newer one, that one."""
        await self._read_file()
        used = self._refresh_token
        try:
            return await self._ask(used)
        except NotAuthorized:
            await self._read_file()
            if self._refresh_token == used:
                raise
            return await self._ask(self._refresh_token)

    async def _read_file(self) -> None:
        if self._file is not None:
            kept = await asyncio.to_thread(self._file.read)
            self._refresh_token = kept or self._refresh_token

    async def _keep(self, rotated: str | None) -> None:
        """Remember a rotated refresh token; without one the old stays good."""
        if not rotated or rotated == self._refresh_token:
            return
        self._refresh_token = rotated
        if self._file is None:
            log.warning("refresh token rotated and there is no token file to keep it in")
            return
        try:
            await asyncio.to_thread(self._file.write, rotated)
        except OSError as error:
            log.error("rotated refresh token could not be stored", extra={"reason": error.strerror})

    async def _ask(self, refresh_token: str) -> wire.Grant:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._config.client_id,
            "client_secret": self._config.client_secret,
            "refresh_token": refresh_token,
        }
        try:
            async with asyncio.timeout(min(REFRESH_TIMEOUT_S, self._config.request_timeout_s)):
                answer = await self._http.post(f"{self._config.auth_url}/oauth/token", data=form)
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            reason = type(error).__name__
            raise Unavailable(f"TradeStation token refresh: the sign-in host did not answer ({reason})") from None
        return _grant_of(answer.status_code, answer.content)


def _grant_of(status: int, body: bytes) -> wire.Grant:
    """The grant in an answer.  Raises NotAuthorized (the operator must act) or Unavailable (try again)."""
    try:
        grant = wire.GRANT.decode(body)
    except msgspec.DecodeError:
        grant = wire.Grant()
    if status == 200 and grant.access_token and _can_be_sent(grant.access_token):
        return grant
    if 400 <= status < 500 and status not in (408, 429):
        raise NotAuthorized(_advice(status, grant.error))
    raise Unavailable(f"TradeStation token refresh: the sign-in host answered {status}; the old token stays in use")


def _can_be_sent(token: str) -> bool:
    """Whether a token fits in a header; one that does not would be quoted in somebody's error."""
    return token.isascii() and token.isprintable() and " " not in token


def _advice(status: int, code: str | None) -> str:
    named = code if code and code.replace("_", "").isalnum() else f"HTTP {status}"
    if code == "invalid_grant":
        return (
            "TradeStation token refresh: the refresh token is expired or revoked (invalid_grant); "
            "sign in again and set TRADESTATION_REFRESH_TOKEN to the new one"
        )
    return (
        f"TradeStation token refresh: the credentials are refused ({named}); "
        "check TRADESTATION_CLIENT_ID, TRADESTATION_CLIENT_SECRET and TRADESTATION_REFRESH_TOKEN"
    )


def _observe(task: asyncio.Task[None]) -> None:
    """A failure nobody awaits is still said once."""
    if task.cancelled() or (error := task.exception()) is None:
        return
    if not isinstance(error, NotAuthorized):  # a refusal was said when it was heard
        log.warning("token refresh failed", extra={"reason": str(error)})

"""One REST request: admitted, authorized, bounded in time and size, tried again where that helps."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from zerogex.errors import ProviderError, RateLimited, Unavailable
from zerogex.providers.tradestation import answers
from zerogex.providers.tradestation.auth import Credentials
from zerogex.providers.tradestation.config import TradeStationConfig, is_loopback
from zerogex.providers.tradestation.quota import Governor, Quota

log = logging.getLogger(__name__)

LARGEST_BODY = 32 << 20  # bytes; 57,600 bars are about 18 MB
LONGEST_PAUSE_S = 30.0
CONNECT_TIMEOUT_S = 10.0


def open_client(config: TradeStationConfig) -> httpx2.AsyncClient:
    """A connection pool that verifies certificates, follows no redirect, and knows no proxy for loopback."""
    host = httpx2.URL(config.api_url).host
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(config.request_timeout_s, connect=min(CONNECT_TIMEOUT_S, config.request_timeout_s)),
        limits=httpx2.Limits(max_connections=config.max_streams + 10, max_keepalive_connections=10),
        headers={"Accept": "application/json", "User-Agent": "zerogex"},
        follow_redirects=False,
        trust_env=not is_loopback(host),
    )


class Rest:
    """GET and its troubles.  Every error names the request and what was asked for."""

    def __init__(
        self,
        config: TradeStationConfig,
        http: httpx2.AsyncClient,
        credentials: Credentials,
        governor: Governor,
        on_limit: Callable[[str, str], None] = lambda group, detail: None,
    ) -> None:
        self._config = config
        self._http = http
        self._credentials = credentials
        self._governor = governor
        self._on_limit = on_limit
        # headers of every answer, and how long they took; assignable
        self.on_headers: Callable[[Mapping[str, str], float], None] = lambda headers, seconds: None
        # (endpoint, "ok" or the error's class, seconds) of every request; assignable
        self.on_request: Callable[[str, str, float], None] = lambda endpoint, outcome, seconds: None

    async def get(self, path: str, group: str, subject: str, **params: Any) -> bytes | None:
        """The body of a 200, None where the vendor has no data.  `path` is encoded and begins with /v3."""
        failure: ProviderError
        attempt = 0
        while True:
            place = await self._governor.admit(group)
            try:
                return await self._measured(path, group, subject, params)
            except RateLimited as error:
                failure = error
                wait = error.retry_after_s
                self._governor.ban(group, self._pause(attempt) if wait is None else wait)
                self._on_limit(group, str(error))
                pause = 0.0  # the governor holds everybody of the group back
            except Unavailable as error:
                failure = error
                pause = random.uniform(0.0, self._pause(attempt))
            finally:
                self._governor.answered(group, place)
            if attempt >= self._config.retry_attempts:
                raise failure
            attempt += 1
            log.info("request tried again", extra={"request": group, "attempt": attempt, "reason": str(failure)})
            await asyncio.sleep(pause)

    def _pause(self, attempt: int) -> float:
        return min(self._config.retry_delay_s * self._config.retry_backoff**attempt, LONGEST_PAUSE_S)

    async def _measured(self, path: str, group: str, subject: str, params: Mapping[str, Any]) -> bytes | None:
        began, outcome = time.monotonic(), "ok"
        try:
            return await self._once(path, group, subject, params)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self.on_request(group, outcome, time.monotonic() - began)

    async def _once(self, path: str, group: str, subject: str, params: Mapping[str, Any]) -> bytes | None:
        token = await self._credentials.token()
        status, headers, body = await self._fetch(path, group, params, token)
        if status == 401:
            token = await self._credentials.refused(token)
            place = await self._governor.admit(group)  # the refused request counted, too
            status, headers, body = await self._fetch(path, group, params, token)
            self._governor.answered(group, place)
        if status == 200:
            self._governor.ban(group, answers.spent_s(headers))
            if (quota := answers.announced(headers)) is not None:
                self._governor.learn(group, Quota(*quota))
            if answers.is_web_page(body):
                raise answers.wrong_body(body, group, subject)
            return body
        if answers.no_data(status, body):
            return None
        raise answers.error_of(status, headers, body, group, subject)

    async def _fetch(
        self, path: str, group: str, params: Mapping[str, Any], token: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self._http.is_closed:
            raise ProviderError(f"TradeStation {group}: the client is closed")
        url = self._config.api_url + path
        headers, began = {"Authorization": f"Bearer {token}"}, time.monotonic()
        try:
            async with (
                asyncio.timeout(self._config.request_timeout_s),
                self._http.stream("GET", url, params=params or None, headers=headers) as answer,
            ):
                self.on_headers(answer.headers, time.monotonic() - began)
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_BODY:
                        raise ProviderError(f"TradeStation {group}: an answer of more than {LARGEST_BODY >> 20} MiB")
                return answer.status_code, answer.headers, bytes(body)
        except TimeoutError:
            limit = self._config.request_timeout_s
            raise Unavailable(f"TradeStation {group}: no whole answer within {limit:g} s") from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise Unavailable(f"TradeStation {group}: {trouble(error)}") from None


def trouble(error: Exception) -> str:
    """What went wrong on the way, without what was sent: a header refused by our side holds the token."""
    said = str(error)[:200] if isinstance(error, httpx2.ConnectError) else ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__

"""What the routes share: the market, its clock, the switchboard, the ledger, tokens and quotas."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from zerogex.clock import ScaledClock
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.faults import Faults
from zerogex.simulator.ledger import Ledger
from zerogex.simulator.market import Market
from zerogex.simulator.wire import encode, stamp

# (requests, seconds) of each resource, as published in mid-2026.
QUOTAS = {
    "quote-snapshot": (500, 300), "quote-change-stream": (500, 300), "barcharts": (500, 300),
    "stream-barcharts": (500, 300), "option-expirations": (90, 60), "option-strikes": (90, 60),
    "option-chains": (90, 60), "option-quotes": (90, 60), "option-riskreward": (90, 60),
    "option-spreadtypes": (90, 60), "market-depth": (30, 60), "symbols": (500, 300),
}  # fmt: skip
_GENEROUS = 1_000_000


class Refused(Exception):
    """A request answered with an error body."""

    def __init__(self, status: int, error: str, message: str | None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> Response:
        body = {"Error": self.error, "Message": self.message} if self.message is not None else {"Error": self.error}
        return reply(body, self.status, self.headers)


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(encode(body), status, headers, media_type="application/json")


@dataclass(slots=True)
class Quota:
    """A fixed window of requests of one resource, from its first request."""

    limit: int
    period_s: int
    used: int = 0
    opened: float = -math.inf

    def take(self) -> bool:
        now = time.monotonic()
        if now - self.opened >= self.period_s:
            self.opened, self.used = now, 0
        self.used += 1
        return self.used <= self.limit

    @property
    def reset_s(self) -> int:
        return max(1, math.ceil(self.period_s - (time.monotonic() - self.opened)))


class Exchange:
    """The state of one simulator."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.market = Market(config.seed, config.start, config.chains)
        start = config.start or self.market.start_of(config.chains)
        self.clock = ScaledClock(start.replace(microsecond=0), datetime.now(UTC), config.speed)
        self.faults: Faults = config.faults
        self.ledger = Ledger()
        self.tokens: dict[str, float] = {}  # access token → monotonic expiry
        self.codes: set[str] = set()
        self.refresh_tokens: set[str] = {config.refresh_token}
        self.dead_refresh_tokens: set[str] = set()
        self._statuses_given = 0
        self._token_statuses_given = 0
        self.closing = asyncio.Event()
        self.hang_up: Callable[[Any], None] = lambda peer: None  # the server's way to break a connection
        self._quotas: dict[str, Quota] = {}
        self._quota_kind = ("", 0)

    def switch(self, faults: Faults) -> None:
        """Throw the switches anew; counted faults start counting again."""
        if faults.revoke_tokens:
            self.tokens.clear()
            faults.revoke_tokens = False
        self.faults = faults
        self._statuses_given = self._token_statuses_given = 0

    def failing_status(self, path: str) -> int:
        """The status a request must fail with now; 0 for none."""
        faults = self.faults
        if not faults.status or faults.status_path not in path or 0 < faults.status_count <= self._statuses_given:
            return 0
        self._statuses_given += 1
        return faults.status

    def failing_token(self) -> int:
        """The status a token request must fail with now; 0 for none."""
        faults = self.faults
        if not faults.token_status or 0 < faults.token_status_count <= self._token_statuses_given:
            return 0
        self._token_statuses_given += 1
        return faults.token_status

    def now(self) -> datetime:
        """The market's time."""
        return self.clock.now()

    def clock_fields(self) -> dict[str, Any]:
        """What engines need to live by this market's clock."""
        return {
            "simulated": True, "market_anchor": self.clock.market_anchor.isoformat(),
            "wall_anchor": self.clock.wall_anchor.isoformat(), "speed": self.clock.speed, "now": stamp(self.now()),
            "seed": self.config.seed, "chains": sorted(self.market.seeds),
        }  # fmt: skip

    def authorize(self, header: str) -> None:
        """Check a bearer token; raises Refused 401."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or self.tokens.get(token.strip(), 0.0) <= time.monotonic():
            raise Refused(401, "Unauthorized", "The access token is missing, invalid or expired")

    def charge(self, resource: str) -> dict[str, str]:
        """Count a request against its quota; the headers to answer with.  Raises Refused 429 beyond it."""
        kind = (self.faults.quotas, self.faults.quota_period_s)
        if self._quota_kind != kind:
            self._quotas, self._quota_kind = {}, kind
        limit, period = QUOTAS[resource]
        period = self.faults.quota_period_s or period
        if self.faults.quotas != "documented":
            limit = _GENEROUS
        quota = self._quotas.setdefault(resource, Quota(limit, period))
        allowed = quota.take()
        headers = {
            "X-RateLimit-Limit": str(quota.limit), "X-RateLimit-Remaining": str(max(quota.limit - quota.used, 0)),
            "X-RateLimit-Reset": self.faults.quota_reset or str(quota.reset_s),
            "X-RateLimit-Period": str(quota.period_s), "X-RateLimit-Resource": resource,
        }  # fmt: skip
        if not allowed:
            self.ledger.violations[resource] += 1
            raise Refused(429, "TooManyRequests", "Rate quota exceeded", **headers)
        return headers

"""How often a key may ask, and how often a stranger may guess: buckets that fill by the second."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

PERIOD_S = 60.0
MAX_BUCKETS = 10_000  # the longest unused is forgotten first


@dataclass(slots=True)
class Bucket:
    """What is left of a minute's allowance."""

    left: float
    at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one allowance after a request."""

    allowed: bool
    limit: int  # requests a minute
    remaining: int
    reset_s: int  # until one more request, where none is left; otherwise until the bucket is full

    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy` of the IETF draft, and the older names many clients read."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={PERIOD_S:.0f}',
            "RateLimit": f'"minute";r={self.remaining};t={self.reset_s}',
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }


class Quotas:
    """One bucket a name; a full one lets a minute's allowance through at once."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, name: str, limit: int, cost: int = 1) -> Standing:
        """Use `cost` of a name's `limit` a minute; nothing is used where it does not suffice."""
        now = self._now()
        bucket = self._buckets.setdefault(name, Bucket(float(limit), now))
        self._buckets.move_to_end(name)
        while len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.left = min(bucket.left + (now - bucket.at) * limit / PERIOD_S, float(limit))
        bucket.at = now
        allowed = bucket.left >= cost
        if allowed:
            bucket.left -= cost
        missing = (limit if allowed else max(cost, 1)) - bucket.left
        return Standing(allowed, limit, int(bucket.left), max(math.ceil(missing * PERIOD_S / limit), 0))

    def give_back(self, name: str, limit: int, amount: int) -> None:
        """Take back a use that turned out not to count."""
        bucket = self._buckets.get(name)
        if bucket is not None:
            bucket.left = min(bucket.left + amount, float(limit))

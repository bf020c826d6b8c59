"""The vendor's request quotas, kept on our side so that its 429 stays a rarity.

Windows are real seconds.  Groups are the vendor's resources: exhausting one does not hold up
another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from zerogex.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `requests` in any `window_s` seconds."""

    requests: int
    window_s: float


OPTIONS, QUOTES = Quota(90, 60.0), Quota(500, 300.0)
QUOTAS = {
    "options/expirations": OPTIONS,
    "options/strikes": OPTIONS,
    "stream/options/chains": OPTIONS,
    "marketdepth": Quota(30, 60.0),
}


@dataclass(slots=True)
class _Group:
    quota: Quota
    sent: deque[float] = field(default_factory=deque)
    blocked_until: float = float("-inf")


class Governor:
    """Lets a request of a group pass when its quota allows."""

    def __init__(self, patience_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._now = monotonic
        self._groups: dict[str, _Group] = {}

    async def admit(self, group: str) -> None:
        """Wait for a place in the window.  Raises RateLimited where the vendor's own ban outlasts our patience."""
        state = self._group(group)
        while (wait := self._wait(state)) > 0:
            banned = state.blocked_until - self._now()
            if banned > self._patience_s:
                raise RateLimited(f"TradeStation {group} is over its quota; wait {banned:.0f} s", banned)
            await asyncio.sleep(wait)
        state.sent.append(self._now())

    def ban(self, group: str, seconds: float) -> None:
        """The vendor said 429: nobody of this group asks again before that."""
        state = self._group(group)
        state.blocked_until = max(state.blocked_until, self._now() + seconds)

    def learn(self, group: str, quota: Quota) -> None:
        """The vendor announced its quota, which may differ from the published one."""
        self._group(group).quota = quota

    def _group(self, group: str) -> _Group:
        return self._groups.setdefault(group, _Group(QUOTAS.get(group, QUOTES)))

    def _wait(self, state: _Group) -> float:
        now, quota = self._now(), state.quota
        while state.sent and state.sent[0] <= now - quota.window_s:
            state.sent.popleft()
        full = state.sent[0] + quota.window_s - now if len(state.sent) >= quota.requests else 0.0
        return max(full, state.blocked_until - now)

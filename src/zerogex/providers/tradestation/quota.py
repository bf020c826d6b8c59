"""The vendor's request quotas, kept on our side so that its 429 stays a rarity.

Windows are real seconds.  Groups are the vendor's resources: exhausting one does not hold up another.

The vendor counts a request when it arrives, somewhere between our sending it and our having its answer.  A
place in the window is therefore taken from the one until a window after the other, so that no request
that was slow on its way counts beside those of a later window.

The vendor counts an account: all its processes count together where they share a database (`RequestQuotas`).
While that is away each counts alone, and the vendor's own headers are the brake.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from zerogex.errors import RateLimited, StoreError
from zerogex.ports import RequestQuotas, Turn

log = logging.getLogger(__name__)
T = TypeVar("T")

ASK_TIMEOUT_S = 3.0  # for the database; a request does not wait longer for a count
AWAY_S = 10.0  # after trouble with the database, before it is asked again
LEAST_WAIT_S = 0.02  # between two wishes that the other processes leave no room for
SHARED_AT_MOST = 10_000  # a quota of more requests needs no keeper


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


def account_of(client_id: str, api_url: str) -> str:
    """A name for an account that tells nothing of it: windows are counted by key, at one host."""
    return hashlib.sha256(f"{api_url} {client_id}".encode()).hexdigest()[:32]


class SharedQuota:
    """What the account's other processes sent, too; silent while the database is away."""

    def __init__(self, quotas: RequestQuotas, account: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._quotas = quotas
        self._account = account
        self._now = monotonic
        self._away_until = float("-inf")
        self._told: set[asyncio.Task[object]] = set()

    async def take(self, group: str, quota: Quota) -> Turn | None:
        """A turn counted for all; None where nobody can say."""
        if quota.requests > SHARED_AT_MOST or self._now() < self._away_until:
            return None
        return await self._patiently(
            asyncio.to_thread(self._quotas.take, self._account, group, quota.requests, quota.window_s)
        )

    def settle(self, group: str, granted_at: datetime) -> None:
        """A granted request has its answer."""
        self._tell(asyncio.to_thread(self._quotas.settle, self._account, group, granted_at))

    def ban(self, group: str, seconds: float) -> None:
        """The vendor's word holds for all."""
        if seconds > 0 and self._now() >= self._away_until:
            self._tell(asyncio.to_thread(self._quotas.ban, self._account, group, seconds))

    async def aclose(self) -> None:
        """Wait for what is being told."""
        await asyncio.gather(*self._told)

    def _tell(self, call: Coroutine[Any, Any, None]) -> None:
        """Say it in the background: nobody waits for that."""
        task: asyncio.Task[object] = asyncio.create_task(self._patiently(call))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _patiently(self, call: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                return await call
        except (StoreError, TimeoutError) as error:
            if self._now() >= self._away_until:
                reason = str(error) or "no answer in time"
                log.warning("requests are counted by this process alone", extra={"reason": reason})
            self._away_until = self._now() + AWAY_S
            return None


@dataclass(slots=True)
class _Group:
    quota: Quota
    sent: deque[Place] = field(default_factory=deque)  # ascending by `taken_at`
    blocked_until: float = float("-inf")


@dataclass(slots=True, eq=False)
class Place:
    """One request's place in the windows: here, and among all processes where it was counted there."""

    taken_at: float
    granted_at: datetime | None = None


class Governor:
    """Lets a request of a group pass when its quota allows."""

    def __init__(
        self,
        patience_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        shared: SharedQuota | None = None,
    ) -> None:
        self._patience_s = patience_s
        self._now = monotonic
        self._shared = shared
        self._groups: dict[str, _Group] = {}

    async def admit(self, group: str) -> Place:
        """Wait for a place in the window, to be handed to `answered` in the end.

        Raises RateLimited where the vendor's own ban outlasts our patience.
        """
        state = self._group(group)
        while True:
            wait = self._wait(state)
            if wait <= 0:
                place, wait = await self._share(group, state)
            if wait <= 0:
                return place
            banned = state.blocked_until - self._now()
            if banned > self._patience_s:
                raise RateLimited(f"TradeStation {group} is over its quota; wait {banned:.0f} s", banned)
            await asyncio.sleep(wait)

    def answered(self, group: str, place: Place) -> None:
        """A request ended, however it did: it has reached the vendor by now, if it ever did."""
        state = self._group(group)
        if place in state.sent:
            state.sent.remove(place)
        place.taken_at = self._now()
        state.sent.append(place)
        if self._shared is not None and place.granted_at is not None:
            self._shared.settle(group, place.granted_at)

    def ban(self, group: str, seconds: float) -> None:
        """The vendor said 429: nobody of this group asks again before that."""
        self._block(self._group(group), seconds)
        if self._shared is not None:
            self._shared.ban(group, seconds)

    def learn(self, group: str, quota: Quota) -> None:
        """The vendor announced its quota, which may differ from the published one."""
        self._group(group).quota = quota

    async def aclose(self) -> None:
        """Wait for what is being told to other processes."""
        if self._shared is not None:
            await self._shared.aclose()

    async def _share(self, group: str, state: _Group) -> tuple[Place, float]:
        """Take a place here, and among all processes; with the seconds to wait where those leave none."""
        place = Place(self._now())
        state.sent.append(place)  # before anybody else of this process is let through
        turn = None if self._shared is None else await self._shared.take(group, state.quota)
        if turn is None:
            return place, 0.0
        place.granted_at = turn.granted_at
        if turn.granted_at is not None:
            return place, 0.0
        with suppress(ValueError):  # it may have left the window meanwhile
            state.sent.remove(place)
        self._block(state, turn.banned_s)
        return place, max(turn.wait_s, turn.banned_s, LEAST_WAIT_S)

    def _block(self, state: _Group, seconds: float) -> None:
        state.blocked_until = max(state.blocked_until, self._now() + seconds)

    def _group(self, group: str) -> _Group:
        return self._groups.setdefault(group, _Group(QUOTAS.get(group, QUOTES)))

    def _wait(self, state: _Group) -> float:
        now, quota = self._now(), state.quota
        while state.sent and state.sent[0].taken_at <= now - quota.window_s:
            state.sent.popleft()
        full = state.sent[0].taken_at + quota.window_s - now if len(state.sent) >= quota.requests else 0.0
        return max(full, state.blocked_until - now)

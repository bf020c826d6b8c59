"""Blocking calls from asyncio, and patience with a database or vendor that is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from zerogex.errors import StoreUnavailable
from zerogex.ports import Store

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
LAST_ANSWERS_S = 4.0  # whoever started us kills us after 20 or 30


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread`, but a cancellation waits for the thread: two writes never overlap."""
    return await to_its_end(asyncio.to_thread(call, *args, **kwargs))


class OwnThread:
    """A thread for one owner's calls, which never wait for a place behind calls that hang."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `in_thread`."""
        work = partial(call, *args, **kwargs)
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self._executor, work))

    def close(self) -> None:
        """No more calls."""
        self._executor.shutdown(wait=False)


async def to_its_end(call: Awaitable[T]) -> T:
    """Something that is not left half done: a cancellation, or several, waits for its end."""
    work = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        work.exception()  # nobody waits for it any more
        raise


def first_of(error: BaseException, kind: type[E]) -> E | None:
    """The first error of a kind: the error itself, or one in the tree that task groups make of several."""
    while isinstance(error, BaseExceptionGroup):
        ours, _ = error.split(kind)
        if ours is None:
            return None
        error = ours.exceptions[0]
    return error if isinstance(error, kind) else None


class Backoff:
    """Pauses that double up to a limit, in real seconds; a success starts again from the first."""

    def __init__(self, longest_s: float = LONGEST_PAUSE_S) -> None:
        self._next_s, self._longest_s = FIRST_PAUSE_S, longest_s

    def reset(self) -> None:
        """Something worked."""
        self._next_s = FIRST_PAUSE_S

    async def pause(self, at_least_s: float = 0.0) -> None:
        """Wait before trying again."""
        wait_s = max(self._next_s, at_least_s)
        self._next_s = min(2 * self._next_s, self._longest_s)
        await asyncio.sleep(wait_s)


class Absence:
    """A database that is away: said once, and once more when it is back, however often it is tried meanwhile."""

    def __init__(self, log: logging.Logger, phrase: str, **fields: object) -> None:
        self._log, self._phrase, self._fields = log, phrase, fields
        self._since: float | None = None

    def goes_on(self, error: BaseException) -> None:
        """It did not answer."""
        if self._since is None:
            self._since = time.monotonic()
            self._log.warning(self._phrase, extra={**self._fields, "error": str(error)})

    def is_over(self) -> None:
        """It answered."""
        if self._since is not None:
            after_s = round(time.monotonic() - self._since, 1)
            self._since = None
            self._log.info("store available again", extra={**self._fields, "after_s": after_s})

    async def outlast(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `in_thread`; asked again until the database answers."""
        backoff = Backoff()
        while True:
            try:
                answer = await in_thread(call, *args, **kwargs)
            except StoreUnavailable as error:
                self.goes_on(error)
                await backoff.pause()
            else:
                self.is_over()
                return answer


async def hurry_at_the_end(store: Store) -> None:
    """Beside other tasks of a group: once they are cancelled, a database that hangs does not hold them up."""
    try:
        await asyncio.Event().wait()
    finally:
        store.hurry(LAST_ANSWERS_S)


class Bell:
    """Rung from any thread, heard by one task of an event loop; ringing that nobody heard yet is not lost."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits, now or at the next `wait`."""
        if self._loop is None:
            self._rung.set()
            return
        with suppress(RuntimeError):  # the loop closed under us
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, longest_s: float) -> None:
        """Until it is rung, or for so long."""
        self._loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), longest_s)
        self._rung.clear()

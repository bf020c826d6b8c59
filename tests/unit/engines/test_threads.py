"""Blocking work from asyncio."""

import asyncio
import logging
import threading

import pytest

from zerogex.engines import threads
from zerogex.engines.threads import Absence, Backoff, in_thread
from zerogex.errors import StoreUnavailable


async def test_work_in_a_thread_gives_its_result_or_its_error():
    assert await in_thread(max, 3, 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_and_the_next_ones_wait_until_the_thread_is_done(fails):
    may_end, ended = threading.Event(), threading.Event()

    def work():
        may_end.wait(10)
        ended.set()
        if fails:
            raise OSError("too late to matter")

    task = asyncio.ensure_future(in_thread(work))
    for _ in range(3):
        await asyncio.sleep(0.01)
        task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_pauses_double_up_to_a_limit_and_start_anew_after_a_success(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(threads.asyncio, "sleep", sleep)
    backoff = Backoff()
    for _ in range(8):
        await backoff.pause()
    await backoff.pause(at_least_s=60.0)
    backoff.reset()
    await backoff.pause()
    assert slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 60.0, 0.25]
    slept.clear()
    backoff = Backoff(longest_s=3.0)
    for _ in range(6):
        await backoff.pause()
    assert slept == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_an_absence_is_said_when_it_begins_and_when_it_is_over_and_not_between(caplog):
    caplog.set_level("INFO")
    absence = Absence(logging.getLogger("zerogex.test"), "store unavailable, tea waits", underlying="SPX")
    absence.is_over()
    assert caplog.messages == []
    for _ in range(2):
        for reason in ("refused", "timeout"):
            absence.goes_on(StoreUnavailable(reason))
        absence.is_over()
        absence.is_over()
    first, back = caplog.records[:2]
    assert caplog.messages == ["store unavailable, tea waits", "store available again"] * 2
    assert (first.levelname, first.error, first.underlying) == ("WARNING", "refused", "SPX")
    assert (back.levelname, back.underlying) == ("INFO", "SPX") and back.after_s >= 0.0

"""What every long-running command shares: settings with overrides, signals, errors out of task groups."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Mapping
from typing import Any

from zerogex import logs, settings
from zerogex.cli import systemd
from zerogex.cli.allocator import give_back_what_is_free
from zerogex.errors import ZerogexError
from zerogex.settings import Loaded

log = logging.getLogger(__name__)

STOPPED_TWICE = 130
COMPUTING = frozenset({"ingest", "analyze"})  # services that use the kernels


def load_with(overrides: Mapping[str, object]) -> Loaded:
    """The settings, with options of the command line (None: not given) put over the environment.

    The environment is changed too, so that child processes and reloads see the same.
    """
    os.environ.update({name.upper(): str(value) for name, value in overrides.items() if value is not None})
    return settings.load()


def start(service: str, overrides: Mapping[str, object], *, debug: bool = False) -> Loaded:
    """Settings read, logging and memory configured, as an engine's first act."""
    give_back_what_is_free()
    loaded = load_with({**overrides, "log_level": "DEBUG" if debug else None})
    logs.configure(loaded.settings, service=service)
    if service in COMPUTING:
        say_if_compiling()
    return loaded


def say_if_compiling() -> None:
    """One line of log where the kernels have no machine code yet: the first computation will take a while."""
    from zerogex.pricing.fused import is_compiled

    if not is_compiled():
        log.info("compiling kernels", extra={"reason": "first start after an installation", "usual_s": 30})


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or until SIGINT or SIGTERM asks it to drain; a second signal stops at once.

    Raises the first ZerogexError found in what the work raises, however deep task groups nest it.
    """
    try:
        asyncio.run(_with_signals(work))
    except BaseExceptionGroup as group:
        found = first_of_ours(group)
        if found is None:
            raise
        raise found from group


async def _with_signals(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    life = asyncio.ensure_future(systemd.keep_alive())
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(STOPPED_TWICE)
        asked = True
        systemd.stopping()
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
    finally:
        life.cancel()


def first_of_ours(group: BaseExceptionGroup[BaseException]) -> ZerogexError | None:
    """The first ZerogexError in a tree of exceptions, if every leaf is one (anything else is a bug to be seen)."""
    ours, others = group.split(ZerogexError)
    if ours is None or others is not None:
        return None
    found: BaseException = ours
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, ZerogexError)
    return found

"""Runs child processes as one: started in order, restarted when they fall, drained together.

Knows nothing of what its children do.  Each runs in a session of its own, so a terminal's Ctrl-C
reaches the supervisor alone, which then asks every child once, by SIGTERM, to drain.  On Linux
the kernel asks them too (PR_SET_PDEATHSIG) when the supervisor itself is killed.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 30.0  # a child that ran this long starts again from the first pause
_LINE_MAX = 1 << 20
_TURN_S = 2.0
_PR_SET_PDEATHSIG = 1

Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Service:
    """One child: what to run, and how to know that it is ready."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None  # None: inherited
    # A pattern on a line of its output, or a question asked again and again; None: ready when started.
    ready: re.Pattern[str] | Probe | None = None
    restart: bool = True
    ready_within_s: float = 60.0
    fatal_codes: frozenset[int] = frozenset()  # exit codes that starting again cannot mend
    sockets: Sequence[socket.socket] = ()  # it inherits these, under their numbers here


@dataclass(slots=True, eq=False)
class _Child:
    service: Service
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    readers: list[asyncio.Task[None]] = field(default_factory=list)


class NotReady(Exception):
    """A service ended, or stayed silent too long, before it was ready."""


class Supervisor:
    """Starts services in order and keeps them; `emit` receives each line of their output with its service's name."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        emit: Callable[[str, str], None] | None = None,
        on_ready: Callable[[Service], None] | None = None,
        drain_s: float = 20.0,
    ) -> None:
        self.services = tuple(services)
        self.drain_s = drain_s
        self._emit = emit or _print_line
        self._on_ready = on_ready or (lambda service: None)
        self._children: dict[str, _Child] = {}
        self._stop = asyncio.Event()
        self._killed = False
        self._exit_code = 0

    async def run(self, *, handle_signals: bool = True) -> int:
        """Run until a signal, `stop`, or a child that must not be started again ends; returns the exit code.

        0 after a clean drain; a fallen child's own code where it ended the run; 1 where a child had
        to be killed at the deadline; 130 after a second signal.
        """
        loop = asyncio.get_running_loop()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
        keepers: list[asyncio.Task[None]] = []
        try:
            for service in self.services:
                child = self._children[service.name] = _Child(service)
                keepers.append(asyncio.ensure_future(self._keep(child)))
                if not await self._wait_ready(child):
                    break
                self._on_ready(service)
            await self._stop.wait()
        finally:
            await asyncio.shield(self._drain(keepers))
            if handle_signals:
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(number)
        return self._exit_code

    def stop(self) -> None:
        """Ask every child to drain; asked a second time, kill them."""
        if not self._stop.is_set():
            self._stop.set()
            return
        self._killed = True
        self._exit_code = 130
        for child in self._children.values():
            _signal(child, signal.SIGKILL)

    # -- starting and keeping --------------------------------------------------------------------

    async def _wait_ready(self, child: _Child) -> bool:
        """Whether a child became ready before the run was stopped."""
        ready = asyncio.ensure_future(child.ready.wait())
        stopped = asyncio.ensure_future(self._stop.wait())
        waiting = {ready, stopped}
        try:
            done, _ = await asyncio.wait(
                waiting, timeout=child.service.ready_within_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in waiting:
                task.cancel()
        if not done:
            log.error("service not ready in time", extra={"service": child.service.name})
            self._end(1)
        return ready in done and not self._stop.is_set()

    async def _keep(self, child: _Child) -> None:
        """Run one child again and again until the run stops."""
        pause_s = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            try:
                code = await self._run_once(child)
            except OSError as error:
                log.error("service cannot start", extra={"service": child.service.name, "error": str(error)})
                self._end(127)
                return
            if self._stop.is_set():
                return
            if not child.service.restart or code in child.service.fatal_codes:
                log.error("service ended", extra={"service": child.service.name, "code": code})
                self._end(_exit_code_of(code))
                return
            if loop.time() - began >= _STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.warning(
                "service ended, starting again",
                extra={"service": child.service.name, "code": code, "pause_s": pause_s},
            )
            try:
                await asyncio.wait_for(self._stop.wait(), pause_s)
            except TimeoutError:
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _run_once(self, child: _Child) -> int:
        service = child.service
        process = child.process = await asyncio.create_subprocess_exec(
            *service.argv,
            env=dict(service.env) if service.env is not None else None,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_MAX,
            start_new_session=True,
            pass_fds=[each.fileno() for each in service.sockets],
            preexec_fn=_die_with_parent(os.getpid()),
        )
        assert process.stdout is not None and process.stderr is not None
        if self._stop.is_set():  # asked to stop while it was being started
            _signal(child, signal.SIGTERM)
        if service.ready is None:
            child.ready.set()
        child.readers = [
            asyncio.ensure_future(self._forward(child, stream)) for stream in (process.stdout, process.stderr)
        ]
        probe = service.ready if not isinstance(service.ready, re.Pattern) else None
        asking = asyncio.ensure_future(self._ask(child, probe)) if probe is not None else None
        try:
            code = await process.wait()
        finally:
            if asking is not None:
                asking.cancel()
        await asyncio.wait(child.readers, timeout=2.0)  # a grandchild may hold the pipe open
        for reader in child.readers:
            reader.cancel()
        return code

    async def _ask(self, child: _Child, probe: Probe) -> None:
        while not child.ready.is_set():
            if await probe():
                child.ready.set()
                return
            await asyncio.sleep(0.1)

    async def _forward(self, child: _Child, stream: asyncio.StreamReader) -> None:
        pattern = child.service.ready
        while True:
            try:
                raw = await stream.readline()
            except ValueError:  # a line beyond the limit: asyncio has dropped it
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self._emit(child.service.name, line)
            if isinstance(pattern, re.Pattern) and not child.ready.is_set() and pattern.search(line):
                child.ready.set()

    # -- ending ----------------------------------------------------------------------------------

    def _end(self, code: int) -> None:
        self._exit_code = self._exit_code or code
        self._stop.set()

    async def _drain(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """Ask every child once, those started last first; kill what is left at the deadline.

        A child that others lean on is asked a little later than they, and never waits long for its turn.
        """
        self._stop.set()
        if not keepers:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.drain_s
        for child, keeper in reversed(list(zip(self._children.values(), keepers, strict=True))):
            if not self._killed:
                _signal(child, signal.SIGTERM)
                await asyncio.wait([keeper], timeout=min(_TURN_S, self.drain_s / len(keepers)))
        _, pending = await asyncio.wait(keepers, timeout=max(deadline - loop.time(), 0.0))
        if pending:
            left = [child.service.name for child in self._children.values() if _is_running(child)]
            log.error("services did not drain in time", extra={"services": ",".join(left), "drain_s": self.drain_s})
            self._exit_code = self._exit_code or 1
            for child in self._children.values():
                _signal(child, signal.SIGKILL)
            await asyncio.wait(pending, timeout=5.0)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


def _is_running(child: _Child) -> bool:
    return child.process is not None and child.process.returncode is None


def _signal(child: _Child, number: signal.Signals) -> None:
    if _is_running(child):
        assert child.process is not None
        try:
            child.process.send_signal(number)
        except ProcessLookupError:
            return


def _exit_code_of(code: int) -> int:
    """A child's code as ours: one killed by a signal counts as 128 + its number, as a shell has it."""
    return 128 - code if code < 0 else code


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """What a new child does before anything else: ask the kernel for SIGTERM when its parent dies (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(128 + signal.SIGTERM)

    return ask


def _print_line(name: str, line: str) -> None:
    sys.stderr.write(f"{name:<9} {line}\n")
    sys.stderr.flush()

"""The platform as a person runs it, in a home of its own, and what the kernel says of its processes (Linux)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

ENGINES = ("ingest", "analyze", "serve")
PATIENCE_S = 180.0  # the first start of all compiles kernels
_OURS = re.compile(r"(TRADESTATION|DB|STREAM|SERVE|ANALYTICS|METRICS|LOG|API|ZEROGEX)_")
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment."""

    rss_mb: float  # resident, what it shares with others included
    cpu_s: float  # since it began
    threads: int
    files: int  # open descriptors


def usage(pid: int) -> Usage:
    """What a process uses now.  Raises OSError where it has ended."""
    folder = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    files = sum(1 for _ in (folder / "fd").iterdir())
    return Usage(int(status.get("VmRSS", "0 kB").split()[0]) / 1024, _cpu_s(pid), int(status["Threads"]), files)


def family(pid: int) -> Usage:
    """A process with all its children, in CPU time also those that ended; memory they share counts each time."""
    own = usage(pid)
    rss_mb, cpu_s = own.rss_mb, _cpu_s(pid, ended=True)
    for child in descendants(pid):
        with suppress(OSError):
            rss_mb += usage(child).rss_mb
            cpu_s += _cpu_s(child)
    return Usage(rss_mb, cpu_s, own.threads, own.files)


def _cpu_s(pid: int, ended: bool = False) -> float:
    times = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in times[11 : 15 if ended else 13]) / _TICKS


def shared_mb(pids: Sequence[int]) -> float:
    """Memory of several processes, what they share counted once; 0 where the kernel does not say."""
    total = 0
    for pid in pids:
        try:
            lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def descendants(pid: int) -> list[int]:
    """A process's children and theirs."""
    found = []
    for task in (Path("/proc") / str(pid) / "task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


class Platform:
    """`zerogex up` against a feed, with an embedded PostgreSQL; ends and leaves nothing behind.

    `settings` are environment variables.  The metrics of the three engines are at `metrics_port` and the two after it.
    """

    def __init__(self, settings: Mapping[str, str], options: Sequence[str] = (), home: Path | None = None) -> None:
        self._made = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="zerogex-load-"))
        self.metrics_port = free_ports(3)
        clean = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        env = {
            **clean, "ZEROGEX_HOME": str(self.home), "ZEROGEX_ENV_FILE": str(self.home / "none"),
            "METRICS_ENABLED": "true", "METRICS_PORT": str(self.metrics_port), "LOG_FORMAT": "json", **settings,
        }  # fmt: skip
        argv = [sys.executable, "-m", "zerogex", "up", "--port", "0", *options]
        self.process = subprocess.Popen(argv, env=env, cwd=self.home, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._http = httpx2.Client(timeout=10, trust_env=False)

    def __enter__(self) -> Platform:
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            self.stop()
        finally:
            self._http.close()
            if self._made:
                self._remove()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            del self.lines[:-2000]

    def wait_for(self, what: str, there: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Wait for a condition; raises RuntimeError with the end of the log where it does not come true."""
        deadline = time.monotonic() + within_s
        while not there():
            if self.process.poll() is not None:
                raise RuntimeError(f"the platform ended while waiting for {what}:\n{''.join(self.lines[-30:])}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {what} within {within_s:.0f} s:\n{''.join(self.lines[-30:])}")
            time.sleep(0.1)

    @property
    def page(self) -> str:
        """The address of the page, once it is served."""
        found: list[str] = []

        def listens() -> bool:
            told = [match[1] for line in list(self.lines) if (match := re.match(r"page +(http\S+)", line))]
            found[:] = told
            return bool(told) and any(line.startswith("serve ") and "running" in line for line in list(self.lines))

        self.wait_for("page", listens)
        return found[0]

    def pids(self) -> dict[str, int]:
        """Engine to process; `up` is the supervisor, `postgres` the server's first process."""
        found = {"up": self.process.pid}
        for pid in descendants(self.process.pid):
            try:
                words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) > 3 and words[2] == b"zerogex":
                found[words[3].decode()] = pid
        postmaster = self.home / "postgres" / "postmaster.pid"
        if postmaster.exists():
            found["postgres"] = int(postmaster.read_text().split()[0])
        return found

    def metrics(self, engine: str = "ingest") -> dict[tuple[str, str], float]:
        """(metric, labels as text) to value; empty while the engine does not answer."""
        url = f"http://127.0.0.1:{self.metrics_port + ENGINES.index(engine)}/metrics"
        try:
            text = self._http.get(url).text
        except httpx2.HTTPError:
            return {}
        found = (match for line in text.splitlines() if (match := _SAMPLE.match(line)))
        return {(match[1], match[2] or ""): float(match[3]) for match in found}

    def stop(self) -> int:
        """Ask for the end and wait for it; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self._reader.join(10)
        return self.process.returncode

    def _remove(self) -> None:
        """Delete the home once its database server has gone."""
        deadline = time.monotonic() + 30
        while (self.home / "postgres" / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        shutil.rmtree(self.home, ignore_errors=True)


def total(metrics: Mapping[tuple[str, str], float], name: str, label: str = "") -> float:
    """The sum of a metric over all its labels that contain a text."""
    return sum(value for (known, labels), value in metrics.items() if known == name and label in labels)


def told(document: Mapping[str, Any], output: Path | None) -> int:
    """Write what was measured as JSON (None: to stdout), say what is broken, and the exit code."""
    text = json.dumps(document, indent=1, default=str)
    if output:
        output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    for sentence in document["broken"]:
        print(f"broken: {sentence}", file=sys.stderr)
    return 1 if document["broken"] else 0


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that nobody listens on."""
    for first in range(20_000 + os.getpid() % 5000 * 4, 60_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise OSError("no free ports")

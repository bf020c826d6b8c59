"""The whole platform as a user starts it: one command, real processes, real PostgreSQL, real signals."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psycopg
import pytest

from zerogex.announced import simulator
from zerogex.domain.calendar import NEW_YORK
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.spool import scan

SPEED = 60
PATIENCE_S = 60


class Platform:
    """`zerogex up` in a home of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        clean = {
            name: value for name, value in os.environ.items() if not re.match(r"(TRADESTATION|DB|STREAM|SERVE)_", name)
        }
        self.env = {
            **clean,
            "ZEROGEX_HOME": str(home),
            "ANALYTICS_INTERVAL": "60",
            "ZEROGEX_ENV_FILE": str(home / "none"),
        }
        argv = [sys.executable, "-m", "zerogex", "up", "--port", "0", "--speed", str(SPEED), *options]
        self.process = subprocess.Popen(argv, env=self.env, stderr=subprocess.PIPE, text=True, cwd=home)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines += iter(self.process.stderr.readline, "")

    def wait_for(self, pattern: str, count: int = 1) -> str:
        """The first match in the log, once there are `count` of them."""
        found: list[re.Match[str]] = []

        def there() -> bool:
            found[:] = [match for line in list(self.lines) if (match := re.search(pattern, line))]
            return len(found) >= count or self.process.poll() is not None

        eventually(there)
        assert len(found) >= count, "".join(self.lines[-40:])
        return found[0][0]

    @property
    def url(self) -> str:
        return self.wait_for(r"^page +(http\S+)").split()[-1]

    def end(self, number: signal.Signals) -> int:
        """The exit code, once the processes it started have ended as well: killed, it does not wait for them."""
        family = descendants(self.process.pid)
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=10)
        eventually(lambda: not any(is_running(pid) for pid in family))
        return code

    def show(self, view: str, *options: str) -> list[dict[str, Any]]:
        return self.ask("show", view, *options)

    def ask(self, *words: str) -> list[dict[str, Any]]:
        argv = [sys.executable, "-m", "zerogex", *words, "-o", "json"]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        return json.loads(done.stdout)


def eventually(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return found + [each for child in found for each in descendants(child)]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rows(home: Path, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with EmbeddedServer(home) as server:
        config = server.config("zerogex_simulated")
        with psycopg.connect(**config.parameters()) as connection:
            return connection.execute(sql, parameters).fetchall()


def stored_minutes(home: Path) -> list[Any]:
    return [row[0] for row in rows(home, "SELECT DISTINCT timestamp FROM option_chains ORDER BY 1")]


def kept_minutes(home: Path) -> set[Any]:
    """Minutes with options that wait on the disk, for the next start to bring into the database."""
    found = (batch for file in home.glob("spool/*/SPY.spool") for _, batch in scan(file.read_bytes()))
    return {batch.timestamp for batch in found if batch is not None and batch.chain is not None}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Platform]]:
    started: list[Platform] = []

    def begin(*options: str) -> Platform:
        started.append(Platform(home, *options))
        return started[-1]

    yield begin
    for platform in started:
        if platform.process.poll() is None:
            platform.end(signal.SIGKILL)
        assert platform.process.stderr
        platform.process.stderr.close()


@pytest.mark.slow
def test_one_command_goes_from_the_feed_to_a_page_whose_numbers_recompute(start, home: Path) -> None:
    platform = start("--start", "2026-11-20T10:30")
    platform.wait_for(r"serve +running")
    platform.wait_for(r"analyze .*analysis stored", count=4)
    page = httpx2.get(platform.url, timeout=10)
    summary = httpx2.get(f"{platform.url}/api/v1/SPY/summary", timeout=10).json()
    assert page.status_code == 200
    assert summary["simulated"] is True
    assert summary["net_gex"] is not None
    asked = {one["what"]: one["value"] for one in platform.ask("probe", "auth")}
    assert asked["api"] == simulator(home)  # its own market, at whichever port

    assert len(platform.show("gex-summary")) == 1
    *_, row = platform.show("gex-summary", "--limit", "3")  # older than its grace: nothing revises it any more
    assert row["underlying"] == "SPY"
    assert row["simulated"] is True
    for name in ("net_gex", "gamma_flip_status", "call_wall", "put_wall", "max_pain"):
        assert row[name] is not None, name
    stored = rows(
        home,
        """SELECT option_type, strike::float8, gamma, open_interest, multiplier FROM option_chains
           WHERE underlying = 'SPY' AND timestamp = %(at)s AND gamma IS NOT NULL""",
        at=row["timestamp"],
    )
    kind, strike, gamma, interest, multiplier = map(np.array, zip(*stored, strict=True))
    assert row["spot"] == pytest.approx(
        rows(
            home,
            "SELECT close::float8 FROM underlying_quotes WHERE symbol = 'SPY' AND timestamp = %(at)s",
            at=row["timestamp"],
        )[0][0]
    )
    gex = np.where(kind == "C", 1.0, -1.0) * gamma * interest * multiplier * row["spot"] ** 2 * 0.01
    assert gex.sum() == pytest.approx(row["net_gex"], rel=1e-9)
    calls = (kind == "C") & (strike >= row["spot"])
    by_strike = {k: gex[calls & (strike == k)].sum() for k in np.unique(strike[calls])}
    assert max(by_strike, key=by_strike.get) == row["call_wall"]

    assert platform.end(signal.SIGINT) == 0
    assert "everything drained" in platform.lines[-1]
    assert simulator(home) is None


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_no_closed_minute_is_lost_and_a_second_run_continues(start, home: Path, number) -> None:
    first = start("--start", "2026-11-20T10:30")
    first.wait_for(r"ingest .*minute stored +contracts=[1-9]", count=4)
    first.end(number)
    said = len([line for line in first.lines if re.search(r"minute stored +contracts=[1-9]", line)])
    eventually(lambda: not list(home.glob("postgres/postmaster.pid")))
    before = sorted({*stored_minutes(home), *kept_minutes(home)})
    assert len(before) >= said >= 4

    onward = (before[-1] + timedelta(minutes=5)).astimezone(
        NEW_YORK
    )  # said, because by itself an open market is met at its hour
    second = start("--start", f"{onward:%Y-%m-%dT%H:%M}")
    second.wait_for(r"ingest .*minute stored +contracts=[1-9]", count=3)
    assert second.end(signal.SIGINT) == 0
    after = stored_minutes(home)
    assert after[: len(before)] == before
    # each run's minutes follow one another; between them lies only what the market did while nobody listened
    for run in (before, after[len(before) :]):
        assert {later - earlier for earlier, later in pairwise(run)} == {timedelta(minutes=1)}
    sql = "SELECT timestamp FROM underlying_quotes WHERE symbol = 'SPY' AND timestamp >= %(first)s ORDER BY 1"
    bars = [row[0] for row in rows(home, sql, first=before[0])]
    assert {later - earlier for earlier, later in pairwise(bars)} == {timedelta(minutes=1)}
    # the minute open at the end may have had quotes but no word of its bar yet: the next start asks for that
    assert set(after) - set(bars) <= {after[-1]}


@pytest.mark.slow
def test_a_second_platform_on_the_same_symbols_refuses_at_once_and_names_the_first(start) -> None:
    first = start("--start", "2026-11-20T10:30")
    first.wait_for(r"ingest .*chains followed")
    second = start("--start", "2026-11-20T10:00")
    assert second.process.wait(timeout=PATIENCE_S) == 75
    second.wait_for(r"zerogex: SPY is already being written by .* process \d+")
    third = start("--start", "2026-11-20T10:00", "-u", "QQQ")  # would forget what the first stored since ten
    assert third.process.wait(timeout=PATIENCE_S) == 75
    third.wait_for(r"zerogex: .* process \d+ .*writes here from a simulated market with another clock")
    assert first.process.poll() is None
    assert first.end(signal.SIGINT) == 0

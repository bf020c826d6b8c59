"""Engines as systemd and Prometheus see them: real processes, a real notification socket, real scrapes."""

import asyncio
import os
import re
import signal
import socket
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from zerogex.metrics import TABLE
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator

MORNING = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
PATIENCE_S = 40


class Manager:
    """The receiving end of sd_notify."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.channel.bind(self.path)
        self.heard: list[str] = []

    async def hear(self, word: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while word not in self.heard:
                self.heard.append((await asyncio.get_running_loop().sock_recv(self.channel, 100)).decode())


@pytest.fixture
def manager(tmp_path: Path):
    manager = Manager(tmp_path)
    yield manager
    manager.channel.close()


@pytest.fixture
def environment(database, tmp_path: Path) -> dict[str, str]:
    """What a unit file and a .env would set."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"(TRADESTATION|DB|STREAM|SERVE)_", name)}
    return kept | {
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": database.dbname,
        "DB_USER": database.user,
        "DB_PASSWORD_PROVIDER": "env",
        "DB_PASSWORD": database.password or "none",
        "ZEROGEX_HOME": str(tmp_path / "home"),
        "ZEROGEX_ENV_FILE": str(tmp_path / "none"),
        "SERVE_PORT": "0",
        "LOG_FORMAT": "json",
        "STREAM_EXPIRATIONS": "1",
    }


@asynccontextmanager
async def process(command: str, environment: dict[str, str]):
    """A `zerogex` command; gives the process, stopped at the end if it still runs."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zerogex", command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def ended(running) -> tuple[int, str]:
    async with asyncio.timeout(PATIENCE_S):
        _, said = await running.communicate()
    return running.returncode, said.decode()


@pytest.mark.parametrize("command", ["ingest", "analyze", "serve"])
async def test_an_engine_says_when_it_is_ready_alive_and_stopping(
    command: str, manager: Manager, environment: dict[str, str]
) -> None:
    async with Simulator(SimulatorConfig(port=0, start=MORNING, speed=60.0)) as simulator:
        environment |= {
            "TRADESTATION_API_URL": simulator.url,
            "NOTIFY_SOCKET": manager.path,
            "WATCHDOG_USEC": "200000",
        }
        async with process(command, environment) as running:
            await manager.hear("READY=1")
            manager.heard.clear()
            await manager.hear("WATCHDOG=1")
            running.send_signal(signal.SIGTERM)
            await manager.hear("STOPPING=1")
            code, said = await ended(running)
    assert code == 0, said


async def test_an_engine_that_cannot_start_is_never_ready(manager: Manager, environment: dict[str, str]) -> None:
    environment |= {"TRADESTATION_API_URL": "http://127.0.0.1:9", "NOTIFY_SOCKET": manager.path}
    async with process("ingest", environment) as running:
        code, said = await ended(running)
    assert code == 78, said
    assert "no simulator answers" in said
    with pytest.raises(BlockingIOError):
        manager.channel.recv(100)


async def test_metrics_of_ingest_are_those_of_the_table_and_grow_with_what_is_stored(
    environment: dict[str, str], manager: Manager, unused_tcp_port: int
) -> None:
    async with Simulator(SimulatorConfig(port=0, start=MORNING, speed=120.0)) as simulator:
        environment |= {
            "TRADESTATION_API_URL": simulator.url,
            "METRICS_ENABLED": "true",
            "METRICS_HOST": "127.0.0.2",
            "METRICS_PORT": str(unused_tcp_port),
            "NOTIFY_SOCKET": manager.path,
        }
        async with process("ingest", environment) as running:
            await manager.hear("READY=1")
            async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient(trust_env=False) as http:
                url = f"http://127.0.0.2:{unused_tcp_port}/metrics"
                text = (await http.get(url)).text
                while (found := samples((await http.get(url)).text)).get("options_stored_total", 0) == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                elsewhere = await http.get(url.removesuffix("metrics"))
            running.send_signal(signal.SIGTERM)
            assert (await ended(running))[0] == 0
    assert elsewhere.status_code == 404
    for name in ("errors_total", "messages_rejected_total", "options_stored_total"):  # also before they first count
        assert f"# TYPE {name} counter" in text
    promised = {"bars_stored_total", "options_stored_total", "greeks_calculated_total", "api_requests_total"}
    assert {name for name in promised if not found.get(name)} == set()
    assert {"iv_calculated_total", "buffer_size", "minute_lag_seconds", "feed_age_seconds", "spool_bytes"} <= set(found)
    assert found["api_latency_seconds_count"] == found["api_requests_total"]
    assert found["process_resident_memory_bytes"] > 1e7
    ours = {name for name in found if not name.startswith(("process_", "python_"))}
    assert {re.sub("_(count|sum|bucket)$", "", name) for name in ours} <= set(TABLE)


async def test_a_port_that_is_taken_costs_the_metrics_and_nothing_else(environment: dict[str, str], manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] - 1  # analyze takes the one after METRICS_PORT
        environment |= {"METRICS_ENABLED": "true", "METRICS_PORT": str(port), "NOTIFY_SOCKET": manager.path}
        async with process("analyze", environment) as running:
            await manager.hear("READY=1")
            running.send_signal(signal.SIGTERM)
            code, said = await ended(running)
    assert code == 0
    assert "metrics not served" in said


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.create_server(("127.0.0.2", 0)) as free:
        return free.getsockname()[1]


def samples(text: str) -> dict[str, float]:
    """Each sample's name and its sum over all labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found

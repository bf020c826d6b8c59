"""`zerogex up` keeps its feed to itself, whoever else starts at the same moment."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import ExitStack

from zerogex.cli import up
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator


def test_the_socket_of_the_feed_is_ours_from_the_start() -> None:
    """The port is never free again between being chosen and being served: a neighbour's market cannot answer there."""
    with ExitStack() as held:
        ports = {held.enter_context(up._feed_socket()).getsockname()[1] for _ in range(3)}
    assert len(ports) == 3


async def test_the_simulator_serves_an_inherited_socket() -> None:
    held = up._feed_socket()
    async with Simulator(SimulatorConfig(port=1, listen_fd=held.detach(), seed=31)) as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{simulator.url}/simulator/clock").read())
    assert "speed" in json.loads(text)

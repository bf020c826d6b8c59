"""The room of faults: run by `make test-faults`, left out of `make test`.

FAULT_SEED=n repeats a run with another seed; a failure prints seed, faults and one command to repeat it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from served import NOON, market_chain
from zerogex.analytics.analysis import analyze
from zerogex.pipeline.enrich import enrich

ROOM = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is marked, and deselected unless faults were asked for."""
    mine = [item for item in items if ROOM in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.faults)
    if "faults" not in (config.option.markexpr or ""):
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Machine code for every kernel, before anything waits for its result."""
    analyze(enrich(market_chain(690.0, NOON)).chain)


@pytest.fixture
def seed() -> int:
    """The seed of the market and of every random fault."""
    return int(os.environ.get("FAULT_SEED", "1"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        chosen = os.environ.get("FAULT_SEED", "1")
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOM)
        faults: Sequence[str] = getattr(item.function, "faults", ())  # type: ignore[attr-defined]
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        told = f"SEED={chosen} FAULTS={[*faults, *map(str, parameters.values())]} git={commit.stdout.strip()}"
        repeat = f"FAULT_SEED={chosen} .venv/bin/pytest -m faults '{item.nodeid}'"
        report.sections.append(("to repeat it", f"{told}\n{repeat}"))

"""Fixtures that several rooms share: a real PostgreSQL, and fresh databases in it."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore

# A test database need not survive a power cut.
QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command under test configures logging; the next test does not write to that command's closed stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One real server for the whole run: the workers of xdist share its home, and the last one out stops it."""
    base = tmp_path_factory.getbasetemp()
    home = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    server = EmbeddedServer(home / "postgres-home", settings=QUICK)
    with server:
        yield server


@pytest.fixture(scope="session")
def _template(postgres_server: EmbeddedServer) -> str:
    """A migrated database to copy from, one a worker."""
    name = f"template_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    PostgresStore(postgres_server.config(name)).migrate()
    return name


@pytest.fixture(scope="session")
def new_database(postgres_server: EmbeddedServer, _template: str) -> Callable[[], DatabaseConfig]:
    """A function that makes a fresh migrated database, for fixtures of any scope."""

    def make() -> DatabaseConfig:
        name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{next(_NUMBERS)}"
        return postgres_server.config(name, template=_template)

    return make


@pytest.fixture
def database(new_database: Callable[[], DatabaseConfig]) -> DatabaseConfig:
    """A fresh migrated database of this test alone."""
    return new_database()


@pytest.fixture
def store(database: DatabaseConfig, tmp_path: Path) -> Iterator[PostgresStore]:
    """A store on a fresh migrated database, with a spool."""
    store = PostgresStore(database, spool=tmp_path / "spool")
    yield store
    store.close()


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., OptionChain]:
    """A function that makes a chain of SPX and SPXW contracts with all columns filled, some of them with "no value"."""

    def make(
        as_of: datetime = datetime(2026, 2, 20, 14, 31, tzinfo=UTC),
        strikes: int = 40,
        underlying: str = "SPX",
        roots: Sequence[str] = ("SPX", "SPXW"),
        seed: int = 1,
        **columns: Any,
    ) -> OptionChain:
        contracts = [
            OptionContract(underlying, root, date(2026, 3, 20), Decimal(5000 + 5 * step) / 2, kind)
            for root in roots
            for step in range(strikes)
            for kind in OptionKind
        ]
        random = np.random.default_rng(seed)
        count = len(contracts)
        bid = np.round(random.uniform(0, 50, count), 2)
        known: dict[str, Any] = {
            "bid": np.where(random.random(count) < 0.1, np.nan, bid),
            "ask": np.round(bid + 0.05, 4),
            "last": np.where(random.random(count) < 0.3, np.nan, np.round(bid + 0.0025, 4)),
            "volume": random.integers(0, 100_000, count),
            "open_interest": random.integers(0, 10**9, count),
            "iv": np.where(random.random(count) < 0.2, np.nan, random.uniform(0.05, 2, count)),
            "iv_source": random.integers(0, 5, count),
            "iv_status": random.integers(0, 10, count),
            **{name: random.normal(0, 1, count) for name in ("delta", "gamma", "theta", "vega", "rate")},
            "forward": random.uniform(1, 6000, count),
            "event_time": as_of.timestamp() - random.integers(0, 60_000_000, count) / 1e6,
            "received_time": np.full(count, as_of.timestamp() - 0.25),
        }
        times = {"spot_time": as_of - timedelta(seconds=1.5), "simulated": True, "delayed": True}
        return build_chain(underlying, 5012.3456789, as_of, contracts, **times, **{**known, **columns})

    return make

"""A served market for tests: a real store, a real server on loopback, and a clock that stands still until moved."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import psycopg
import uvicorn

from zerogex.analytics.analysis import analyze
from zerogex.analytics.document import document, iso
from zerogex.clock import ManualClock
from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.ports import Store
from zerogex.serving.app import create_app, server_options
from zerogex.serving.config import ServingConfig
from zerogex.store.config import DatabaseConfig

NOON = datetime(2026, 2, 20, 17, 0, tzinfo=UTC)  # 12:00 in New York, a Friday with a session
EXPIRATIONS = (date(2026, 2, 20), date(2026, 2, 27), date(2026, 3, 20))


def market_chain(spot: float, as_of: datetime, underlying: str = "SPY", center: float = 690.0) -> OptionChain:
    """A chain with a smile and round-number open interest, the same for the same arguments."""
    contracts = [
        OptionContract(underlying, "SPY", expiration, Decimal(strike), kind)
        for expiration in EXPIRATIONS
        for strike in range(int(center) - 40, int(center) + 41)
        for kind in OptionKind
    ]
    strike = np.array([float(contract.strike) for contract in contracts])
    is_call = np.array([contract.kind is OptionKind.CALL for contract in contracts])
    hump = np.exp(-(((strike - center * np.where(is_call, 1.01, 0.985)) / 14.0) ** 2))
    open_interest = np.round(9000 * hump * (1 + 2 * (strike % 5 == 0) + 5 * (strike % 10 == 0))).astype(np.int64)
    years = np.array([(contract.expiration - as_of.date()).days + 0.17 for contract in contracts]) / 365.0
    columns: dict[str, Any] = {
        "open_interest": open_interest,
        "volume": open_interest // 3,
        "iv": 0.14 + 0.6 * np.maximum(np.log(center / strike), 0.0),
        "iv_source": np.full(len(contracts), 2),
        "iv_status": np.zeros(len(contracts)),
        "forward": spot * np.exp(0.04 * years),
        "rate": np.full(len(contracts), 0.04),
        "bid": np.full(len(contracts), 1.0),
        "ask": np.full(len(contracts), 1.1),
    }
    return build_chain(underlying, spot, as_of, contracts, simulated=True, **columns)


def minute(symbol: str, start: datetime, close: float = 690.0) -> MinuteBar:
    """A minute around a price."""
    return MinuteBar(symbol, start, close - 0.1, close + 0.3, close - 0.4, close, 1000, 900)


@dataclass
class Served:
    """A running server and the hands to move its market."""

    store: Store
    clock: ManualClock
    config: ServingConfig
    address: str = ""
    app: Any = None
    stop: Callable[[], None] = field(default=lambda: None)
    connections: Callable[[], int] = field(default=lambda: 0)  # how many it holds open

    @property
    def websocket(self) -> str:
        return self.address.replace("http://", "ws://") + "/ws"

    def publish(self, spot: float = 690.5, symbol: str = "SPY", **changes: Any) -> dict[str, Any]:
        """Analyse a chain at the clock's time and write it as the analyze engine does; returns the document."""
        analysis = analyze(market_chain(spot, self.clock.now(), symbol))
        row = document(analysis) | {"computed_at": iso(self.clock.now()), "code_version": "test"} | changes
        self.store.write_live(analysis, msgspec.json.encode(row))
        return row

    def publish_bars(self, count: int, symbol: str = "SPY", end: datetime = NOON) -> list[MinuteBar]:
        """Store `count` minutes up to `end`."""
        bars = [minute(symbol, end - timedelta(minutes=n), 690.0 + n % 7) for n in range(count, 0, -1)]
        self.store.write_bars(bars)
        return bars


@contextmanager
def serving(store: Store, simulated: bool = True, **config: Any) -> Iterator[Served]:
    """A server on a free port of loopback, stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = ServingConfig(port=port, version="9.9", **config)
        clock = ManualClock(NOON, simulated=simulated)
        app = create_app(store, lambda: clock, settings)
        server = uvicorn.Server(uvicorn.Config(app, **server_options(settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)

        def stop() -> None:
            server.should_exit = True
            thread.join(10)

        try:
            held = server.server_state.connections
            yield Served(store, clock, settings, f"http://127.0.0.1:{port}", app, stop, lambda: len(held))
        finally:
            stop()


def cut_off(database: DatabaseConfig, away: bool = True) -> None:
    """Take a database away from everybody, or give it back."""
    parameters = database.parameters()
    name = parameters["dbname"]
    with psycopg.connect(**{**parameters, "dbname": "postgres"}, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {"false" if away else "true"}')
        if away:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def until(holds: Callable[[], Any], patience_s: float = 10.0) -> Any:
    """What `holds` says once it is true; fails when it does not become so in time."""
    deadline = time.monotonic() + patience_s
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {patience_s} s: {holds}")
        time.sleep(0.01)
    return found

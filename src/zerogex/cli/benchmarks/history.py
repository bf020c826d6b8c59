"""Flow of a day and history of a day, on a PostgreSQL filled with a made-up day."""

from __future__ import annotations

import tempfile
from collections import deque
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from zerogex.cli.benchmarks.made_up_days import FIRST_DAY, fill
from zerogex.cli.benchmarks.measure import Row, row, seconds
from zerogex.domain.calendar import new_york
from zerogex.store import upkeep
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore

CONTRACTS, MINUTES = 2000, 130  # a small third of a day: filled and summed in some ten seconds
FLOWS = ("flow_by_type", "flow_by_strike", "flow_by_expiration", "flow_smart_money", "flow_buying_pressure")


def measure(repetitions: int) -> list[Row]:
    """The rows on a small day of 2,000 contracts and 130 minutes; bench/whole_days.py measures whole ones."""
    with tempfile.TemporaryDirectory(prefix="zerogex-bench-") as folder, EmbeddedServer(Path(folder)) as server:
        config = server.config("bench")
        prepare(config, days=1, contracts=CONTRACTS, minutes=MINUTES)
        try:
            return rows(config, FIRST_DAY, f"{CONTRACTS:,} contracts, {MINUTES} minutes", max(10, repetitions))
        finally:
            server.stop(wait_s=10.0)


def prepare(config: DatabaseConfig, *, days: int, contracts: int, minutes: int) -> None:
    """Made-up days with their flow summed."""
    PostgresStore(config).migrate()
    deque(fill(config, days=days, contracts=contracts, minutes=minutes), maxlen=0)
    deque(upkeep.refresh_views(config), maxlen=0)


def rows(config: DatabaseConfig, day: date, note: str, repetitions: int) -> list[Row]:
    """What the page and `zerogex show` ask of one day; wall time with the reading of the answer."""
    store = PostgresStore(config)
    start, end = new_york(day, time()), new_york(day + timedelta(days=1), time())
    until = new_york(day, time(11, 0))

    def one(name: str, target: float, asked: str, **given: Any) -> Row:
        spent = seconds(lambda: store.query(asked, **given), repetitions)
        return row(name, "ms", spent, target=target, note=note)

    try:
        found = [one(f"flow.{name}", 200.0, name, minutes=1440, day=day) for name in FLOWS]
        found += [
            one(f"flow.{name}_as_of", 200.0, name, symbol="SPX", day=day, minutes=1440, until=until, limit=500)
            for name in FLOWS
        ]
        span = {"symbol": "SPX", "start": start, "end": end, "origin": start}
        history = one("history.analyses", 100.0, "api_history", **span, step_s=60.0, limit=1441)
        heat = one("history.strikes_5m", 100.0, "api_strikes", **span, step_s=300.0, measures=["net_gex"])
        return [*found, history, _bars(store, start, end, note, repetitions), heat]
    finally:
        store.close()


def _bars(store: PostgresStore, start: datetime, end: datetime, note: str, repetitions: int) -> Row:
    spent = seconds(lambda: store.bars("SPX", start, end), repetitions)
    return row("history.bars", "ms", spent, target=100.0, note=note)

"""The days to measure on are days of the program's own database, and every row measured has an answer."""

from __future__ import annotations

from datetime import timedelta

from zerogex.cli.benchmarks import history
from zerogex.cli.benchmarks.made_up_days import FIRST_DAY
from zerogex.store import upkeep
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore


def test_made_up_days_are_whole_and_summed(database: DatabaseConfig) -> None:
    history.prepare(database, days=2, contracts=500, minutes=4)
    assert upkeep.unsummed(database) == 0
    store = PostgresStore(database)
    for number in range(2):
        day = FIRST_DAY + timedelta(days=number)
        columns, rows = store.query("flow_by_type", day=day, minutes=1440)
        assert len(rows) == 4
        assert all(row[columns.index("call_volume")] > 0 for row in rows)
        assert len(store.query("flow_by_strike", day=day, minutes=1440, limit=1000)[1]) > 100
        assert store.query("flow_smart_money", day=day, minutes=1440)[1]
        assert len(store.query("flow_buying_pressure", day=day, minutes=1440)[1]) == 4
    chain = store.minute_chain("SPX")
    assert chain is not None
    assert len(chain) == 500
    store.close()


def test_each_row_is_measured_with_its_target(database: DatabaseConfig) -> None:
    history.prepare(database, days=1, contracts=400, minutes=3)
    rows = history.rows(database, FIRST_DAY, "small", 1)
    assert [row.name for row in rows if row.target == 100.0] == [
        "history.analyses", "history.bars", "history.strikes_5m"
    ]  # fmt: skip
    assert [row.name for row in rows if row.target == 200.0] == [
        f"flow.{name}{ending}" for ending in ("", "_as_of") for name in history.FLOWS
    ]
    assert all(row.note == "small" and row.median > 0 for row in rows)

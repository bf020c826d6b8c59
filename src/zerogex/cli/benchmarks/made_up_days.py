"""Whole days of a made-up market in a database, made by the database itself: a million rows in some ten seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from importlib.resources import files

from psycopg import sql

from zerogex.domain.calendar import new_york
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, connect
from zerogex.store.sql import parse, statement

FIRST_DAY = date(2026, 5, 11)  # a Monday; days follow one another without weekends
STATEMENTS = {name: one.text for name, one in parse((files(__package__) / "made_up_days.sql").read_text()).items()}


def fill(config: DatabaseConfig, *, days: int, contracts: int, minutes: int, cells: bool = True) -> Iterator[date]:
    """Fill an empty, migrated database; each day as it is done.  `cells`: with those of each analysis.

    The flow is not summed: that is `upkeep.refresh_views`.
    """
    with connect(config, "zerogex bench", autocommit=True) as connection:
        connection.execute(statement("vacuum_timeouts"))
        shape = {"contracts": contracts, "first_day": FIRST_DAY, "days": days}
        connection.execute(STATEMENTS["contracts"], shape)
        for number in range(days):
            day = FIRST_DAY + timedelta(days=number)
            with connection.transaction():
                _fill_day(connection, day, contracts, minutes, cells)
            yield day
        for (table,) in connection.execute(statement("tables")).fetchall():
            connection.execute(sql.SQL(statement("vacuum")).format(table=sql.Identifier(table)))


def _fill_day(connection: Connection, day: date, contracts: int, minutes: int, cells: bool) -> None:
    named = {"day": day, "contracts": contracts, "minutes": minutes}
    connection.execute(STATEMENTS["minutes"], named)
    names = {
        "day_table": sql.Identifier(f"option_chains_{day:%Y%m%d}"),
        "since": sql.Literal(new_york(day, time())),
        "until": sql.Literal(new_york(day + timedelta(days=1), time())),
    }
    for step in ("day_table", "chains", "day_keys", "day_index", "attach"):
        connection.execute(sql.SQL(STATEMENTS[step]).format(**names))
    for parent in ("underlying_quotes", "gex_calculations"):
        connection.execute(statement("ensure_day"), {"parent": parent, "day": day})
    for step in ("headers", "bars", "summaries", *(["cells", "strikes"] if cells else [])):
        connection.execute(STATEMENTS[step], named)
    connection.execute(STATEMENTS["forget_minutes"])

"""Closed minutes into the database: one transaction a batch, known by its id."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, LiteralString

import numpy as np

from zerogex.domain.bar import MinuteBar
from zerogex.domain.calendar import trading_date
from zerogex.domain.chain import OptionChain
from zerogex.ports import MinuteBatch
from zerogex.store import chain_rows
from zerogex.store.chain_rows import PRICE_MAX, ChainRows
from zerogex.store.connections import Connection
from zerogex.store.notices import payload
from zerogex.store.sql import statement

log = logging.getLogger(__name__)

VOLUME_MAX = 2**63 - 1


class DayPartitions:
    """Makes the partition of each day before the first row of that day."""

    def __init__(self) -> None:
        self._known: set[tuple[str, date]] = set()
        self._guard = threading.Lock()

    def ensure(self, connection: Connection, parent: str, instants: Iterable[datetime]) -> None:
        """Make missing partitions, in a transaction of their own."""
        wanted = {(parent, trading_date(instant)) for instant in instants}
        with self._guard:
            missing = sorted(wanted - self._known)
        for name, day in missing:
            connection.execute(statement("ensure_day"), {"parent": name, "day": day})
            connection.commit()
            with self._guard:
                self._known.add((name, day))

    def forget(self) -> None:
        """Ask the database again: a partition we knew was dropped."""
        with self._guard:
            self._known.clear()


def stage(connection: Connection, rows: ChainRows) -> None:
    """COPY a chain's rows to the session's stage."""
    connection.execute(statement("stage_options"))
    with connection.cursor().copy(statement("copy_options")) as copy:
        copy.write(rows.data)


def storable_bars(bars: Sequence[MinuteBar]) -> list[dict[str, Any]]:
    """The bars that can be stored, the last of each key, as parameters; the others are logged and left out."""
    kept: dict[tuple[str, datetime], dict[str, Any]] = {}
    rejected = 0
    for bar in bars:
        prices = (bar.open, bar.high, bar.low, bar.close)
        volumes = (bar.up_volume, bar.down_volume)
        named = 0 < len(bar.symbol) <= chain_rows.SYMBOL_WIDTH and bar.symbol.isascii() and bar.symbol.isprintable()
        if (
            named
            and all(math.isfinite(price) and 0 <= price <= PRICE_MAX for price in prices)
            and all(0 <= volume <= VOLUME_MAX for volume in volumes)
        ):
            names = ("symbol", "timestamp", "open", "high", "low", "close", "up_volume", "down_volume")
            kept[bar.symbol, bar.timestamp] = {name: getattr(bar, name) for name in names}
        else:
            rejected += 1
    if rejected:
        log.warning("bars rejected", extra={"rejected": rejected, "of": len(bars)})
    return sorted(kept.values(), key=lambda bar: (bar["symbol"], bar["timestamp"]))


def write_bars(connection: Connection, bars: list[dict[str, Any]], *, fuller: bool = False) -> None:
    """Upsert bars within the caller's transaction; `fuller`: only where they say more than what is stored."""
    if not bars:
        return
    with connection.cursor() as cursor:
        cursor.executemany(statement("upsert_fuller_bar") if fuller else statement("upsert_bar"), bars)


def write_batch(
    connection: Connection,
    batch: MinuteBatch,
    days: DayPartitions,
    fence: Callable[[Connection], None],
    on_step: Callable[[str], None],
    *,
    fuller: bool = False,
) -> bool:
    """Write a batch in one transaction; False where the database has it already.

    `fuller`: others may have written since, so a stored bar gives way only to one of more volume, and a stored
    spot to a newer one.
    """
    rows = _rows_of(batch.chain)
    header = chain_rows.header_of(batch.chain) if batch.chain is not None else None
    bars = storable_bars(batch.bars)
    days.ensure(connection, "underlying_quotes", (bar["timestamp"] for bar in bars))
    days.ensure(connection, "option_chains", [batch.timestamp] if rows is not None and rows.count else [])
    key = {"underlying": batch.underlying, "timestamp": batch.timestamp}
    on_step("before_begin")
    with connection.transaction():
        fence(connection)
        named = {
            **key,
            "batch_id": batch.batch_id,
            "contracts": rows.count if rows else 0,
            "rejected": sum(rows.rejected.values()) if rows else 0,
            "bars": len(bars),
        }
        if connection.execute(statement("record_batch"), named).fetchone() is None:
            return False
        if rows is not None and header is not None:
            minute = {**key, **asdict(header), "contracts": rows.count, "heard": not batch.trades_only}
            _write_chain(connection, rows, minute, on_step, completing=fuller or batch.trades_only)
        write_bars(connection, bars, fuller=fuller)
        _record_metrics(connection, batch, named)
        _declare_gaps(connection, batch)
        connection.execute(statement("notify"), {"payload": payload("minute", batch.underlying)})
        on_step("before_commit")
    on_step("after_commit")
    if rows is not None:
        report_rejected(batch.underlying, rows)
    return True


def _record_metrics(connection: Connection, batch: MinuteBatch, named: dict[str, Any]) -> None:
    """What ingest did in this minute, beside its rows."""
    values: dict[str, int] = {
        "contracts_stored": named["contracts"],
        "contracts_rejected": named["rejected"],
        "bars_stored": named["bars"],
    }
    if batch.chain is not None:
        values["iv_known"] = int(np.isfinite(batch.chain.iv).sum())
        values["greeks_known"] = int(np.isfinite(batch.chain.delta).sum())
    key = {"underlying": batch.underlying, "timestamp": batch.timestamp}
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("record_metric"), [{**key, "metric": name, "value": value} for name, value in values.items()]
        )


def _declare_gaps(connection: Connection, batch: MinuteBatch) -> None:
    """What the batch says is missing."""
    if not batch.gaps:
        return
    rows = [{"underlying": batch.underlying, **asdict(gap), "reason": gap.reason.value} for gap in batch.gaps]
    with connection.cursor() as cursor:
        cursor.executemany(statement("declare_gap"), rows)


def report_rejected(underlying: str, rows: ChainRows) -> None:
    """Say once a batch what was left out, and why."""
    if rows.rejected or rows.blanked:
        extra = {"underlying": underlying, "stored": rows.count, "blanked": rows.blanked, "rejected": rows.rejected}
        log.warning("chain rows rejected", extra=extra)


def _rows_of(chain: OptionChain | None) -> ChainRows | None:
    if chain is None:
        return None
    if chain_rows.header_of(chain) is None:
        log.warning("chain without a usable spot rejected", extra={"underlying": chain.underlying})
        return None
    return chain_rows.encode(chain)


def _write_chain(
    connection: Connection, rows: ChainRows, minute: dict[str, Any], on_step: Callable[[str], None], *, completing: bool
) -> None:
    header = statement("complete_chain_minute") if completing else statement("upsert_chain_minute")
    changed = connection.execute(header, minute).rowcount
    stage(connection, rows)
    on_step("after_copy")
    changed += connection.execute(statement("upsert_options"), minute).rowcount
    if completing:
        connection.execute(statement("count_contracts"), minute)
    if changed:
        connection.execute(statement("sum_flow"), minute)


def read_chain(connection: Connection, underlying: str, timestamp: datetime | None) -> OptionChain | None:
    """A stored minute's chain; header and rows of one instant."""
    with connection.transaction():
        connection.execute(statement("consistent_read"))
        named = {"underlying": underlying, "timestamp": timestamp}
        found = connection.execute(statement("minute_header"), named).fetchone()
        if found is None:
            return None
        header, label = chain_rows.ChainHeader(*found[:6]), found[6]
        return read_rows(connection, statement("minute_rows"), header, {"underlying": underlying, "timestamp": label})


def read_rows(
    connection: Connection, text: LiteralString, header: chain_rows.ChainHeader, parameters: dict[str, Any]
) -> OptionChain:
    """The rows of a chain, which the statement gives as one value."""
    found = connection.cursor(binary=True).execute(text, parameters).fetchone()
    return chain_rows.decode(header, (found and found[0]) or b"")

"""The `Store` of zerogex.ports on PostgreSQL."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from zerogex.crashpoints import crashpoint
from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import Bools, OptionChain
from zerogex.domain.exposure import Analysis
from zerogex.domain.finding import Finding
from zerogex.domain.gap import DataGap, GapReason
from zerogex.errors import OriginConflict, StoreError
from zerogex.ports import ChainVersion, FeedState, MinuteBatch, Notice
from zerogex.store import analysis_rows, latest, migrate, minutes
from zerogex.store.alerts import AlertTable
from zerogex.store.api_keys import ApiKeyTable
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import Connection, ConnectionPool, Patience
from zerogex.store.failures import in_our_words, is_connection_lost, is_no_partition
from zerogex.store.journal import MinuteJournal
from zerogex.store.locks import Fellows, WriterLocks
from zerogex.store.notices import Listeners, payload
from zerogex.store.request_quotas import RequestQuotaTable
from zerogex.store.spool import Spool
from zerogex.store.sql import api_queries, queries, statement

log = logging.getLogger(__name__)

T = TypeVar("T")


class PostgresStore:
    """Durable memory in one PostgreSQL database; safe from several threads.

    `spool` is a folder where minutes are kept until the database has them; without one, `keep_minute`
    needs the database.  `on_step` is called with the name of each step of writing a
    minute (before_spool to after_trim of `crashpoints.POINTS`).
    """

    def __init__(
        self, config: DatabaseConfig, *, spool: Path | None = None, on_step: Callable[[str], None] = crashpoint
    ) -> None:
        self.config = config
        self._patience = Patience()
        self._pool = ConnectionPool(config, self._patience)
        self._locks = WriterLocks(config, self._patience)
        self._fellows = Fellows(config, self._patience)
        self._listeners = Listeners(config)
        self._days = minutes.DayPartitions()
        kept_in = Spool(spool) if spool is not None else None
        self._journal = MinuteJournal(self._do, kept_in, self._locks, self._days, on_step)
        self.alerts = AlertTable(self._do)
        self.api_keys = ApiKeyTable(self._do)
        self.request_quotas = RequestQuotaTable(self._do)
        self._writer = f"{os.getpid()}-{uuid4().hex}"  # whose memory the latest rows mirror

    # --- the schema ---

    def migrate(self) -> list[str]:
        """Bring the schema up to this program's version; the names of the migrations applied."""
        return migrate.migrate(self.config)

    def check_schema(self) -> None:
        """Raise SchemaBehind unless the schema is this program's, StoreUnavailable if it cannot be asked."""
        self._do(lambda connection: migrate.check(connection, self.config.place))

    # --- the feed ---

    def feed_state(self) -> FeedState | None:
        """Where this database's data comes from; None before the first ingest."""
        row = self._do(lambda connection: connection.execute(statement("feed_state")).fetchone())
        return (
            None if row is None else FeedState(row[0], row[1], _utc(row[2]), _utc(row[3]), row[4], row[5], _utc(row[6]))
        )

    def announce_feed(self, state: FeedState) -> None:
        """Record the feed, as one without trouble; raises OriginConflict where live and simulated data would mix."""

        def announce(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(statement("lock_feed_state"))
                known = connection.execute(statement("feed_state")).fetchone()
                row = connection.execute(statement("has_data")).fetchone()
                if known is not None and known[1] != state.simulated and row is not None and row[0]:
                    words = ("live", "simulated")
                    raise OriginConflict(
                        f"{self.config.place} holds {words[known[1]]} data (from {known[0]}) and must not be mixed "
                        f"with {words[state.simulated]} data from {state.provider}; use another database"
                    )
                connection.execute(statement("announce_feed"), {name: getattr(state, name) for name in _FEED})

        self._do(announce)

    def note_feed_trouble(self, trouble: str | None) -> None:
        """Record why the feed cannot be heard; None: it can."""

        def note(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(statement("note_feed_trouble"), {"trouble": trouble})

        self._do(note)

    def forget_after(self, instant: datetime) -> None:
        """Drop every row from an instant on, and the latest rows; raises OriginConflict unless data are simulated."""
        state = self.feed_state()
        if state is not None and not state.simulated:
            raise OriginConflict(f"{self.config.place} holds live data; only simulated minutes can be simulated anew")

        def forget(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(statement("forget_after"), {"instant": instant})

        self._do(forget)

    def writer_lock(self, underlying: str) -> AbstractContextManager[None]:
        """The sole right to write an underlying while held; raises LockHeld naming the holder."""
        return self._locks.hold(underlying)

    def place_among(self, group: str) -> tuple[int, int]:
        """(our rank, how many): the living processes that named this group, the longest connected first; joins it."""
        return self._fellows.place(group)

    def hurry(self, most_s: float | None) -> None:
        """Wait so long at most for an answer, also to what is being asked, and ask once; None: as configured."""
        self._patience.hurry(most_s)

    # --- minutes ---

    def keep_minute(self, batch: MinuteBatch) -> None:
        """Durable when it returns: fsynced in the spool, however slow the database is; idempotent.

        Without a spool, or where its disk is full, the database must take it at once.  Raises StoreUnavailable
        without a spool, StoreError if neither spool nor database can take it.
        """
        self._journal.keep(batch)

    def drain(self, underlying: str, most: int | None = None) -> int:
        """Write what the spool holds, oldest first, at most so many minutes; how many that were.

        Raises StoreUnavailable while the database is away, LockHeld if another process took over the underlying;
        what was not written stays in the spool.
        """
        return self._journal.drain(underlying, most)

    def keep_checkpoint(self, chain: OptionChain) -> None:
        """Put the latest rows beside the spool in place of the last ones; a disk that is full costs them alone."""
        self._journal.keep_checkpoint(chain)

    def kept_checkpoint(self, underlying: str) -> OptionChain | None:
        """What `keep_checkpoint` put there last, if it is whole."""
        return self._journal.kept_checkpoint(underlying)

    def drop_checkpoint(self, underlying: str) -> None:
        """The database has what was put there."""
        self._journal.drop_checkpoint(underlying)

    def write_minute(self, batch: MinuteBatch) -> None:
        """`keep_minute`, and `drain` if the database is there; raises what they raise."""
        self._journal.write(batch)

    def recover(self, underlying: str) -> int:
        """Write what a killed process left in the spool; returns how many minutes that were.

        Of an underlying that is not ours to write, a stored bar gives way to a fuller one only.
        Raises StoreUnavailable while the database is away; nothing is lost by that.
        """
        return self._journal.recover(underlying)

    def write_bars(self, bars: Sequence[MinuteBar]) -> None:
        """Upsert underlying minutes alone (gap filling)."""
        rows = minutes.storable_bars(bars)

        def write(connection: Connection) -> None:
            self._days.ensure(connection, "underlying_quotes", (row["timestamp"] for row in rows))
            with connection.transaction():
                minutes.write_bars(connection, rows)
                for symbol in dict.fromkeys(row["symbol"] for row in rows):
                    connection.execute(statement("notify"), {"payload": payload("minute", symbol)})

        self._do(write)

    def minute_chain(self, underlying: str, timestamp: datetime | None = None) -> OptionChain | None:
        """The chain stored for a minute (None: the last one), ordered by expiration, root, strike, kind."""
        return self._do(lambda connection: minutes.read_chain(connection, underlying, timestamp))

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[MinuteBar]:
        """Stored minutes with start in [start, end), ascending."""
        rows = self._rows("bars", symbol=symbol, start=start, end=end)
        return [MinuteBar(*row) for row in rows]

    def chain_minutes(self, underlying: str, start: datetime, end: datetime) -> Sequence[datetime]:
        """Which minutes in [start, end) have a stored chain, ascending."""
        return [stamp for (stamp,) in self._rows("chain_minutes", underlying=underlying, start=start, end=end)]

    def unanalysed_minutes(
        self, underlying: str, start: datetime, end: datetime, step: timedelta, limit: int
    ) -> Sequence[ChainVersion]:
        """Minutes in [start, end), newest first, with no analysis closer than `step` or one older than their chain."""
        named = {"underlying": underlying, "start": start, "end": end, "step": step, "limit": limit}
        return [ChainVersion(*row) for row in self._rows("unanalysed_minutes", **named)]

    def declared_gaps(self, underlying: str, since: datetime) -> Sequence[DataGap]:
        """What ingest declared missing, or without news, that ended after `since`; oldest first."""
        rows = self._rows("declared_gaps", underlying=underlying, since=since)
        return [DataGap(what, start, end, GapReason(why), *rest) for what, start, end, why, *rest in rows]

    def last_bar(self, symbol: str) -> MinuteBar | None:
        """The newest stored minute of a symbol."""
        rows = self._rows("last_bar", symbol=symbol)
        return MinuteBar(*rows[0]) if rows else None

    def underlyings(self) -> Sequence[str]:
        """Symbols with any data, ascending."""
        return [symbol for (symbol,) in self._rows("known_underlyings")]

    # --- the latest rows ---

    def write_latest(self, chain: OptionChain, changed: Bools) -> None:
        """Upsert the changed rows of the latest-row table, and the spot; notifies `latest`.

        The first write of a process, and one after a crash of the server, replaces all rows.
        """

        def write(connection: Connection) -> None:
            with connection.transaction():
                self._locks.fence(connection, chain.underlying)
                rows = latest.write_latest(connection, chain, changed, self._writer)
            if rows is not None:
                minutes.report_rejected(chain.underlying, rows)

        self._do(write)

    def forget_latest(self, underlying: str, symbols: Sequence[str]) -> None:
        """Remove contracts no longer followed (expired, out of the window) from the latest rows."""

        def write(connection: Connection) -> None:
            with connection.transaction():
                latest.forget_latest(connection, underlying, symbols)

        self._do(write)

    def latest_chain(self, underlying: str) -> OptionChain | None:
        """The newest known row of each followed contract, ordered by expiration, root, strike, kind."""
        return self._do(lambda connection: latest.read_latest(connection, underlying))

    # --- analyses ---

    def chain_versions(self, underlying: str) -> Sequence[ChainVersion]:
        """The minutes with a chain of the last day that has any, ascending."""
        return [ChainVersion(*row) for row in self._rows("chain_versions", underlying=underlying)]

    def write_analysis(self, analysis: Analysis, timestamp: datetime, version: int | None = None) -> None:
        """Upsert gex_summary and gex_calculations for a minute; notifies `gex`.  `version`: of the chain it saw."""
        summary = analysis_rows.summary(analysis, timestamp)
        cells, unstorable = analysis_rows.cells(analysis)
        if unstorable:
            log.warning("cells rejected", extra={"underlying": analysis.underlying, "rejected": unstorable})
        key = {"underlying": analysis.underlying, "timestamp": timestamp}

        def write(connection: Connection) -> None:
            self._days.ensure(connection, "gex_calculations", [timestamp])
            with connection.transaction():
                known = connection.execute(statement("upsert_gex_summary"), summary).fetchone() is None
                connection.execute(statement("note_chain_version"), {**key, "version": version})
                if known:
                    return  # stored before, number for number
                connection.execute(statement("stage_cells"))
                with connection.cursor().copy(statement("copy_cells")) as copy:
                    copy.write(cells)
                connection.execute(statement("clear_cells"), key)
                connection.execute(statement("insert_cells"), key)
                connection.execute(statement("insert_strikes"), key)
                connection.execute(statement("notify"), {"payload": payload("gex", analysis.underlying)})

        self._do(write)

    def write_live(self, analysis: Analysis, payload: bytes) -> None:
        """Replace the one live row of an underlying (`payload`: its JSON); notifies `gex`."""
        named = {
            "underlying": analysis.underlying,
            "data_timestamp": analysis.data_timestamp,
            "simulated": analysis.simulated,
            "payload": payload.decode(),
        }
        notice = {"payload": f"gex {analysis.underlying}"}

        def write(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(statement("upsert_gex_live"), named)
                connection.execute(statement("notify"), notice)

        self._do(write)

    def live(self, underlying: str) -> bytes | None:
        """The JSON of the newest live analysis, byte for byte as it was given."""
        rows = self._rows("gex_live", underlying=underlying)
        return rows[0][0].encode() if rows else None

    def gex_history(self, underlying: str, start: datetime, end: datetime) -> Sequence[dict[str, Any]]:
        """Rows of gex_summary, ascending."""

        def read(connection: Connection) -> list[dict[str, Any]]:
            with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
                named = {"underlying": underlying, "start": start, "end": end}
                return cursor.execute(statement("gex_history"), named).fetchall()

        return self._do(read)

    # --- questions and notices ---

    def query(self, name: str, **parameters: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one named read query: column names and rows.  Parameters left out are None.

        Raises StoreError for a name or a parameter that does not exist, naming those that do.
        """
        known = queries().get(name.replace("-", "_")) or api_queries().get(name)
        if known is None:
            raise StoreError(f"there is no query {name!r}; there are {', '.join(sorted(queries()))}")
        if unknown := sorted(set(parameters) - set(known.parameters)):
            takes = ", ".join(known.parameters) or "none"
            raise StoreError(f"query {name!r} has no parameter {', '.join(unknown)}; it takes {takes}")
        named = {parameter: parameters.get(parameter) for parameter in known.parameters}

        def read(connection: Connection) -> tuple[list[str], list[tuple[Any, ...]]]:
            with connection.transaction():
                connection.execute(statement("read_only"))
                cursor = connection.execute(known.text, named)
                return [column.name for column in cursor.description or ()], cursor.fetchall()

        return self._do(read)

    def record_findings(self, underlying: str, day: date, findings: Sequence[Finding]) -> None:
        """Replace what is known of a day's quality: findings no longer found are marked as resolved."""
        rows = [{**asdict(finding), "underlying": underlying, "trading_day": day} for finding in findings]

        def write(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(statement("record_finding"), rows)
                cursor.execute(statement("resolve_findings"), {"underlying": underlying, "trading_day": day})

        self._do(write)

    def notices(self, timeout_s: float) -> Iterator[Notice]:
        """Notices as they come; ends after `timeout_s` without one (0.5 s is a good poll)."""
        return self._listeners.notices(timeout_s)

    def close(self) -> None:
        """Give back every connection."""
        self._listeners.close()
        self._fellows.close()
        self._pool.close()

    # --- how a connection is used ---

    def _rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        def read(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.transaction():
                return connection.execute(statement(name), parameters).fetchall()

        return self._do(read)

    def _do(self, action: Callable[[Connection], T]) -> T:
        """Run an action, once more if its connection was cut or a partition it knew is gone.

        Everything done here may be done twice: reads, upserts by natural key, and batches, whose id
        tells whether the first try was committed before the connection broke.
        """
        with in_our_words(self.config):
            try:
                with self._pool.connection() as connection:
                    return action(connection)
            except psycopg.Error as error:
                if is_no_partition(error):
                    self._days.forget()
                elif is_connection_lost(error) and self._patience.most_s is None:
                    self._pool.discard_idle()
                    self._locks.renew()
                else:
                    raise
            with self._pool.connection() as connection:
                return action(connection)


_FEED = ("provider", "simulated", "market_anchor", "wall_anchor", "speed")


def _utc(instant: datetime | None) -> datetime | None:
    return instant.astimezone(UTC) if instant is not None else None

"""The road of a closed minute: kept on the disk first, then written into the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zerogex.errors import StoreError, StoreUnavailable
from zerogex.ports import MinuteBatch
from zerogex.store import minutes
from zerogex.store.connections import Connection
from zerogex.store.failures import Refused
from zerogex.store.locks import WriterLocks
from zerogex.store.spool import Spool, SpoolFile

log = logging.getLogger(__name__)

Do = Callable[[Callable[[Connection], Any]], Any]


class MinuteJournal:
    """The closed minutes of one store; without a spool, the database alone must take them."""

    def __init__(
        self,
        do: Do,
        spool: Spool | None,
        locks: WriterLocks,
        days: minutes.DayPartitions,
        on_step: Callable[[str], None],
    ) -> None:
        self._do, self._spool, self._locks, self._days, self._on_step = do, spool, locks, days, on_step

    def recover(self, underlying: str) -> int:
        """See `PostgresStore.recover`."""
        if self._spool is None:
            return 0
        with self._spool.open(underlying) as file:
            count = self._drain(file, fuller=not self._locks.holds(underlying))
        if count:
            log.info("spool recovered", extra={"underlying": underlying, "minutes": count})
        return count

    def write(self, batch: MinuteBatch) -> None:
        """See `PostgresStore.write_minute`."""
        if self._spool is None:
            self._write_batch(batch)
            return
        with self._spool.open(batch.underlying) as file:
            self._on_step("before_spool")
            try:
                file.append(batch)
            except OSError as error:
                self._write_unspooled(batch, file.path, error)
                return
            self._on_step("after_spool_fsync")
            try:
                self._locks.renew()
                self._drain(file)
            except StoreUnavailable as error:
                log.warning("minute spooled", extra={"underlying": batch.underlying, "reason": str(error)})

    def _write_unspooled(self, batch: MinuteBatch, path: Path, error: OSError) -> None:
        """The spool's disk is full or broken: the database alone must do."""
        log.error("spool not writable", extra={"file": str(path), "reason": str(error)})
        try:
            self._write_batch(batch)
        except StoreUnavailable as unavailable:
            raise StoreError(
                f"the minute {batch.timestamp:%Y-%m-%d %H:%M} UTC of {batch.underlying} can be kept neither in the "
                f"spool {path} ({error.strerror}) nor in the database ({unavailable}); free disk space"
            ) from unavailable

    def _drain(self, file: SpoolFile, *, fuller: bool = False) -> int:
        """Write what the spool holds, oldest first; how many batches that were."""
        count = 0
        for end, batch in file.pending():
            try:
                self._write_batch(batch, fuller=fuller)
            except Refused as error:
                aside = file.set_aside(batch)
                extra = {"underlying": batch.underlying, "minute": batch.timestamp.isoformat(), "kept_in": str(aside)}
                log.error("minute refused", extra={**extra, "reason": str(error)})
            file.done(end)
            count += 1
        self._on_step("before_spool_trim")
        file.clear()
        self._on_step("after_trim")
        return count

    def _write_batch(self, batch: MinuteBatch, *, fuller: bool = False) -> None:
        def write(connection: Connection) -> None:
            fence = lambda c: self._locks.fence(c, batch.underlying)  # noqa: E731
            minutes.write_batch(connection, batch, self._days, fence, self._on_step, fuller=fuller)

        self._do(write)

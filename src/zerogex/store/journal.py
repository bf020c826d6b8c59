"""The road of a closed minute: kept on the disk first, and then, however long that takes, written into the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

from zerogex.domain.chain import OptionChain
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

    def keep(self, batch: MinuteBatch) -> None:
        """See `Store.keep_minute`."""
        if self._spool is None:
            self.write_batch(batch)
            return
        self._on_step("before_spool")
        try:
            self._spool.append(batch)
        except OSError as error:
            self._write_unspooled(batch, error)
        else:
            self._on_step("after_spool_fsync")

    def drain(self, underlying: str, most: int | None = None) -> int:
        """See `Store.drain`."""
        if self._spool is None or not self._spool.holds(underlying):
            return 0
        self._locks.renew(underlying)
        return self._drain(self._spool, underlying, most)

    def write(self, batch: MinuteBatch) -> None:
        """See `Store.write_minute`."""
        self.keep(batch)
        try:
            self.drain(batch.underlying)
        except StoreUnavailable as error:
            log.warning("minute spooled", extra={"underlying": batch.underlying, "reason": str(error)})

    def recover(self, underlying: str) -> int:
        """See `Store.recover`; of an underlying that is not ours, a stored bar gives way to a fuller one only."""
        count = 0
        try:
            while self._spool is not None and self._spool.holds(underlying):
                count += self._drain(self._spool, underlying, fuller=not self._locks.holds(underlying))
        except _SpoolRefuses as error:
            log.error("spool not recovered", extra={"underlying": underlying, "reason": str(error)})
        if count:
            log.info("spool recovered", extra={"underlying": underlying, "minutes": count})
        return count

    def keep_checkpoint(self, chain: OptionChain) -> None:
        """See `Store.keep_checkpoint`."""
        if self._spool is None:
            return
        try:
            self._spool.put_checkpoint(MinuteBatch(uuid4(), chain.underlying, chain.as_of, chain, ()))
        except OSError as error:
            log.error("checkpoint not kept", extra={"underlying": chain.underlying, "reason": str(error)})

    def kept_checkpoint(self, underlying: str) -> OptionChain | None:
        """See `Store.kept_checkpoint`."""
        batch = None if self._spool is None else self._spool.checkpoint(underlying)
        return None if batch is None else batch.chain

    def drop_checkpoint(self, underlying: str) -> None:
        """See `Store.drop_checkpoint`."""
        if self._spool is None:
            return
        try:
            self._spool.drop_checkpoint(underlying)
        except OSError as error:  # an old one is passed over: the database has newer rows
            log.error("checkpoint not removed", extra={"underlying": underlying, "reason": str(error)})

    def write_batch(self, batch: MinuteBatch, *, fuller: bool = False) -> None:
        """Into the database, past the spool."""

        def write(connection: Connection) -> None:
            fence = lambda c: self._locks.fence(c, batch.underlying)  # noqa: E731
            minutes.write_batch(connection, batch, self._days, fence, self._on_step, fuller=fuller)

        self._do(write)

    def _write_unspooled(self, batch: MinuteBatch, error: OSError) -> None:
        """The spool's disk is full or broken: the database alone must do, after what the spool holds already."""
        assert self._spool is not None
        path = self._spool.path(batch.underlying)
        log.error("spool not writable", extra={"file": str(path), "reason": str(error)})
        with suppress(StoreUnavailable):  # a spool that cannot be read either
            self.drain(batch.underlying)
        try:
            self.write_batch(batch)
        except StoreUnavailable as unavailable:
            raise StoreError(
                f"the minute {batch.timestamp:%Y-%m-%d %H:%M} UTC of {batch.underlying} can be kept neither in the "
                f"spool {path} ({error.strerror}) nor in the database ({unavailable}); free disk space"
            ) from unavailable

    def _drain(self, spool: Spool, underlying: str, most: int | None = None, *, fuller: bool = False) -> int:
        """Write what the spool holds, oldest first; how many batches that were."""
        count = 0
        with _worked_on(spool, underlying) as file:
            for end, batch in islice(file.pending(), most):
                try:
                    self.write_batch(batch, fuller=fuller)
                except Refused as error:
                    extra = {"underlying": underlying, "minute": batch.timestamp, "reason": str(error)}
                    log.error("minute refused", extra={**extra, "kept_in": str(file.set_aside(batch))})
                file.done(end)
                count += 1
            self._on_step("before_spool_trim")
            file.trim()
            self._on_step("after_trim")
        return count


class _SpoolRefuses(StoreUnavailable):
    """The disk does not let us work on a spool: its minutes wait there, and others go on."""


@contextmanager
def _worked_on(spool: Spool, underlying: str) -> Iterator[SpoolFile]:
    try:
        with spool.draining(underlying) as file:
            yield file
    except OSError as error:
        raise _SpoolRefuses(f"the spool {spool.path(underlying)} cannot be worked on ({error.strerror})") from error

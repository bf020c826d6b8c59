"""A write-ahead file for minutes: what is in it survives us, and the database being away.

One append-only file an underlying.  A record is a mark, the length and the CRC-32 of its payload, and
the payload: a MinuteBatch in msgpack, its columns as raw bytes.  A reader that meets a torn tail or a
flipped bit counts it, looks for the next mark, and goes on: no good record is lost behind a bad one.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
import numpy as np

from zerogex.crashpoints import crashpoint
from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import COLUMNS, OptionChain, objects
from zerogex.domain.gap import DataGap
from zerogex.ports import MinuteBatch

log = logging.getLogger(__name__)

_MARK = b"ZGX\x01"
_HEAD = struct.Struct("<4sII")  # mark, payload length in bytes, CRC-32 of the payload
_TEXTS = ("symbol", "root")


class _Chain(msgspec.Struct):
    spot: float
    as_of: datetime
    spot_time: datetime | None
    simulated: bool
    delayed: bool
    texts: dict[str, list[str]]
    columns: dict[str, tuple[str, bytes]]  # name → numpy's type, bytes


class _Record(msgspec.Struct):
    batch_id: UUID
    underlying: str
    timestamp: datetime
    bars: tuple[MinuteBar, ...]
    chain: _Chain | None
    gaps: tuple[DataGap, ...] = ()
    trades_only: bool = False


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Record)


def encode(batch: MinuteBatch) -> bytes:
    """A batch as one framed record."""
    chain = None if batch.chain is None else _flat(batch.chain)
    named = (batch.batch_id, batch.underlying, batch.timestamp)
    record = _Record(*named, batch.bars, chain, batch.gaps, batch.trades_only)
    payload = _ENCODER.encode(record)
    return _HEAD.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def _flat(chain: OptionChain) -> _Chain:
    columns = {name: getattr(chain, name) for name in COLUMNS}
    return _Chain(
        chain.spot,
        chain.as_of,
        chain.spot_time,
        chain.simulated,
        chain.delayed,
        {name: columns.pop(name).tolist() for name in _TEXTS},
        {name: (column.dtype.str, column.tobytes()) for name, column in columns.items()},
    )


def _chain(underlying: str, flat: _Chain) -> OptionChain:
    columns: dict[str, Any] = {name: objects(values) for name, values in flat.texts.items()}
    columns |= {name: np.frombuffer(data, kind) for name, (kind, data) in flat.columns.items()}
    said_once = (flat.spot_time, flat.simulated, flat.delayed)
    scalars: dict[str, Any] = dict(zip(("spot_time", "simulated", "delayed"), said_once, strict=True))
    return OptionChain(underlying, flat.spot, flat.as_of, **columns, **scalars)


def _batch(payload: bytes) -> MinuteBatch:
    record = _DECODER.decode(payload)
    chain = None if record.chain is None else _chain(record.underlying, record.chain)
    named = (record.batch_id, record.underlying, record.timestamp)
    return MinuteBatch(*named, chain, record.bars, record.gaps, record.trades_only)


def scan(data: bytes | mmap.mmap, start: int = 0) -> Iterator[tuple[int, MinuteBatch | None]]:
    """The good records from an offset on, each with the offset behind it; None for each damaged stretch."""
    position, damaged = start, False
    while position < len(data):
        end = position + _HEAD.size
        if end <= len(data):
            mark, length, checksum = _HEAD.unpack_from(data, position)
            payload = data[end : end + length]
            if mark == _MARK and len(payload) == length and zlib.crc32(payload) == checksum:
                position, damaged = end + length, False
                yield position, _batch(payload)
                continue
        following = data.find(_MARK, position + 1)
        position = following if following >= 0 else len(data)
        if not damaged:
            damaged = True
            yield position, None


class Spool:
    """A folder of spool files, private to us; safe from several threads and processes.

    Who appends waits for others that append, and for nothing else: draining goes on beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._named: set[Path] = set()  # files whose name is on the disk, too
        self._done: dict[Path, tuple[int, bytes]] = {}  # offsets behind what the database has, for this process's life

    def path(self, underlying: str) -> Path:
        """The file of an underlying."""
        return self.folder / f"{quote(underlying, safe='')}.spool"

    def append(self, batch: MinuteBatch) -> None:
        """Add a batch; on the disk when this returns.  On OSError the file is as it was before."""
        data, path = encode(batch), self.path(batch.underlying)
        with _opened(path) as descriptor, _alone(descriptor):
            if path not in self._named:  # a new file's name must survive a power cut as well as its content
                self._sync_folder()
                self._named.add(path)
            _append(descriptor, data)

    def holds(self, underlying: str) -> bool:
        """Whether anything waits for the database."""
        with suppress(FileNotFoundError):
            return self.path(underlying).stat().st_size > 0
        return False

    @contextmanager
    def draining(self, underlying: str) -> Iterator[SpoolFile]:
        """The file of an underlying that `holds` something; other drainers wait."""
        path = self.path(underlying)
        with _opened(path.with_suffix(".draining")) as turn, _alone(turn), _opened(path) as descriptor:
            yield SpoolFile(path, descriptor, self._done)

    def put_checkpoint(self, batch: MinuteBatch) -> None:
        """Put a batch beside the file in place of the last one; a kill leaves the one or the other whole."""
        path = self._checkpoint_path(batch.underlying)
        fresh = path.with_suffix(".checkpoint.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode(batch))
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
        self._sync_folder()

    def checkpoint(self, underlying: str) -> MinuteBatch | None:
        """What was put last; None where there is nothing, or nothing whole."""
        try:
            data = self._checkpoint_path(underlying).read_bytes()
        except FileNotFoundError:
            return None
        return next((batch for _, batch in scan(data) if batch is not None), None)

    def drop_checkpoint(self, underlying: str) -> None:
        """Forget what was put."""
        self._checkpoint_path(underlying).unlink(missing_ok=True)

    def _checkpoint_path(self, underlying: str) -> Path:
        return self.path(underlying).with_suffix(".checkpoint")

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class SpoolFile:
    """The spool of one underlying, for its one drainer."""

    def __init__(self, path: Path, descriptor: int, done: dict[Path, tuple[int, bytes]]) -> None:
        self.path, self._descriptor, self._done = path, descriptor, done

    def pending(self) -> Iterator[tuple[int, MinuteBatch]]:
        """Batches not yet done, in order, each with the offset behind it; damage is logged and passed over.

        What is appended meanwhile comes the next time.
        """
        start = self._done_until()
        with _alone(self._descriptor):  # no append is half done here, and none that fails will cut below this
            size = os.fstat(self._descriptor).st_size
        if size <= start:
            return
        damaged = 0
        try:
            with mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ) as data:
                for end, batch in scan(data, start):
                    if batch is None:
                        damaged += 1
                    else:
                        yield end, batch
                    data.madvise(mmap.MADV_DONTNEED, 0, end)  # what was read: an outage must not fill memory
        finally:
            if damaged:
                log.error("spool damaged", extra={"file": str(self.path), "stretches": damaged})
        self.done(size)

    def done(self, offset: int) -> None:
        """What lies before the offset is in the database."""
        self._done[self.path] = (offset, self._head())

    def set_aside(self, batch: MinuteBatch) -> Path:
        """Keep a batch that the database refuses for good, out of the others' way."""
        path = self.path.with_suffix(".refused")
        with path.open("ab") as file:
            file.write(encode(batch))
            file.flush()
            os.fsync(file.fileno())
        return path

    def trim(self) -> bool:
        """Empty the file, if everything in it is done; False where something is not, or was appended meanwhile."""
        with _alone(self._descriptor):
            if os.fstat(self._descriptor).st_size > self._done_until():
                return False
            os.ftruncate(self._descriptor, 0)
        self._done.pop(self.path, None)
        return True

    def _done_until(self) -> int:
        """The offset behind what is done, of this filling of the file."""
        offset, head = self._done.get(self.path, (0, b""))
        return offset if head == self._head() else 0  # another process may have emptied it, and it was filled anew

    def _head(self) -> bytes:
        """The first record's mark, length and checksum: tells this filling of the file from the next."""
        return os.pread(self._descriptor, _HEAD.size, 0)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Other threads and processes that want the same file wait."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _append(descriptor: int, record: bytes) -> None:
    """Write and fsync; on OSError cut what was written off again."""
    size = os.fstat(descriptor).st_size
    data = memoryview(record)
    try:
        data = data[os.write(descriptor, data[: len(data) // 2]) :]
        crashpoint("mid_spool_write")
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):  # a torn tail is recognised when it is read
            os.ftruncate(descriptor, size)
        raise

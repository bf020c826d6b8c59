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


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Record)


def encode(batch: MinuteBatch) -> bytes:
    """A batch as one framed record."""
    chain = None if batch.chain is None else _flat(batch.chain)
    record = _Record(batch.batch_id, batch.underlying, batch.timestamp, batch.bars, chain, batch.gaps)
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
    return MinuteBatch(record.batch_id, record.underlying, record.timestamp, chain, record.bars, record.gaps)


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


class SpoolFile:
    """The spool of one underlying, opened and locked."""

    def __init__(self, path: Path, descriptor: int, done: dict[Path, tuple[int, bytes]]) -> None:
        self.path, self._descriptor, self._done = path, descriptor, done

    def append(self, batch: MinuteBatch) -> None:
        """Add a batch; on the disk when this returns.  On OSError the file is as it was before."""
        size = os.fstat(self._descriptor).st_size
        data = memoryview(encode(batch))
        try:
            data = data[os.write(self._descriptor, data[: len(data) // 2]) :]
            crashpoint("mid_spool_write")
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):  # a torn tail is recognised when it is read
                os.ftruncate(self._descriptor, size)
            raise

    def pending(self) -> Iterator[tuple[int, MinuteBatch]]:
        """Batches not yet done, in order, each with the offset behind it; damage is logged and passed over."""
        start, head = self._done.get(self.path, (0, b""))
        if head != self._head():  # another process emptied the file, and it was filled anew
            start = 0
        if os.fstat(self._descriptor).st_size <= start:
            return
        damaged = 0
        with mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as data:  # a long outage must not fill memory
            for end, batch in scan(data, start):
                if batch is None:
                    damaged += 1
                else:
                    yield end, batch
        if damaged:
            log.error("spool damaged", extra={"file": str(self.path), "stretches": damaged})

    def done(self, offset: int) -> None:
        """What lies before the offset is in the database."""
        self._done[self.path] = (offset, self._head())

    def _head(self) -> bytes:
        """The first record's mark, length and checksum: tells this filling of the file from the next."""
        return os.pread(self._descriptor, _HEAD.size, 0)

    def set_aside(self, batch: MinuteBatch) -> Path:
        """Keep a batch that the database refuses for good, out of the others' way."""
        path = self.path.with_suffix(".refused")
        with path.open("ab") as file:
            file.write(encode(batch))
            file.flush()
            os.fsync(file.fileno())
        return path

    def clear(self) -> None:
        """Everything is in the database."""
        os.ftruncate(self._descriptor, 0)
        self._done.pop(self.path, None)


class Spool:
    """A folder of spool files, private to us."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._done: dict[Path, tuple[int, bytes]] = {}  # offsets behind what the database has, for this process's life

    @contextmanager
    def open(self, underlying: str) -> Iterator[SpoolFile]:
        """The file of an underlying, for us alone: other threads and processes wait."""
        path = self.folder / f"{quote(underlying, safe='')}.spool"
        fresh = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if fresh:
                self._sync_folder()
            yield SpoolFile(path, descriptor, self._done)
        finally:
            os.close(descriptor)

    def _sync_folder(self) -> None:
        """A new file's name must survive a power cut as well as its content."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

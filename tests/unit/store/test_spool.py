"""The spool keeps every good record, whatever happened to its file."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import COLUMNS, OptionChain
from zerogex.ports import MinuteBatch
from zerogex.store.spool import Spool, encode, scan

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)


def batch(number: int, chain: OptionChain | None = None) -> MinuteBatch:
    timestamp = MINUTE + timedelta(minutes=number)
    bar = MinuteBar("SPY", timestamp, 1.1, 2.2, 0.5, 1.5, 10**12, number)
    return MinuteBatch(UUID(int=number), "SPY", timestamp, chain, (bar,))


RECORDS = [encode(batch(number)) for number in range(5)]


def numbers(data: bytes) -> list[int | None]:
    return [None if found is None else found.batch_id.int for _, found in scan(data)]


def test_a_batch_comes_back_as_it_was(tmp_path: Path, make_chain: Callable[..., OptionChain]) -> None:
    given_batch = batch(1, make_chain())
    with Spool(tmp_path).open("SPY") as file:
        file.append(given_batch)
        ((_, found),) = file.pending()
    assert (found.batch_id, found.underlying, found.timestamp) == (UUID(int=1), "SPY", given_batch.timestamp)
    assert found.bars == given_batch.bars
    assert found.chain is not None and given_batch.chain is not None
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found.chain, name), getattr(given_batch.chain, name))
    for name in ("spot", "as_of", "spot_time", "simulated", "delayed"):
        assert getattr(found.chain, name) == getattr(given_batch.chain, name)


def test_order_is_kept_and_what_is_done_is_not_read_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.open("SPY") as file:
        for number in range(4):
            file.append(batch(number))
        for end, found in file.pending():
            if found.batch_id.int == 1:
                file.done(end)
                break
    with spool.open("SPY") as file:
        assert [found.batch_id.int for _, found in file.pending()] == [2, 3]
        file.clear()
        file.append(batch(9))
        assert [found.batch_id.int for _, found in file.pending()] == [9]


@given(cut=st.integers(0, sum(map(len, RECORDS))))
def test_a_torn_tail_costs_only_the_torn_record(cut: int) -> None:
    data = b"".join(RECORDS)[:cut]
    whole = sum(sum(map(len, RECORDS[: n + 1])) <= cut for n in range(len(RECORDS)))
    torn = [None] if cut != sum(map(len, RECORDS[:whole])) else []
    assert numbers(data) == [*range(whole), *torn]


@given(position=st.integers(0, sum(map(len, RECORDS)) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_only_its_own_record(position: int, bit: int) -> None:
    data = bytearray(b"".join(RECORDS))
    data[position] ^= 1 << bit
    ends = np.cumsum([len(record) for record in RECORDS])
    hit = int(np.searchsorted(ends, position, side="right"))
    assert numbers(bytes(data)) == [None if number == hit else number for number in range(len(RECORDS))]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_noise_is_never_taken_for_a_record(noise: bytes) -> None:
    assert [found for found in numbers(noise + RECORDS[0] + noise) if found is not None] == [0]


def test_a_file_that_another_process_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    ours, theirs = Spool(tmp_path), Spool(tmp_path)
    with ours.open("SPY") as file:
        for number in range(3):
            file.append(batch(number))
        first, _ = next(file.pending())
        file.done(first)  # and then the database went away
    with theirs.open("SPY") as file:
        assert len(list(file.pending())) == 3
        file.clear()
    with ours.open("SPY") as file:
        file.append(batch(7))
        assert [kept.batch_id.int for _, kept in file.pending()] == [7]


def test_damage_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "SPY.spool").write_bytes(RECORDS[0] + b"garbage" + RECORDS[1] + RECORDS[2][:-1])
    with Spool(tmp_path).open("SPY") as file:
        assert [found.batch_id.int for _, found in file.pending()] == [0, 1]
    (record,) = (record for record in caplog.records if record.message == "spool damaged")
    assert record.stretches == 2


def test_files_are_ours_alone_and_named_after_the_symbol(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool").open("../$SPX/.X") as file:
        file.append(batch(1))
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["..%2F%24SPX%2F.X.spool"]
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    with Spool(tmp_path).open("SPY") as file:
        file.append(batch(1))
        before = file.path.read_bytes()

        def short_write(descriptor: int, data: memoryview) -> int:
            if len(data) < 60:
                raise OSError(28, "No space left on device")
            return real_write(descriptor, bytes(data[:50]))

        monkeypatch.setattr(os, "write", short_write)
        with pytest.raises(OSError, match="No space left"):
            file.append(batch(2))
        assert file.path.read_bytes() == before

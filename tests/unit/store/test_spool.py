"""The spool keeps every good record, whatever happened to its file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import COLUMNS, OptionChain
from zerogex.ports import MinuteBatch
from zerogex.store import spool as spool_module
from zerogex.store.spool import Spool, SpoolFile, encode, scan

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)


def batch(number: int, chain: OptionChain | None = None) -> MinuteBatch:
    timestamp = MINUTE + timedelta(minutes=number)
    bar = MinuteBar("SPY", timestamp, 1.1, 2.2, 0.5, 1.5, 10**12, number)
    return MinuteBatch(UUID(int=number), "SPY", timestamp, chain, (bar,))


RECORDS = [encode(batch(number)) for number in range(5)]


def numbers(data: bytes) -> list[int | None]:
    return [None if found is None else found.batch_id.int for _, found in scan(data)]


def waiting(spool: Spool, most: int | None = None) -> list[int]:
    """Drain, into this list."""
    found = []
    with spool.draining("SPY") as file:
        for end, kept in islice(file.pending(), most):
            found.append(kept.batch_id.int)
            file.done(end)
        file.trim()
    return found


def test_a_checkpoint_is_replaced_whole_and_a_damaged_one_is_none(
    tmp_path: Path, make_chain: Callable[..., OptionChain]
) -> None:
    spool = Spool(tmp_path)
    assert spool.checkpoint("SPY") is None
    for number in (1, 2):
        spool.put_checkpoint(batch(number, make_chain(seed=number)))
        found = spool.checkpoint("SPY")
        assert found is not None
        assert found.batch_id.int == number
    path = tmp_path / "SPY.checkpoint"
    path.write_bytes(path.read_bytes()[:-1])  # as a power cut may leave it
    assert spool.checkpoint("SPY") is None
    assert not spool.holds("SPY")
    spool.drop_checkpoint("SPY")
    spool.drop_checkpoint("SPY")
    assert list(tmp_path.iterdir()) == []


def test_a_batch_comes_back_as_it_was(tmp_path: Path, make_chain: Callable[..., OptionChain]) -> None:
    given_batch, spool = batch(1, make_chain()), Spool(tmp_path)
    spool.append(given_batch)
    with spool.draining("SPY") as file:
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
    assert not spool.holds("SPY")
    for number in range(4):
        spool.append(batch(number))
    assert waiting(spool, 2) == [0, 1]
    assert spool.holds("SPY")
    assert waiting(spool) == [2, 3]
    assert not spool.holds("SPY")
    spool.append(batch(9))
    assert waiting(spool) == [9]


def test_what_is_appended_while_a_drain_runs_waits_for_the_next(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path), Spool(tmp_path)
    spool.append(batch(0))
    with spool.draining("SPY") as file:
        for end, _ in file.pending():
            spool.append(batch(1))
            other.append(batch(2))
            file.done(end)
        assert not file.trim()
    assert waiting(spool) == [1, 2]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel says what is resident in Linux' /proc")
def test_a_long_backlog_is_read_without_staying_in_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    bars = batch(1).bars * 10_000
    for number in range(40):
        spool.append(replace(batch(number), bars=bars))
    size_kb = spool.path("SPY").stat().st_size // 1024
    with spool.draining("SPY") as file:
        resident_kb = [mapped_kb(spool.path("SPY")) for _ in file.pending()]
    assert len(resident_kb) == 40
    assert 0 < max(resident_kb) < size_kb / 8


def mapped_kb(path: Path) -> int:
    """How much of a mapped file is in our memory."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    here = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
    return next(int(line.split()[1]) for line in lines[here:] if line.startswith("Rss:"))


def test_a_drain_never_sees_half_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, found = Spool(tmp_path), list[int]()
    reader = threading.Thread(target=lambda: found.extend(waiting(spool)))

    def half_way(name: str) -> None:
        reader.start()
        reader.join(0.05)  # long enough to read, if nothing kept it from that

    monkeypatch.setattr(spool_module, "crashpoint", half_way)
    spool.append(batch(1))
    reader.join()
    assert found == [1]


class Spooling(RuleBasedStateMachine):
    """Two processes append and drain one spool, in any order, and die where they like."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.lives = [Spool(Path(self.folder.name)) for _ in range(2)]
        self.kept: list[int] = []  # acknowledged
        self.written: list[int] = []  # to the database, each the first time
        self.lost = 0  # appends that died half way
        self.drainer = 0  # whose turn it is
        self.known: list[set[int]] = [set(), set()]  # what each life knows to be in the database
        self.turn = ExitStack()
        self.file: SpoolFile | None = None
        self.records: Iterator[tuple[int, MinuteBatch]] = iter(())

    @rule(which=st.integers(0, 1))
    def append(self, which: int) -> None:
        number = len(self.kept) + self.lost
        self.lives[which].append(batch(number))
        self.kept.append(number)

    @rule(which=st.integers(0, 1), share=st.floats(0, 1, exclude_max=True))
    def die_while_appending(self, which: int, share: float) -> None:
        record = encode(batch(len(self.kept) + self.lost))
        self.lost += 1
        with self.lives[which].path("SPY").open("ab") as file:
            file.write(record[: int(share * len(record))])
        self.die(which)

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        if which == self.drainer:
            self.finish()
        self.lives[which], self.known[which] = Spool(Path(self.folder.name)), set()

    @precondition(lambda self: self.file is None)
    @rule(which=st.integers(0, 1))
    def begin_to_drain(self, which: int) -> None:
        if self.lives[which].holds("SPY"):
            self.drainer = which
            self.file = self.turn.enter_context(self.lives[which].draining("SPY"))
            self.records = self.file.pending()

    @precondition(lambda self: self.file is not None)
    @rule(acknowledged=st.booleans())
    def write_one(self, acknowledged: bool) -> None:
        assert self.file is not None
        if (found := next(self.records, None)) is None:
            return
        end, kept = found
        number = kept.batch_id.int
        assert number not in self.known[self.drainer]
        if number not in self.written:  # the database knows a batch by its id
            self.written.append(number)
        if acknowledged:
            self.file.done(end)
            self.known[self.drainer].add(number)
        else:
            self.finish()  # the database went away before it answered

    @precondition(lambda self: self.file is not None)
    @rule()
    def trim(self) -> None:
        assert self.file is not None
        if self.file.trim():
            assert self.written == self.kept
            self.records = iter(())

    @rule()
    def finish(self) -> None:
        self.turn.close()
        self.file, self.records = None, iter(())

    @invariant()
    def nothing_is_written_out_of_order_or_of_nowhere(self) -> None:
        assert self.written == self.kept[: len(self.written)]

    def teardown(self) -> None:
        self.finish()
        last = self.lives[0]
        if last.holds("SPY"):
            self.written += [number for number in waiting(last) if number not in self.written]
        assert self.written == self.kept
        assert not last.holds("SPY")
        self.folder.cleanup()


Spooling.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_any_order_of_appends_drains_and_deaths_keeps_every_record_once = Spooling.TestCase


def test_threads_and_processes_that_append_and_drain_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    found: list[int] = []
    ended: list[int] = []

    def append(first: int) -> None:
        spool = Spool(tmp_path)  # a lock of its own, as another process has
        for number in range(first, first + 40):
            spool.append(batch(number))
        ended.append(first)

    def drain() -> None:
        spool, over = Spool(tmp_path), False
        while not over:
            over = len(ended) == 3
            if spool.holds("SPY"):
                with spool.draining("SPY") as file:
                    found.extend(kept.batch_id.int for _, kept in file.pending())
                    while not file.trim():
                        found.extend(kept.batch_id.int for _, kept in file.pending())

    work = [*(threading.Thread(target=append, args=[100 * n]) for n in range(3)), *(
        threading.Thread(target=drain) for _ in range(2))]  # fmt: skip
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(found) == sorted(100 * n + k for n in range(3) for k in range(40))
    assert all([x for x in found if x // 100 == n] == list(range(100 * n, 100 * n + 40)) for n in range(3))


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
    for number in range(3):
        ours.append(batch(number))
    assert waiting(ours, 1) == [0]  # and then the database went away
    assert waiting(theirs) == [0, 1, 2]
    ours.append(batch(7))
    assert waiting(ours) == [7]


def test_damage_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "SPY.spool").write_bytes(RECORDS[0] + b"garbage" + RECORDS[1] + RECORDS[2][:-1])
    spool = Spool(tmp_path)
    assert waiting(spool) == [0, 1]
    assert not spool.holds("SPY")
    (record,) = (record for record in caplog.records if record.message == "spool damaged")
    assert record.stretches == 2


def test_files_are_ours_alone_and_named_after_the_symbol(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    odd = replace(batch(1), underlying="../$SPX/.X")
    spool.append(odd)
    with spool.draining(odd.underlying) as file:
        kept_in = file.set_aside(odd)
    names = ["..%2F%24SPX%2F.X.draining", "..%2F%24SPX%2F.X.refused", "..%2F%24SPX%2F.X.spool"]
    assert sorted(path.name for path in spool.folder.iterdir()) == names
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert kept_in.parent.stat().st_mode & 0o777 == 0o700


def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write, spool = os.write, Spool(tmp_path)
    spool.append(batch(1))
    before = spool.path("SPY").read_bytes()

    def short_write(descriptor: int, data: memoryview) -> int:
        if len(data) < 60:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, bytes(data[:50]))

    monkeypatch.setattr(os, "write", short_write)
    with pytest.raises(OSError, match="No space left"):
        spool.append(batch(2))
    assert spool.path("SPY").read_bytes() == before

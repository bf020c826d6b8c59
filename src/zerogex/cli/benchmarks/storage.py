"""The store, on a real PostgreSQL of its own in a temporary folder."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np

from zerogex.cli.benchmarks.flows import to_live_chain
from zerogex.cli.benchmarks.market import NOW, RATE, chain, chain_messages, contracts
from zerogex.cli.benchmarks.measure import Row, row, seconds
from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import OptionChain
from zerogex.pipeline.enrich import EnrichConfig, enrich
from zerogex.ports import MinuteBatch
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore

COUNT = 8000
BACKLOG = 10  # minutes


def measure(repetitions: int) -> list[Row]:
    """Minute flush, refresh of the latest rows, read of the latest chain and ten minutes' backlog, 8,000 contracts."""
    with tempfile.TemporaryDirectory(prefix="zerogex-bench-") as folder:
        home = Path(folder)
        with EmbeddedServer(home / "postgres") as server:
            store = PostgresStore(server.config("bench"), spool=home / "spool")
            store.migrate()
            try:
                return _rows(store, max(10, 3 * repetitions))
            finally:
                store.close()
                server.stop(wait_s=10.0)


def _rows(store: PostgresStore, repetitions: int) -> list[Row]:
    chains = [enrich(chain(COUNT, seed), EnrichConfig(rate=RATE)).chain for seed in range(3)]
    minute = 0

    def flush() -> None:
        nonlocal minute
        store.write_minute(_batch(chains[minute % 3], minute))
        minute += 1

    everything = np.ones(COUNT, bool)

    def refresh() -> None:
        nonlocal minute
        minute += 1
        store.write_latest(_at(chains[minute % 3], minute), everything)

    return [
        row("store.minute_flush_8000", "ms", seconds(flush, repetitions), target=300.0, judged="p99"),
        row("store.latest_refresh_8000", "ms", seconds(refresh, repetitions), target=150.0, note="every row changed"),
        row("store.latest_chain_read", "ms", seconds(lambda: store.latest_chain("SPX"), repetitions), target=30.0),
        *_backlog(store, [_batch(chains[k % 3], minute + 1 + k) for k in range(3 * BACKLOG)]),
    ]


def _backlog(store: PostgresStore, batches: list[MinuteBatch]) -> list[Row]:
    """Minutes put on the disk while the database is away, and its catching up on ten of them (F43)."""
    kept, drained = [], []
    for number, batch in enumerate(batches, 1):
        kept.append(seconds(partial(store.keep_minute, batch), 1, warm=0)[0])
        if number % BACKLOG == 0:
            drained.append(seconds(partial(store.drain, "SPX"), 1, warm=0)[0])
    return [
        row("store.minute_kept_8000", "ms", np.array(kept), note="on the disk, fsynced"),
        row("store.backlog_drained_80000", "ms", np.array(drained), target=10_000.0, judged="p99"),
    ]


def _at(quoted: OptionChain, minute: int) -> OptionChain:
    end = NOW + timedelta(minutes=minute + 1)
    heard = np.full(len(quoted), end.timestamp() - 1.0)
    return replace(quoted, as_of=end, event_time=heard, received_time=heard)


def _batch(quoted: OptionChain, minute: int) -> MinuteBatch:
    start = NOW + timedelta(minutes=minute)
    bar = MinuteBar("SPX", start, 5000.0, 5002.0, 4999.0, 5001.0, 1000, 900)
    return MinuteBatch(uuid4(), "SPX", start, _at(quoted, minute), (bar,))


def latency(repetitions: int) -> list[Row]:
    """One message, from its bytes to its row in a new live chain: what our own code adds to the network's time."""
    listed = contracts(2000)
    data = chain_messages(listed[:1], 1)
    spent = seconds(lambda: to_live_chain(data, listed[:1]), 50 * repetitions)
    return [row("latency.message_to_live_row", "ms", spent, judged="p99", note="with a new stream each time")]

"""From wire bytes to the live chain, and from a chain to its exposures, levels and profile."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial

from zerogex.analytics.analysis import analyze
from zerogex.cli.benchmarks.market import NOW, RATE, chain, chain_messages, contracts
from zerogex.cli.benchmarks.measure import Row, row, seconds
from zerogex.domain.contract import OptionContract
from zerogex.domain.quote import OptionQuote
from zerogex.pipeline.enrich import EnrichConfig, enrich
from zerogex.pipeline.live_chain import LiveChain
from zerogex.pipeline.validate import Validator
from zerogex.providers.tradestation import wire
from zerogex.providers.tradestation.chain import ChainMerge
from zerogex.providers.tradestation.connection import Connection, StreamRequest
from zerogex.providers.tradestation.framing import LineSplitter

CHUNK = 65536  # bytes of one network read under load
TLS_CHUNK = 16384  # what a read of an encrypted stream gives at most
READS_A_MERGE = 5  # of those, in the 10 ms that ingest leaves between two merges, at 10,000 messages a second


def analysis(repetitions: int) -> list[Row]:
    """Enrichment and analysis, with a 200-point profile, of chains of 8,000 and 25,000 contracts; CPU time."""
    rows, config = [], EnrichConfig(rate=RATE)
    for count, target in ((8_000, 25.0), (25_000, 80.0)):
        quoted = chain(count)
        whole = enrich(quoted, config)
        analyzed_s = seconds(partial(analyze, whole.chain, forwards=whole.forwards), 3 * repetitions, time.process_time)
        enriched_s = seconds(partial(enrich, quoted, config), 3 * repetitions, time.process_time)
        rows += [
            row(f"analysis.levels_and_profile_{count}", "ms", analyzed_s, target=target, note="200-point profile"),
            row(f"analysis.enrich_{count}", "ms", enriched_s, note="forwards, IVs, Greeks"),
        ]
    return rows


def feed(repetitions: int) -> list[Row]:
    """Option-chain messages: framing, typed decode, merge, validation, column update; on one core, CPU time."""
    listed = contracts(2000)
    data = chain_messages(listed, 10)
    count = 10 * len(listed)

    size = len(data) // count
    rows = []
    for name, read, together, note in (
        ("feed.bytes_to_live_chain", CHUNK, 1, f"{size} bytes a message"),
        ("feed.encrypted_to_live_chain", TLS_CHUNK, READS_A_MERGE, f"reads of {TLS_CHUNK >> 10} KiB, merged by fives"),
    ):
        work = partial(to_live_chain, data, listed, read, together)
        spent = seconds(work, max(5, repetitions), time.process_time)
        rows.append(row(name, "1/s", spent, each=count, target=100_000.0, note=note))
    return rows


def to_live_chain(data: bytes, listed: list[OptionContract], read: int = CHUNK, together: int = 1) -> int:
    """Push the bytes of a chain stream through the provider and the pipeline; how many messages arrived.

    `read` bytes come at once; so many reads are merged `together`, as ingest does with what waits.
    """
    request = StreamRequest("chain", "/v3/", "stream", "SPX", "$SPX.X", wire.CHAIN_ROW, dict)
    connection = Connection(request, 0.0, lambda *event: None)
    splitter, merge = LineSplitter(), ChainMerge(listed)
    live, validator = LiveChain("SPX"), Validator("SPX")
    live.follow(listed)
    taken = 0
    waiting: list[OptionQuote] = []
    for number, place in enumerate(range(0, len(data), read), 1):
        received = NOW + timedelta(microseconds=place)
        waiting += merge.quotes(connection.sort(splitter.feed(data[place : place + read])), received)
        if number % together == 0 or place + read >= len(data):
            taken += live.update(validator.option_quotes(waiting, received)).merged
            waiting = []
    return taken

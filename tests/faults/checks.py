"""What must hold after every fault: nothing unaccounted, nothing lost, nothing invented, nothing counted twice.

The witness is plain: it keeps every message, sorts by event time and replays; it shares no code with the pipeline.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg

from faults.rig import MINUTE, Rig
from zerogex.analytics.analysis import analyze
from zerogex.analytics.document import document
from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.calendar import Session, session_at
from zerogex.domain.quote import OptionQuote
from zerogex.ports import MinuteBatch
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

Rows = dict[tuple[datetime, str], tuple[Any, ...]]
HASHES = {
    "option_chains": "option_symbol, timestamp",
    "chain_minutes": "underlying, timestamp",
    "underlying_quotes": "symbol, timestamp",
    "flow_totals": "underlying, timestamp",
    "flow_strikes": "underlying, timestamp, strike",
    "flow_expirations": "underlying, timestamp, expiration",
    "flow_prints": "underlying, timestamp, option_symbol",
}


def check_conservation(rig: Rig) -> None:
    """sent = heard + unread where we closed; said = accepted + rejected; accepted = merged + of unknown contracts."""
    sent, counts, ledger = rig.sent, rig.counts, rig.ledger
    unread = ledger["unread"]
    ends = Counter()
    for stream in ledger["streams"]:
        ends[stream["end"]] += stream["objects"]
    told = f"{sent} sent, {rig.heard} heard, {unread} unread ({dict(counts)}, {dict(ends)})"
    assert sent == rig.heard + unread, f"unaccounted on the wire: {told}"
    said = len(rig.market.quotes_said) - rig.market.snapshots_said + len(rig.market.bars_said)
    made = counts["messages"] - counts["refused"] - counts["outside"]
    polled = _polled_within_streams(rig)
    assert said - polled == made, f"unaccounted in the provider: {said} said of {made} ({dict(counts)})"
    taken = merged = 0
    for one in rig.engine.followed:
        taken += one.validator.accepted + sum(one.validator.rejected.values())
        merged += one.builder.counts.quotes + one.builder.counts.bars
    accepted = sum(one.validator.accepted for one in rig.engine.followed)
    noted = accepted - merged  # a first quote and bars of the back-fill are accepted without being minutes' events
    mended = sum(one.mender.mended for one in rig.engine.followed)
    heard = len(rig.market.quotes_said) + len(rig.market.bars_said) + mended
    assert taken - noted == heard, f"unaccounted in the engine: {heard} heard, {taken - noted} accepted or rejected"


def _polled_within_streams(rig: Rig) -> int:
    """Snapshots that came by a stream's iterator while no stream was to be had."""
    return int(rig.counts["polled"])


def check_options(rig: Rig, underlying: str = "SPY") -> int:
    """Every contract and minute is stored as the witness says, or a declared gap covers it; the number of rows."""
    labels, rows = rig.minutes(underlying), stored_options(rig.database, underlying)
    assert labels, "no chain was stored"
    gaps = declared(rig.database, underlying, "chains")
    last = labels[-1]
    expected = witness([q for q in rig.market.quotes_said if q.contract.underlying == underlying], labels[0], last)
    for (label, symbol), values in expected.items():
        found = rows.get((label, symbol))
        if found is None:
            assert covered(label, gaps), f"{symbol} at {label} is neither stored nor a declared gap"
        else:
            assert found == values, f"{symbol} at {label}: stored {found}, said {values}"
    invented = rows.keys() - expected.keys()
    assert not invented, f"{len(invented)} rows nobody said: {sorted(invented)[:3]}"
    return len(rows)


def witness(quotes: Sequence[OptionQuote], first: datetime, last: datetime) -> Rows:
    """{(minute, symbol): (bid, ask, last, volume, open interest)} at the end of each minute, from every message."""
    of_contract = defaultdict(list)
    for quote in quotes:
        of_contract[quote.contract.symbol].append(quote)
    out = {}
    for symbol, heard in of_contract.items():
        heard.sort(key=lambda quote: quote.event_time)
        bid = ask = trade = None
        volume = open_interest = place = 0
        minute = first
        while minute <= last:
            while place < len(heard) and heard[place].event_time < minute + MINUTE:
                quote = heard[place]
                bid = quote.bid if quote.bid is not None else bid
                ask = quote.ask if quote.ask is not None else ask
                trade = quote.last or trade
                volume = max(volume, quote.volume or 0)
                open_interest = quote.open_interest or open_interest
                place += 1
            if place:
                out[minute, symbol] = (*(_price(value) for value in (bid, ask, trade)), volume, open_interest)
            minute += MINUTE
    return out


def stored_options(database: DatabaseConfig, underlying: str) -> Rows:
    with psycopg.connect(**database.parameters()) as connection:
        rows = connection.execute(
            "SELECT timestamp, option_symbol, bid, ask, last, volume, open_interest FROM option_chains "
            "WHERE underlying = %s",
            [underlying],
        ).fetchall()
    return {(row[0], row[1]): (*map(_price, row[2:5]), row[5], row[6]) for row in rows}


def _price(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), 4)


async def check_bars(rig: Rig, underlying: str = "SPY") -> None:
    """Every regular minute that is over is stored as the feed now tells it, or is a declared gap."""
    last = rig.told_until(underlying)
    truth = await rig.market.provider.bars(underlying, rig.begun - timedelta(hours=12), last)
    troubles = bar_troubles(rig.database, underlying, truth)
    heard = [(f"{b.start:%H:%M}", b.up_volume, b.down_volume, b.closed) for b in rig.market.bars_said]
    assert not troubles, f"{troubles[:3]}, heard {heard}"


def bar_troubles(database: DatabaseConfig, underlying: str, truth: Sequence[UnderlyingBar]) -> list[str]:
    """Where the stored bars are not what the feed's history says, and no declared gap covers it."""
    gaps = declared(database, underlying, "bars")
    with psycopg.connect(**database.parameters()) as connection:
        rows = connection.execute(
            "SELECT timestamp, open, high, low, close, up_volume, down_volume FROM underlying_quotes "
            "WHERE symbol = %s AND timestamp >= %s AND timestamp <= %s",
            [underlying, truth[0].start, truth[-1].start],
        ).fetchall()
    stored = {row[0]: (*map(_price, row[1:5]), *row[5:]) for row in rows}
    troubles, up, down = [], 0, 0
    for bar in truth:
        up, down = up + bar.up_volume, down + bar.down_volume
        told = (*(round(price, 4) for price in (bar.open, bar.high, bar.low, bar.close)), up, down)
        found = stored.pop(bar.start, None)
        if found is None and not covered(bar.start, gaps):
            troubles.append(f"the bar of {bar.start} is neither stored nor a declared gap")
        elif found is not None and found != told:
            troubles.append(f"the bar of {bar.start} is {found}, told {told}")
    return troubles + [f"nobody told the bar of {start}" for start in stored]


def check_recompute(rig: Rig, underlying: str = "SPY") -> int:
    """P6: every stored analysis comes out again, number for number, from the chain it names; how many there are."""
    history = rig.store.gex_history(underlying, rig.begun - timedelta(days=1), rig.begun + timedelta(days=2))
    for row in history:
        chain = rig.store.minute_chain(underlying, row["timestamp"])
        assert chain is not None, f"the analysis of {row['timestamp']} has no chain"
        fresh = document(analyze(chain))
        for name in ("net_gex", "call_gex", "put_gex", "gamma_flip", "call_wall", "put_wall", "max_pain"):
            told, found = row[name], fresh.get(name)
            if isinstance(found, dict):
                found = found.get("strike")
            same = told == found or (told is not None and found is not None and math.isclose(told, found, rel_tol=1e-9))
            extra = {key: row[key] for key in ("net_gex", "spot", "call_wall_gex", "data_timestamp", "coverage_pct")}
            again = {key: fresh[key] for key in ("net_gex", "spot", "data_timestamp")}
            assert same, f"{name} of {row['timestamp']} is {told}, recomputed {found}: {extra}, {again}"
        assert row["code_version"] and row["coverage_pct"] is not None and row["data_timestamp"] is not None
    return len(history)


def check_replay(rig: Rig, new_database: Callable[[], DatabaseConfig]) -> None:
    """P5: the acknowledged batches, once or with every prefix again under other ids, give the same tables."""
    batches = rig.store.acknowledged
    once = table_hashes(_replayed(new_database(), batches))
    doubled: list[MinuteBatch] = []
    for end in range(1, len(batches) + 1):
        doubled.append(batches[end - 1])
        if end in (len(batches) // 2, len(batches)):
            doubled += batches[:end]  # with the ids they had: the very same batches
    assert table_hashes(_replayed(new_database(), doubled)) == once
    fresh = [MinuteBatch(uuid4(), b.underlying, b.timestamp, b.chain, b.bars) for b in batches]
    assert table_hashes(_replayed(new_database(), [*batches, *fresh])) == once


def _replayed(database: DatabaseConfig, batches: Sequence[MinuteBatch]) -> DatabaseConfig:
    store = PostgresStore(database)
    try:
        for batch in batches:
            store.write_minute(batch)
    finally:
        store.close()
    return database


def table_hashes(database: DatabaseConfig) -> dict[str, str]:
    """One fingerprint a table, over its rows in the order of the key."""
    with psycopg.connect(**database.parameters()) as connection:
        return {
            table: connection.execute(
                f"SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY {key}), '')) FROM {table} AS t"  # type: ignore[arg-type]
            ).fetchone()[0]  # type: ignore[index]
            for table, key in HASHES.items()
        }


def declared(database: DatabaseConfig, underlying: str, what: str) -> list[tuple[datetime, datetime, str, str]]:
    """(start, end, reason, subject) of the declared gaps."""
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute(
            "SELECT started_at, ended_at, reason, subject FROM data_gaps "
            "WHERE underlying = %s AND what = %s ORDER BY 1",
            [underlying, what],
        ).fetchall()


def covered(label: datetime, gaps: Sequence[tuple[datetime, datetime, str, str]]) -> bool:
    """Whether a declared gap has this minute."""
    return any(start <= label < end for start, end, *_ in gaps)


def check_minutes(rig: Rig, underlying: str = "SPY") -> None:
    """P1 and P3: the stored chains follow one another, and where they do not, a gap is declared."""
    labels, gaps = rig.minutes(underlying), declared(rig.database, underlying, "chains")
    label = labels[0]
    while label <= labels[-1]:
        owed = session_at(label) is Session.REGULAR and label not in labels
        assert not owed or covered(label, gaps), f"the minute {label} is neither stored nor a declared gap"
        label += MINUTE
    acknowledged = {batch.timestamp for batch in rig.store.acknowledged
                    if batch.underlying == underlying and batch.chain is not None}  # fmt: skip
    assert acknowledged <= set(labels), f"lost after ack: {sorted(acknowledged - set(labels))}"


async def check_all(rig: Rig, new_database: Callable[[], DatabaseConfig]) -> None:
    """Quieten the feed, end the engines, and let every checker speak."""
    rig.calm()
    await rig.mended()
    await rig.quiet()
    await rig.stop()
    rig.calm()
    check_conservation(rig)
    for underlying in rig.config.underlyings:
        check_minutes(rig, underlying)
        assert check_options(rig, underlying) > 0
        await check_bars(rig, underlying)
        check_recompute(rig, underlying)
    check_replay(rig, new_database)

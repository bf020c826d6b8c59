"""Minutes against a plain reference: order, repetition and lateness change nothing."""

import importlib.util
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote
from zerogex.pipeline.live_chain import LiveChain
from zerogex.pipeline.minutes import MinuteBuilder

_spec = importlib.util.spec_from_file_location("reference_minutes", Path(__file__).with_name("reference_minutes.py"))
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

OPEN = datetime(2026, 3, 10, 11, 0, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
GRACE_S = 2.0
MINUTES = 4
CONTRACTS = tuple(
    OptionContract("SPY", "SPY", date(2026, 3, 20), Decimal(strike), kind)
    for strike in (599, 600)
    for kind in OptionKind
)
prices = st.integers(0, 400).map(lambda cents: cents / 20)
maybe_price = st.none() | prices
instants = st.integers(0, MINUTES * 60 * 10 - 1)  # tenths of a second after OPEN


@st.composite
def option_quotes(draw):
    """Quotes with distinct event times: two readings of one moment have no order to keep."""
    times = draw(st.lists(instants, unique=True, max_size=25))
    return [
        OptionQuote(
            draw(st.sampled_from(CONTRACTS)),
            bid=draw(maybe_price),
            ask=draw(maybe_price),
            last=draw(maybe_price),
            volume=draw(st.none() | st.integers(0, 500)),
            open_interest=draw(st.none() | st.integers(0, 900)),
            event_time=OPEN + timedelta(seconds=tenths / 10),
            received_time=OPEN + timedelta(seconds=tenths / 10),
        )
        for tenths in times
    ]


@st.composite
def bar_readings(draw):
    """What a vendor says of each minute: forming with growing volume, and mostly closed at its end."""
    out = []
    for minute in range(MINUTES):
        start = OPEN + timedelta(minutes=minute)
        said = sorted(draw(st.lists(st.integers(0, 599), unique=True, max_size=4)))
        up = down = 0
        path = [600.0]
        for tenths in said:
            path.append(round(path[-1] + draw(st.integers(-20, 20)) / 100, 2))
            up, down = up + draw(st.integers(0, 50)), down + draw(st.integers(0, 50))
            heard = start + timedelta(seconds=tenths / 10)
            out.append(
                UnderlyingBar("SPY", start, path[0], max(path), min(path), path[-1], up, down, heard, False, True)
            )
        if draw(st.booleans()):
            heard = start + timedelta(seconds=60 + draw(st.integers(0, 10)) / 10)
            out.append(
                UnderlyingBar("SPY", start, path[0], max(path), min(path), path[-1], up, down, heard, True, True)
            )
    return out


def said_at(event):
    return event.event_time if isinstance(event, OptionQuote) else event.received_time


def feed(arrivals):
    """Give (arrival, event) pairs to a builder by arrival; all it hands out, and the builder."""
    live = LiveChain("SPY")
    live.follow(CONTRACTS)
    builder = MinuteBuilder(live, grace_s=GRACE_S)
    builder.start(OPEN)
    out = []
    for arrival, event in sorted(arrivals, key=lambda pair: pair[0]):
        if isinstance(event, OptionQuote):
            builder.add_quotes([event])
        else:
            builder.add_bar(event)
        out += builder.advance(arrival)
    out += builder.advance(OPEN + timedelta(minutes=MINUTES, seconds=GRACE_S + 5))
    return out, builder


def bars_of(closed):
    """The last word on each minute of the underlying."""
    return {
        bar.timestamp: (bar.open, bar.high, bar.low, bar.close, bar.up_volume, bar.down_volume)
        for minute in closed
        for bar in minute.bars
    }


def number(value):
    return None if math.isnan(value) else value


def options_of(closed):
    """The last word on each contract of each minute."""
    out = {}
    for minute in closed:
        if minute.chain is not None:
            chain = minute.chain
            columns = (chain.symbol, chain.bid, chain.ask, chain.last, chain.volume, chain.open_interest)
            for symbol, bid, ask, last, volume, interest in zip(*(c.tolist() for c in columns), strict=True):
                out[minute.timestamp, symbol] = (number(bid), number(ask), number(last), volume, interest)
    return out


jitters = st.lists(st.floats(0, GRACE_S - 0.2), min_size=60, max_size=60)
UNTIL = OPEN + timedelta(minutes=MINUTES)


@settings(max_examples=60, deadline=None)
@given(option_quotes(), bar_readings(), jitters, st.integers(1, 3))
def test_any_order_within_the_grace_gives_the_minutes_of_the_reference(quotes, bars, jitter, copies):
    events = [*quotes, *bars]
    arrivals = [
        (said_at(event) + timedelta(seconds=jitter[(i * 7 + copy) % len(jitter)]), event)
        for copy in range(copies)
        for i, event in enumerate(events)
    ]
    closed, builder = feed(arrivals)
    assert bars_of(closed) == reference.reference_bars(bars, UNTIL)
    minutes = {minute.timestamp for minute in closed if minute.chain is not None}
    if bars and quotes:
        first = max(min(bar.start for bar in bars), min(q.event_time for q in quotes).replace(second=0, microsecond=0))
        assert minutes >= {OPEN + timedelta(minutes=m) for m in range(MINUTES) if OPEN + timedelta(minutes=m) >= first}
    assert options_of(closed) == reference.reference_options(quotes, CONTRACTS, minutes)
    assert not any(minute.revision for minute in closed)
    assert builder.counts.late == builder.counts.too_late == 0


@settings(max_examples=60, deadline=None)
@given(option_quotes(), bar_readings(), st.lists(st.floats(0, 100), min_size=60, max_size=60))
def test_late_events_end_up_in_their_minute(quotes, bars, delays):
    """Delays up to 100 s: later than the grace, within the buckets that are still in memory."""
    events = [*quotes, *bars]
    arrivals = [(said_at(e) + timedelta(seconds=delays[i % len(delays)]), e) for i, e in enumerate(events)]
    arrivals = [(min(arrival, UNTIL + timedelta(seconds=GRACE_S + 4)), event) for arrival, event in arrivals]
    closed, builder = feed(arrivals)
    assert bars_of(closed) == reference.reference_bars(bars, UNTIL)
    minutes = {minute.timestamp for minute in closed if minute.chain is not None}
    assert options_of(closed) == reference.reference_options(quotes, CONTRACTS, minutes)
    assert builder.counts.too_late == 0


@settings(max_examples=40, deadline=None)
@given(bar_readings())
def test_volume_deltas_of_the_minutes_sum_to_the_total(bars):
    closed, _ = feed([(said_at(bar), bar) for bar in bars])
    minutes = [minute for _, minute in sorted(bars_of(closed).items())]
    deltas = [after[4] - before[4] for before, after in zip([(0,) * 6, *minutes], minutes, strict=False)]
    assert all(delta >= 0 for delta in deltas)
    newest = {}
    for bar in bars:
        newest[bar.start] = max(newest.get(bar.start, 0), bar.up_volume)
    assert sum(deltas) == sum(newest.values())


@settings(max_examples=30, deadline=None)
@given(option_quotes(), bar_readings())
def test_replaying_everything_once_more_hands_out_nothing(quotes, bars):
    events = sorted([*quotes, *bars], key=said_at)
    closed, builder = feed([(said_at(event), event) for event in events])
    now = OPEN + timedelta(minutes=MINUTES, seconds=GRACE_S + 6)
    for event in events:
        if isinstance(event, OptionQuote):
            if said_at(event) >= OPEN + timedelta(minutes=MINUTES - 2):  # older buckets have left memory
                builder.add_quotes([event])
        else:
            builder.add_bar(event)
    assert builder.advance(now) == []
    assert len(closed) <= 2 * MINUTES

"""Buckets of event time: sessions, gaps, revisions, drains."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from zerogex.domain.bar import MinuteBar, UnderlyingBar
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote
from zerogex.errors import SettingsError
from zerogex.pipeline.bar_book import BarBook, day_start
from zerogex.pipeline.live_chain import LiveChain
from zerogex.pipeline.minutes import FILL_MAX, MinuteBuilder, check_bucket

TEN = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)  # 10:00 in New York
CALL = OptionContract("SPY", "SPY", date(2026, 3, 20), Decimal(600), OptionKind.CALL)


def at(seconds, start=TEN):
    return start + timedelta(seconds=seconds)


def quote(seconds, start=TEN, of=CALL, **fields):
    known = {"bid": 1.0, "ask": 1.2, "last": None, "volume": None, "open_interest": None, **fields}
    return OptionQuote(of, **known, event_time=at(seconds, start), received_time=at(seconds, start))


def bar(minute, close, up=10, down=5, *, closed=True, start=TEN, heard=None):
    begin = start + timedelta(minutes=minute)
    received = heard or begin + timedelta(seconds=60 if closed else 30)
    return UnderlyingBar(
        "SPY", begin, 600.0, max(600.0, close), min(600.0, close), close, up, down, received, closed, True
    )


def builder_at(start=TEN, contracts=(CALL,), **options):
    live = LiveChain("SPY")
    live.follow(contracts)
    builder = MinuteBuilder(live, **options)
    builder.start(start)
    return builder


def test_a_minute_is_handed_out_at_its_end_with_its_close_as_spot():
    builder = builder_at()
    builder.add_quotes([quote(30)])
    builder.add_bar(bar(0, 601.0))
    assert builder.advance(at(59.9)) != []  # the closed bar says that the minute is over
    builder = builder_at()
    builder.add_quotes([quote(30)])
    builder.add_bar(bar(0, 601.0, closed=False))
    assert builder.advance(at(59.9)) == []
    (minute,) = builder.advance(at(60))
    assert (minute.timestamp, minute.end) == (TEN, at(60))
    assert minute.chain.as_of == at(60)
    assert minute.chain.spot == minute.bars[0].close == 601.0
    assert minute.chain.spot_time is None
    assert minute.bars == (MinuteBar("SPY", TEN, 600.0, 601.0, 600.0, 601.0, 10, 5),)


def test_a_minute_comes_again_when_it_closes_only_if_the_grace_changed_it():
    quiet, busier, dearer = builder_at(), builder_at(), builder_at()
    for builder in (quiet, busier, dearer):
        builder.add_quotes([quote(30)])
        builder.add_bar(bar(0, 601.0, closed=False))
        assert len(builder.advance(at(60))) == 1
    busier.add_bar(bar(0, 601.0, up=12))
    dearer.add_bar(bar(0, 601.5, up=12))
    dearer.add_quotes([quote(59, bid=1.1)])
    assert quiet.advance(at(62)) == []
    (more,) = busier.advance(at(62))
    assert more.again and more.chain is None and more.bars[0].up_volume == 12
    (other,) = dearer.advance(at(62))
    assert other.again and not other.revision
    assert (other.chain.spot, other.chain.bid[0], other.bars[0].close) == (601.5, 1.1, 601.5)
    assert dearer.counts.late == 0


def test_a_tick_at_the_boundary_belongs_to_the_minute_it_begins():
    builder = builder_at()
    builder.add_bar(bar(0, 601.0))
    builder.add_quotes([quote(60.0, bid=2.0), quote(59.999, bid=1.5)])
    (minute,) = builder.advance(at(63))
    assert minute.chain.bid.tolist() == [1.5]
    assert builder.live.snapshot(at(63), 601.0).bid.tolist() == [2.0]


def test_prices_are_kept_to_the_four_decimals_they_are_stored_with():
    builder = builder_at()
    builder.add_quotes([quote(1)])
    builder.add_bar(bar(0, 600.12345678))
    (minute,) = builder.advance(at(62))
    assert minute.chain.spot == minute.bars[0].close == 600.1235


def test_a_quiet_minute_of_the_regular_session_is_stored_and_a_quiet_one_at_night_is_not():
    for start, stored in ((TEN, True), (datetime(2026, 3, 10, 3, 0, tzinfo=UTC), False)):
        builder = builder_at(start)
        builder.add_quotes([quote(1, start)])
        builder.add_bar(bar(0, 601.0, start=start))
        assert len(builder.advance(at(62, start))) == 1
        quiet = builder.advance(at(122, start))
        assert bool(quiet) is stored
        if stored:
            assert quiet[0].bars == ()
            assert quiet[0].chain.spot == 601.0
            assert quiet[0].chain.spot_time == at(60)


def test_without_any_price_of_the_underlying_there_are_no_greeks_and_no_minute():
    builder = builder_at()
    builder.add_quotes([quote(1)])
    assert builder.advance(at(62)) == []


def test_a_noted_price_is_the_spot_until_a_bar_says_more():
    builder = builder_at()
    builder.add_quotes([quote(1)])
    builder.book.note_price(599.0, at(10))
    (minute,) = builder.advance(at(62))
    assert (minute.chain.spot, minute.chain.spot_time) == (599.0, at(10))
    builder.add_bar(bar(1, 602.0))
    (minute,) = builder.advance(at(122))
    assert minute.chain.spot == 602.0


def test_a_late_closing_price_hands_the_minute_out_once_more():
    builder = builder_at()
    builder.add_quotes([quote(1)])
    builder.add_bar(bar(0, 601.0, closed=False))
    (first,) = builder.advance(at(62))
    builder.add_bar(bar(0, 603.0, up=20))
    (again,) = builder.advance(at(63))
    assert first.chain.spot == 601.0
    assert again.bars[0].close == again.chain.spot == 603.0
    assert again.timestamp == TEN and again.revision and again.late == 1
    assert builder.counts.late == 1


def test_a_correction_of_a_minute_that_left_memory_asks_for_a_repricing():
    builder = builder_at()
    for minute in range(6):
        builder.add_bar(bar(minute, 600.0 + minute))
        builder.add_quotes([quote(60 * minute + 1)])
        builder.advance(at(60 * minute + 62))
    builder.add_bar(bar(0, 650.0, heard=at(400)))
    bars, repriced = builder.advance(at(401))
    assert [b.timestamp for b in bars.bars] == [TEN]
    assert (repriced.timestamp, repriced.reprice, repriced.spot, repriced.chain) == (TEN, True, 650.0, None)


def test_a_late_volume_moves_every_later_minute_of_the_day_and_reprices_none():
    builder = builder_at()
    for minute in range(4):
        builder.add_bar(bar(minute, 600.0))
        builder.advance(at(60 * minute + 62))
    builder.add_bar(bar(1, 600.0, up=110, heard=at(300)))
    (revision,) = builder.advance(at(301))
    assert [(b.timestamp, b.up_volume) for b in revision.bars] == [(at(60), 120), (at(120), 130), (at(180), 140)]
    assert not revision.reprice


def test_late_quotes_revise_what_is_in_memory_and_are_counted_beyond():
    builder = builder_at()
    for minute in range(5):
        builder.add_bar(bar(minute, 600.0))
        builder.add_quotes([quote(60 * minute + 10, bid=float(minute + 1), ask=9.0)])
        builder.advance(at(60 * minute + 62))
    builder.add_quotes([quote(60 * 4 + 20, bid=5.5)])
    (again,) = builder.advance(at(303))
    assert (again.timestamp, again.chain.bid[0], again.late) == (at(240), 5.5, 1)
    builder.add_quotes([quote(20, volume=77)])
    builder.advance(at(304))
    assert builder.counts.too_late == 1
    assert builder.live.snapshot(at(304), 600.0).volume[0] == 77  # the total has it all the same


def test_volumes_of_the_underlying_start_anew_each_new_york_day():
    book = BarBook("SPY")
    evening = datetime(2026, 3, 10, 23, 59, tzinfo=UTC)
    midnight = datetime(2026, 3, 11, 4, 0, tzinfo=UTC)
    for start in (evening, midnight - timedelta(minutes=1), midnight, midnight + timedelta(minutes=1)):
        book.add(UnderlyingBar("SPY", start, 1.0, 1.0, 1.0, 1.0, 10, 1, start))
    volumes = [(b.up_volume, b.down_volume) for b in book.changes(midnight + timedelta(hours=1))]
    assert volumes == [(10, 1), (20, 2), (10, 1), (20, 2)]
    assert day_start(midnight) == midnight
    assert day_start(evening) == datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize("transition", [date(2026, 3, 8), date(2026, 11, 1)])
def test_the_day_begins_at_new_yorks_midnight_also_when_clocks_change(transition):
    noon = datetime(transition.year, transition.month, transition.day, 17, tzinfo=UTC)
    offset = 5 if transition.month == 3 else 4  # the offset before the change
    assert day_start(noon) == datetime(transition.year, transition.month, transition.day, offset, tzinfo=UTC)


def test_stored_minutes_anchor_the_volumes_and_are_not_handed_out_again():
    stored = [MinuteBar("SPY", at(60 * m), 600.0, 601.0, 599.0, 600.0, 100 * (m + 1), 10 * (m + 1)) for m in range(3)]
    builder = builder_at(at(180))
    builder.book.anchor(stored)
    builder.add_bar(bar(3, 602.0, up=7, down=3))
    (minute,) = builder.advance(at(242))
    assert [(b.up_volume, b.down_volume) for b in minute.bars] == [(307, 33)]
    builder.add_bar(bar(2, 600.0, up=150, down=10))  # the last stored one was cut short by a stop
    (revision,) = builder.advance(at(243))
    assert [b.up_volume for b in revision.bars] == [350, 357]


def test_a_forming_bar_never_replaces_a_closed_one_nor_a_thinner_a_fuller():
    book = BarBook("SPY")
    book.add(bar(0, 601.0, up=30, closed=False))
    assert not book.add(bar(0, 600.5, up=20, closed=False, heard=at(40)))
    assert book.add(bar(0, 602.0, up=35))
    assert not book.add(bar(0, 605.0, up=90, closed=False, heard=at(90)))
    assert book.spot_now()[0] == 602.0


def test_a_silence_of_clock_and_events_is_a_gap_not_a_row_of_copies():
    builder = builder_at()
    builder.add_bar(bar(0, 601.0))
    builder.add_quotes([quote(1)])
    minutes = builder.advance(at(60 * 40))
    assert [minute.timestamp for minute in minutes] == [TEN]
    assert builder.counts.gaps == 39  # the closed bar ended 10:00; the other 39 were slept through
    short = builder_at()
    short.add_bar(bar(0, 601.0))
    short.add_quotes([quote(1)])
    assert len(short.advance(at(60 * FILL_MAX + 2))) == FILL_MAX


def test_silent_minutes_across_the_open_turn_the_volume_at_half_past_nine():
    before = datetime(2026, 3, 10, 13, 28, tzinfo=UTC)
    builder = builder_at(before)
    builder.add_bar(bar(0, 600.0, start=before))
    builder.add_quotes([quote(1, before, volume=5000)])
    minutes = builder.advance(at(4 * 60 + 2, before))
    # 09:28 heard something, 09:29 is quiet and outside of the session, 09:30 and 09:31 are inside
    assert [minute.timestamp.minute for minute in minutes] == [28, 30, 31]
    assert [minute.chain.volume[0] for minute in minutes] == [5000, 0, 0]


def test_the_last_minute_of_an_expiring_chain_has_it_and_the_next_has_not():
    expiring = OptionContract("SPY", "SPY", date(2026, 3, 10), Decimal(600), OptionKind.PUT)
    start = datetime(2026, 3, 10, 19, 59, tzinfo=UTC)
    builder = builder_at(start, (CALL, expiring))
    builder.add_quotes([quote(10, start), quote(20, start, of=expiring)])
    builder.add_bar(bar(0, 600.0, start=start))
    builder.add_quotes([quote(61, start)])
    last, after = builder.advance(at(122, start))
    assert len(last.chain) == 2
    assert after.chain.symbol.tolist() == [CALL.symbol]


def test_a_drain_hands_out_the_ended_and_the_open_minute_and_a_restart_completes_it():
    builder = builder_at()
    builder.add_quotes([quote(10)])
    builder.add_bar(bar(0, 601.0))
    builder.add_bar(bar(1, 602.0, closed=False))
    ended, opened = builder.drain(at(61))
    assert (ended.timestamp, opened.timestamp) == (TEN, at(60))
    assert opened.end == opened.chain.as_of == at(120)
    assert opened.bars[0].close == opened.chain.spot == 602.0


def test_a_longer_bucket_gathers_its_minutes():
    builder = builder_at(bucket_seconds=300)
    builder.add_quotes([quote(1)])
    for minute, close in enumerate([601.0, 604.0, 598.0, 600.0, 602.0]):
        assert builder.advance(at(60 * minute)) == []
        builder.add_bar(bar(minute, close))
    (five,) = builder.advance(at(300))
    assert five.bars == (MinuteBar("SPY", TEN, 600.0, 604.0, 598.0, 602.0, 50, 25),)
    assert five.chain.as_of == at(300)
    assert five.chain.spot == 602.0


def test_a_shorter_bucket_keeps_the_bars_of_whole_minutes():
    builder = builder_at(bucket_seconds=30)
    builder.add_quotes([quote(1)])
    builder.add_bar(bar(0, 601.0, closed=False))
    (first,) = builder.advance(at(32))
    builder.add_bar(bar(0, 602.0))
    (second,) = builder.advance(at(62))
    assert (first.bars, first.chain.spot) == ((), 601.0)
    assert (second.timestamp, second.bars[0].timestamp, second.chain.spot) == (at(30), TEN, 602.0)


@pytest.mark.parametrize("seconds", [0, -60, 7, 45, 90, 420, 7200])
def test_a_bucket_must_fit_the_minute_or_the_hour(seconds):
    with pytest.raises(SettingsError, match=f"AGGREGATION_BUCKET_SECONDS is {seconds}"):
        check_bucket(seconds)


@pytest.mark.parametrize("seconds", [1, 15, 60, 300, 3600])
def test_buckets_that_fit_are_accepted(seconds):
    assert check_bucket(seconds) == seconds

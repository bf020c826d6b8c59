"""Which minutes of the underlying are asked for again."""

from datetime import UTC, datetime, timedelta

from zerogex.domain.bar import UnderlyingBar
from zerogex.engines.bar_mender import BarMender
from zerogex.pipeline.bar_book import BarBook

TEN = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def bar(minute, closed=True):
    start = TEN + minute * MINUTE
    return UnderlyingBar("SPY", start, 600.0, 601.0, 599.0, 600.5, 10, 5, start + MINUTE, closed=closed)


def mender(*bars):
    book = BarBook("SPY")
    for each in bars:
        book.add(each)
    made = BarMender(book)
    made.begin(TEN, TEN)
    return made


def test_closed_minutes_are_left_alone():
    assert mender(bar(0), bar(1)).span(TEN + 2 * MINUTE) is None


def test_a_hole_and_a_minute_without_its_closing_bar_are_asked_for():
    one = mender(bar(0), bar(1, closed=False), bar(3))
    assert one.span(TEN + 5 * MINUTE) == (TEN + MINUTE, TEN + 3 * MINUTE)


def test_a_minute_is_overdue_half_a_minute_after_its_end():
    one = mender(bar(0, closed=False))
    assert one.span(TEN + timedelta(seconds=89)) is None
    assert one.span(TEN + timedelta(seconds=90)) == (TEN, TEN + MINUTE)


def test_a_minute_nobody_traded_in_is_not_asked_for_without_end():
    one = mender()
    for _ in range(3):
        one.asked(one.span(TEN + timedelta(seconds=100)))
    assert one.span(TEN + timedelta(seconds=100)) is None


def test_what_passed_between_the_back_fill_and_the_stream_is_asked_for_in_any_session():
    seven, one = TEN - timedelta(hours=3), BarMender(BarBook("SPY"))  # before the regular session
    one.begin(seven, seven + 2 * MINUTE)
    assert one.span(seven + 10 * MINUTE) == (seven, seven + 2 * MINUTE)

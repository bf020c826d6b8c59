"""The book of bars: a change is never lost on its way to the database."""

from datetime import UTC, datetime, timedelta

from zerogex.domain.bar import UnderlyingBar
from zerogex.pipeline.bar_book import BarBook

OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
END = OPEN + timedelta(minutes=3)


def bar(minute: int, up: int, heard: int = 0) -> UnderlyingBar:
    start = OPEN + timedelta(minutes=minute)
    return UnderlyingBar("SPY", start, 1.0, 2.0, 0.5, 1.5, up, 0, start + timedelta(seconds=60 + heard))


def test_volumes_are_cumulated_over_the_day_and_a_correction_moves_every_later_minute() -> None:
    book = BarBook("SPY")
    for each in (bar(0, 10), bar(1, 20), bar(2, 30)):
        book.add(each)
    minutes = book.changes(END)
    book.mark(minutes)
    assert [minute.up_volume for minute in minutes] == [10, 30, 60]
    assert book.changes(END) == ()
    book.add(bar(0, 15, heard=1))
    assert [minute.up_volume for minute in book.changes(END)] == [15, 35, 65]


def test_a_bucket_that_changes_while_it_is_being_written_is_handed_out_again() -> None:
    book = BarBook("SPY")
    book.add(bar(0, 10))
    on_their_way = book.changes(END)
    book.add(bar(0, 12, heard=1))  # the database is still writing the first reading
    book.mark(on_their_way)
    assert [minute.up_volume for minute in book.changes(END)] == [12]

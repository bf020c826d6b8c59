"""When a page was made, and which session its quotes belong to."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from zerogex.domain.calendar import NEW_YORK
from zerogex.providers.chain_files import ChainFile
from zerogex.providers.chain_files.page_time import data_time, read_page_time


def eastern(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "first_expiration", "page"),
    [
        ("August 20, 2023 at 10:35 PM EDT", "2023-08-25", "2023-08-20T22:35"),
        ("December 12, 2022 at 8:31 PM EST", "2022-12-12", "2022-12-12T20:31"),
        ("23 de marzo de 2022, 10:11 GMT-4", "2022-03-23", "2022-03-23T10:11"),
        ("July 9, 2022 at 5:28 p.m. EDT", "2022-07-11", "2022-07-09T17:28"),
        ("11 April, 2023 à 22:23 UTC−4", "2023-04-11", "2023-04-11T22:23"),
        ("14 April 2023, 18:34 UTC−4", "2023-04-14", "2023-04-14T18:34"),
        ("10 May 2023, at 3:10 PM EDT", "2023-05-10", "2023-05-10T15:10"),
        ("February 5 2022, 8:09 PM EST", "2022-02-07", "2022-02-05T20:09"),
        ("8 June 2023 7:56 PM EDT", "2023-06-08", "2023-06-08T19:56"),
        ("September 3, 2025 at 9:24 AM EDT", "2025-09-02", "2025-09-03T09:24"),
        ("June 4, 2024 at 12:05\u202fAM EDT", "2024-06-04", "2024-06-04T00:05"),
        ("4. Juni 2024 um 19:15 GMT-4", "2024-06-05", "2024-06-04T19:15"),
        ("4 juin 2024 à 13 h 15 UTC+2", "2024-06-04", "2024-06-04T07:15"),
        ("4 giugno 2024 alle ore 19:15 CEST", "2024-06-04", "2024-06-04T13:15"),
        ("4 de junho de 2024 às 19:15 GMT-4", "2024-06-05", "2024-06-04T19:15"),
        ("1 août 2024 à 19:15 UTC−4", "2024-08-01", "2024-08-01T19:15"),
        ("2024年6月4日 GMT-4 下午7:15", "2024-06-04", "2024-06-04T19:15"),
        ("2024-06-04 19:15 ET", "2024-06-05", "2024-06-04T19:15"),
        ("Tue Jun 04 2024 4:15 PM PDT", "2024-06-05", "2024-06-04T19:15"),
        ("06/04/2024, 19:15", "2024-06-05", "2024-06-04T19:15"),
        ("04/06/2024, 19:15", "2024-06-05", "2024-06-04T19:15"),  # day first: 6 April is farther from the contracts
        ("4 June 24 19:15", "2024-06-05", "2024-06-04T19:15"),
        ("January 2, 7:15 PM", "2025-01-03", "2025-01-02T19:15"),  # the year of the contracts
    ],
)
def test_a_date_is_read_in_the_words_of_many_countries(text: str, first_expiration: str, page: str) -> None:
    found = read_page_time(text, date.fromisoformat(first_expiration))
    assert found is not None
    assert found.instant == eastern(page)


@pytest.mark.parametrize(
    "text", ["", "yesterday evening", "June", "31.31.2024", "99:99", "July 4, 2031 at 6:33 PM EDT"]
)
def test_a_hopeless_date_is_no_date(text: str) -> None:
    assert read_page_time(text, date(2024, 6, 4)) is None


def test_a_date_without_an_hour_means_the_close_of_that_session() -> None:
    found = read_page_time("4 June 4", date(2024, 6, 5))
    assert found is not None
    assert found.guessed
    assert data_time(found.instant) == eastern("2024-06-04T16:15")


@pytest.mark.parametrize(
    ("page", "quotes"),
    [
        ("2023-05-15T12:09", "2023-05-15T11:54"),  # fifteen minutes late while the market is open
        ("2023-05-15T16:20", "2023-05-15T16:05"),
        ("2023-05-15T17:34", "2023-05-15T16:15"),  # nothing moves after the close
        ("2023-05-15T09:40", "2023-05-12T16:15"),  # before the first delayed quote: the Friday before
        ("2023-05-14T12:00", "2023-05-12T16:15"),  # a Sunday
        ("2023-05-29T12:00", "2023-05-26T16:15"),  # a holiday
        ("2023-11-24T18:00", "2023-11-24T13:15"),  # a half day
    ],
)
def test_quotes_are_older_than_their_page_and_belong_to_a_session(page: str, quotes: str) -> None:
    assert data_time(eastern(page)) == eastern(quotes)


@pytest.mark.parametrize(
    ("date_text", "says"),
    [
        ('"Date: June 4, 2024 at 6:33 PM EDT"', None),
        ("Date: 5 June 2024 at 9:20 AM EDT", None),
        ("Date: 4 June 4", "incomplete"),
        ("Date: sometime last week", "inferred from the quotes"),
        ("", "inferred from the quotes"),
    ],
)
def test_the_session_of_a_quote_table_is_found_whatever_its_date_says(
    date_text: str, says: str | None, sample: Any, read: Callable[..., ChainFile]
) -> None:
    chain_file = read(sample.quote_table(date_text))
    assert chain_file.chain.as_of == eastern("2024-06-04T16:15")
    assert chain_file.chain.delayed
    assert [note for note in chain_file.notes if says and says in note] or (says is None and not chain_file.notes)


def test_the_session_is_found_by_time_value_where_the_first_contracts_are_of_the_next_day(
    sample: Any, read: Callable[..., ChainFile]
) -> None:
    lines = sample.quote_table("").decode().splitlines(keepends=True)
    later = "".join(line for line in lines if "Tue Jun 04" not in line)
    assert read(later.encode()).chain.as_of == eastern("2024-06-04T16:15")


def test_json_is_fifteen_minutes_late_only_while_the_market_moves(
    intraday: Any, read: Callable[..., ChainFile]
) -> None:
    stamp = intraday.as_of + timedelta(minutes=15)
    assert read(intraday.cboe_json(f"{stamp:%Y-%m-%d %H:%M:%S}")).chain.as_of == intraday.as_of
    evening = read(intraday.cboe_json("2024-06-04 22:40:31")).chain
    assert evening.as_of == datetime(2024, 6, 4, 22, 40, 31, tzinfo=UTC)


def test_a_table_without_any_time_is_dated_by_its_quotes(sample: Any, read: Callable[..., ChainFile]) -> None:
    chain_file = read(sample.csv(sample.frame.drop("asof")))
    assert chain_file.chain.as_of == eastern("2024-06-04T16:15")
    assert any("inferred from its quotes" in note for note in chain_file.notes)


@pytest.mark.parametrize(
    ("last", "spot"),
    [
        ("5290.25", 5290.25),
        ('"5,290.25"', 5290.25),
        ("5 290.25", 5290.25),
        ("5290", 5290.0),
        ("", 5290.25),
        ("n/a", 5290.25),
    ],
)
def test_the_price_of_a_page_may_group_its_thousands(
    last: str, spot: float, sample: Any, read: Callable[..., ChainFile]
) -> None:
    text = sample.quote_table(last="LAST").decode()
    quoted = last.startswith('"')
    cell = f'"Last: {last[1:-1]}"' if quoted else f"Last: {last}"
    assert read(text.replace("Last: LAST", cell).encode()).chain.spot == spot

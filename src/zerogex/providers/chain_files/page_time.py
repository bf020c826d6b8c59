"""When a downloaded quote page was made, from dates written by browsers of every country and by hand.

"August 20, 2023 at 10:35 PM EDT", "23 de marzo de 2022, 10:11 GMT-4", "11 April, 2023 à 22:23 UTC−4",
"July 9, 2022 at 5:28 p.m. EDT", "15 May 2023, 11:47 AM EDT" and, typed by hand, "4 June 4": the text is
taken apart into zone, clock and numbers, and what is missing or has two readings is settled by
the first expiration in the file, because a page never shows contracts of past weeks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from zerogex.domain.calendar import NEW_YORK, is_session, previous_session, session_close, session_open, trading_date

DELAY = timedelta(minutes=15)  # Cboe's free quotes are this old
AFTER_CLOSE = timedelta(minutes=15)  # index options trade until 16:15 ET
LONGEST_BREAK = timedelta(days=4)  # a page of a long weekend may still list Friday's contracts

_MONTHS = (
    "jan ene gen janv janu", "feb fev febr", "mar mrt maa mae mrz marz", "apr avr abr", "may mai mag mei maj maio",
    "jun juin giu", "jul juil lug", "aug ago aou aout", "sep set", "oct okt ott out", "nov", "dec dez dic des",
)  # fmt: skip
_MONTH = {prefix: number for number, names in enumerate(_MONTHS, 1) for prefix in names.split()}
_OFFSET = re.compile(r"\b(?:gmt|utc|z)\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?(?!\d)")
_NAMED = {
    "est": NEW_YORK, "edt": NEW_YORK, "et": NEW_YORK,
    **dict.fromkeys(("cst", "cdt", "ct"), ZoneInfo("America/Chicago")),
    **dict.fromkeys(("mst", "mdt", "mt"), ZoneInfo("America/Denver")),
    **dict.fromkeys(("pst", "pdt", "pt"), ZoneInfo("America/Los_Angeles")),
    **dict.fromkeys(("gmt", "utc"), UTC),
    **dict.fromkeys(("bst",), ZoneInfo("Europe/London")),
    **dict.fromkeys(("cet", "cest", "mez", "mesz"), ZoneInfo("Europe/Berlin")),
}  # fmt: skip
_ZONE = re.compile(rf"\b({'|'.join(_NAMED)})\b")
_CLOCK = re.compile(r"(?<!\d)(\d{1,2})\s*(?::|h)\s*(\d{2})(?::(\d{2}))?(?!\d)")
_AFTERNOON = re.compile(r"(?<![a-z])p\.?\s?m\b|下午|午後|오후")
_MORNING = re.compile(r"(?<![a-z])a\.?\s?m\b|上午|午前|오전")


@dataclass(frozen=True, slots=True)
class PageTime:
    """The instant of a page; `guessed` says that part of the date came from the expirations."""

    instant: datetime
    guessed: bool = False


def read_page_time(text: str, first_expiration: date) -> PageTime | None:
    """The instant a date text means, given the first expiration of the page; None where it means nothing credible."""
    folded = _fold(text)
    zone, rest = _take_zone(folded)
    at, rest = _take_clock(rest)
    latest = first_expiration + LONGEST_BREAK
    found = [(day, guessed) for day, guessed in _dates(rest, first_expiration) if day <= latest]
    if not found:
        return None
    complete = [pair for pair in found if not pair[1]]
    day, guessed = max(complete or found)  # the closest to the first expiration
    if guessed and first_expiration - day > timedelta(days=62):
        return None
    if at is None:
        return PageTime(session_close(_session_on(day)) + AFTER_CLOSE + DELAY, guessed)
    return PageTime(datetime.combine(day, at, zone).astimezone(UTC), guessed or len(set(found)) > 1)


def data_time(page: datetime) -> datetime:
    """When the quotes of a page were true: 15 minutes before it, and never outside a session."""
    instant = page - DELAY
    day = trading_date(instant)
    if not is_session(day) or instant < session_open(day):
        day = previous_session(day)
    return min(instant, end_of_quotes(day))


def end_of_quotes(day: date) -> datetime:
    """The last instant a session's option quotes move."""
    return session_close(day) + AFTER_CLOSE


def _session_on(day: date) -> date:
    return day if is_session(day) else previous_session(day)


def _fold(text: str) -> str:
    """Lower case, accents off, one kind of minus, one kind of space."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"\s+", " ", re.sub(r"[‐-―−﹣-]", "-", unicodedata.normalize("NFC", plain)))


def _take_zone(text: str) -> tuple[tzinfo, str]:
    if match := _OFFSET.search(text):
        sign = -1 if match[1] == "-" else 1
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours <= 14 and minutes < 60:
            offset = timezone(sign * timedelta(hours=hours, minutes=minutes))
            return offset, text[: match.start()] + " " + text[match.end() :]
    if match := _ZONE.search(text):
        return _NAMED[match[1]], text[: match.start()] + " " + text[match.end() :]
    return NEW_YORK, text


def _take_clock(text: str) -> tuple[time | None, str]:
    match = _CLOCK.search(text)
    if not match:
        return None, text
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if _AFTERNOON.search(text) and hour < 12:
        hour += 12
    elif _MORNING.search(text) and hour == 12:
        hour = 0
    rest = text[: match.start()] + " " + text[match.end() :]
    if hour > 23 or minute > 59 or second > 59:
        return None, rest
    return time(hour, minute, second), rest


def _dates(text: str, near: date) -> Iterator[tuple[date, bool]]:
    """Every date a text without clock and zone may mean, and whether its year is a guess."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    years = [number for number in numbers if 1990 <= number <= 2100]
    small = [number for number in numbers if number <= 31]
    month = next(filter(None, (_month(word) for word in re.findall(r"[a-z]{3,}", text))), None)
    if month:
        pairs = [(month, day) for day in small]
    else:  # all in figures: both orders, but a year in front is followed by the month
        orders = [small[:2]] if years and numbers and numbers[0] == years[0] else [small[:2], small[1::-1]]
        pairs = [(order[0], order[1]) for order in orders if len(order) == 2]
    short = [2000 + number for number in numbers if 20 <= number <= 99]
    for month_number, day_number in pairs:
        stated = years or [year for year in short if year - 2000 != day_number or small.count(day_number) > 1]
        for year in stated or (near.year - 1, near.year, near.year + 1):
            try:
                yield date(year, month_number, day_number), not years
            except ValueError:
                continue


def _month(word: str) -> int | None:
    """The number of a month's name, by its first letters, in seven languages."""
    return next((_MONTH[word[:length]] for length in (4, 3) if word[:length] in _MONTH), None)

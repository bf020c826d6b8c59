"""What a request may ask for: parameters that several routes share, and their limits."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Path, Query
from pydantic import AfterValidator, BeforeValidator

from zerogex.analytics.document import iso
from zerogex.domain.exposure import DealerModel
from zerogex.serving.analyses import Question
from zerogex.serving.problems import Problem
from zerogex.serving.tables import Format

MAX_ROWS = 5000
MAX_SPAN = timedelta(days=31)
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2999, 12, 30, tzinfo=UTC)
EXPIRATIONS = r"^(all|0dte|next|\d{4}-\d{2}-\d{2})(,(all|0dte|next|\d{4}-\d{2}-\d{2}))*$"

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?([Zz]|[+-]\d{2}:?\d{2})")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _written(form: re.Pattern[str], like: str) -> BeforeValidator:
    """Only this way of writing a time: numbers are not taken for seconds since the epoch."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and form.fullmatch(value) is None:
            raise ValueError(like)
        return value

    return BeforeValidator(check)


def _within(instant: datetime | None) -> datetime | None:
    """An instant as UTC; raises ValueError for one outside the years we know."""
    if instant is None:
        return None
    try:
        if EARLIEST <= instant <= LATEST:
            return instant.astimezone(UTC)
    except OverflowError:
        pass
    raise ValueError(f"an instant from {iso(EARLIEST)} to {iso(LATEST)}")


def _known_day(day: date | None) -> date | None:
    if day is not None and not EARLIEST.date() <= day <= LATEST.date():
        raise ValueError(f"a day from {EARLIEST.date()} to {LATEST.date()}")
    return day


_IsoInstant = Annotated[datetime, _written(_INSTANT, "ISO 8601 with an offset, such as 2026-02-20T14:30:00Z")]
_IsoDay = Annotated[date, _written(_DAY, "a day such as 2026-02-20")]

Symbol = Annotated[str, Path(description="an underlying that `symbols` lists; case does not matter", examples=["SPY"])]
Instant = Annotated[
    _IsoInstant | None,
    AfterValidator(_within),
    Query(description="ISO 8601 with an offset", examples=["2026-02-20T14:30:00Z"]),
]
AsOf = Annotated[
    _IsoInstant | None,
    AfterValidator(_within),
    Query(description="a past instant, ISO 8601 with an offset: answers from the last minute stored by then"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most; `next_cursor` continues")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before, unchanged")]
As = Annotated[Format, Query(alias="format", description="json, or rows as csv, ndjson, parquet or arrow")]
Day = Annotated[
    _IsoDay | None, AfterValidator(_known_day), Query(description="a New York day; the newest with data when left out")
]


async def question(
    symbol: Symbol,
    as_of: AsOf = None,
    expirations: Annotated[
        str | None,
        Query(
            max_length=2000,
            pattern=EXPIRATIONS,
            description="all, 0dte, next, or ISO dates; comma separated",
            examples=["0dte"],
        ),
    ] = None,
    dealer_model: Annotated[
        DealerModel | None, Query(description="another assumption about who holds what than the configured one")
    ] = None,
) -> Question:
    """Which analysis is meant.  A coroutine, because FastAPI sends plain functions to a thread and back."""
    some = None if expirations is None or "all" in expirations.split(",") else expirations
    return Question(symbol, as_of, dealer_model, some)


Asked = Annotated[Question, Depends(question)]


def span(
    start: datetime | None, end: datetime | None, now: datetime, most: timedelta = MAX_SPAN
) -> tuple[datetime, datetime]:
    """The interval asked for, completed to a day before `end`, `end` to now, and cut to its first `most`."""
    until = now + timedelta(minutes=1) if end is None else end
    begin = until - timedelta(days=1) if start is None else start
    return begin, max(min(until, begin + most), begin)


def check_order(start: datetime | None, end: datetime | None, as_of: datetime | None, now: datetime) -> None:
    """Refuse a stretch of time that ends before it starts: raises Problem 422."""
    limits = {"end": end, "as_of": as_of, "now": now + timedelta(minutes=1) if end is None else None}
    for name, limit in limits.items():
        if start is not None and limit is not None and start > limit:
            said = now if name == "now" else limit
            detail = f"start {iso(start)} lies after {name} ({iso(said)}), expected one before it."
            raise Problem(422, "invalid_parameter", detail, "A stretch is [start, end); without times, the newest.")


def cursor_of(key: Any) -> str:
    """A place in a list, for the client to give back."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def place(cursor: str, kind: type[Any]) -> Any:
    """The place a cursor names; raises Problem 404 for one that is not ours."""
    try:
        return msgspec.json.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True), type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise unknown_cursor() from None


def unknown_cursor() -> Problem:
    """404: no page of this route is called that."""
    hint = "Give `next_cursor` back as it came, or leave `cursor` out to begin anew."
    return Problem(404, "unknown_cursor", "This is not a cursor of this route.", hint)

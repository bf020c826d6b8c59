"""What a request may ask for: parameters that several routes share, and their limits."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Path, Query

from zerogex.domain.exposure import DealerModel
from zerogex.serving.analyses import Question
from zerogex.serving.problems import Problem
from zerogex.serving.tables import Format

MAX_ROWS = 5000
MAX_SPAN = timedelta(days=31)
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2999, 12, 30, tzinfo=UTC)
TIMES_HINT = "Give times with an offset, start before end: 2026-02-20T14:30:00Z."

Symbol = Annotated[str, Path(description="an underlying that `symbols` lists; case does not matter", examples=["SPY"])]
Instant = Annotated[datetime | None, Query(description="ISO 8601 with an offset")]
AsOf = Annotated[
    datetime | None,
    Query(description="a past instant, ISO 8601 with an offset: answers from the last minute stored by then"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most; `next_cursor` continues")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before, unchanged")]
As = Annotated[Format, Query(alias="format", description="json, or rows as csv, ndjson, parquet or arrow")]
Day = Annotated[date | None, Query(description="a New York day; the newest with data when left out")]


def question(
    symbol: Symbol,
    as_of: AsOf = None,
    expirations: Annotated[
        str | None,
        Query(max_length=2000, description="all, 0dte, next, or ISO dates; comma separated", examples=["0dte"]),
    ] = None,
    dealer_model: Annotated[
        DealerModel | None, Query(description="another assumption about who holds what than the configured one")
    ] = None,
) -> Question:
    """Which analysis is meant."""
    some = None if expirations is None or expirations.strip().lower() in ("", "all") else expirations
    return Question(symbol, None if as_of is None else utc(as_of), dealer_model, some)


Asked = Annotated[Question, Depends(question)]


def utc(instant: datetime) -> datetime:
    """An instant with an offset as UTC; raises Problem 422 for one without, or outside the calendar."""
    if instant.tzinfo is None:
        raise Problem(422, "invalid_parameter", f"{instant.isoformat()} has no offset from UTC.", TIMES_HINT)
    try:
        moved = instant.astimezone(UTC)
    except OverflowError:
        moved = EARLIEST - timedelta(days=1)
    if not EARLIEST <= moved <= LATEST:
        raise Problem(422, "invalid_parameter", "A time lies outside the calendar.", TIMES_HINT)
    return moved


def span(
    start: datetime | None, end: datetime | None, now: datetime, most: timedelta = MAX_SPAN
) -> tuple[datetime, datetime]:
    """The interval asked for, completed to a day before `end`, `end` to now; raises Problem 422."""
    until = now + timedelta(minutes=1) if end is None else utc(end)
    begin = until - timedelta(days=1) if start is None else utc(start)
    if begin >= until:
        detail = f"start {begin.isoformat()} is not before {until.isoformat()}."
        raise Problem(422, "invalid_parameter", detail, TIMES_HINT)
    if until - begin > most:
        raise Problem(422, "span_too_long", f"At most {most.days} days at a time.", "Page through shorter spans.")
    return begin, until


def cursor_of(key: Any) -> str:
    """A place in a list, for the client to give back."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def place(cursor: str, kind: type[Any]) -> Any:
    """The place a cursor names; raises Problem 422 for one that is not ours."""
    try:
        return msgspec.json.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True), type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        hint = "Give `next_cursor` back as it came, or leave `cursor` out to begin anew."
        raise Problem(422, "invalid_cursor", "This is not a cursor of this route.", hint) from None

"""Option flow: who bought what, inferred; the named queries of the store do the work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from zerogex.domain.calendar import NEW_YORK, new_york
from zerogex.serving import views
from zerogex.serving.analyses import no_history
from zerogex.serving.asked import MAX_ROWS, As, AsOf, Day, Symbol
from zerogex.serving.board import Board
from zerogex.serving.described import options
from zerogex.serving.reading import Reader
from zerogex.serving.responses import encode, fingerprint
from zerogex.serving.tables import Format, respond

RESET = time(9, 30)  # New York: when option volumes begin anew


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to look at flow: the named query that answers it."""

    query: str
    says: str


@dataclass(frozen=True, slots=True)
class Span:
    """Which minutes: the newest so many of a day (None: the newest day), of those before an instant."""

    day: date | None
    minutes: int
    until: datetime | None = None


KINDS = {
    "type": Kind(
        "flow_by_type",
        "Calls against puts by minute, newest first.  Net flow is inferred from last prices: see `confidence`.",
    ),
    "strike": Kind("flow_by_strike", "The strikes with most flow in the newest minutes, with average Greeks."),
    "expiration": Kind("flow_by_expiration", "Flow of the newest minutes by expiration."),
    "smart-money": Kind(
        "flow_smart_money", "The most unusual prints of the newest minutes, with a score from 0 to 10."
    ),
    "buying-pressure": Kind(
        "flow_buying_pressure", "The underlying by minute, newest first: share of volume on upticks, momentum."
    ),
}
Minutes = Annotated[int, Query(ge=1, le=1440, description="how many of the newest minutes")]
FlowLimit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most")]


def install(router: APIRouter, board: Board, reader: Reader) -> None:
    """Add the routes."""
    for name, kind in KINDS.items():
        _flow(router, board, reader, name, kind)


def _flow(router: APIRouter, board: Board, reader: Reader, name: str, kind: Kind) -> None:
    async def route(
        request: Request,
        symbol: Symbol,
        minutes: Minutes = 60,
        day: Day = None,
        as_of: AsOf = None,
        limit: FlowLimit = 500,
        form: As = Format.JSON,
    ) -> Response:
        entry = board.entry(symbol)
        moment = board.moment(as_of)
        span = Span(day, minutes)
        if as_of is not None:
            span = await _span_until(reader, entry.symbol, moment.now, minutes)
        rows = await reader.query(kind.query, symbol=entry.symbol, limit=limit, **asdict(span))
        instant = None if as_of is None else moment.now
        document = views.seen_from(entry.document or {}, entry.symbol, instant, views.newest_of(rows) or span.until)
        body = views.flow(entry.symbol, name, minutes, rows, document, moment)
        return respond(request, body, fingerprint(encode([rows, moment.session, as_of])), form, lambda: rows)

    route.__doc__ = kind.says
    router.add_api_route(
        f"/{{symbol}}/flow/{name}", route, methods=["GET"], name=kind.query, tags=["flow"], **options("flow")
    )


async def _span_until(reader: Reader, symbol: str, as_of: datetime, minutes: int) -> Span:
    """The parameters that make a query about a day's newest minutes speak of those before an instant."""
    local = as_of.astimezone(NEW_YORK)
    day = local.date() if local.time() >= RESET else local.date() - timedelta(days=1)
    ends = new_york(day + timedelta(days=1), RESET) - timedelta(microseconds=1)
    labels = [await reader.query("api_minute_at", symbol=symbol, as_of=instant) for instant in (as_of, ends)]
    if not all(labels):
        raise no_history(symbol, as_of)
    known, newest = (rows[0]["timestamp"] for rows in labels)
    later = max(int((newest - known).total_seconds() // 60), 0)
    return Span(day, minutes + later, known + timedelta(minutes=1))

"""`/api/v1`: what programs read, and all that the page reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response

from zerogex.ports import Store
from zerogex.serving import views
from zerogex.serving.board import Board
from zerogex.serving.hub import Hub
from zerogex.serving.problems import Problem, database_unavailable
from zerogex.serving.responses import answer, encode, fingerprint

T = TypeVar("T")
MAX_ROWS = 5000
MAX_SPAN = timedelta(days=31)
PROBLEM = {"description": "RFC 9457 problem document", "content": {"application/problem+json": {}}}
JSON: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON; docs/api.md names the fields", "content": {"application/json": {}}},
    304: {"description": "Nothing but the age has changed since the given ETag"},
    404: PROBLEM,
    422: PROBLEM,
    503: PROBLEM,
}
Instant = Annotated[datetime | None, Query(description="ISO 8601 with an offset")]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most; `next_start` continues")]


def api(store: Store, board: Board, hub: Hub) -> APIRouter:
    """All routes below /api/v1."""
    router = APIRouter(prefix="/api/v1", responses=JSON)
    _about_server(router, board, hub)
    _about_symbols(router, board)
    _about_time(router, store, board)
    return router


def _about_server(router: APIRouter, board: Board, hub: Hub) -> None:
    @router.get("/health/live", tags=["server"])
    async def live(request: Request) -> Response:
        """The process runs and answers."""
        return answer(request, {"status": "alive"}, "alive")

    @router.get("/health/ready", tags=["server"])
    async def ready(request: Request) -> Response:
        """The database can be reached and has been read."""
        if not (board.database and board.scanned):
            raise database_unavailable()
        return answer(request, {"status": "ready", "database": "up", "symbols": board.symbols()}, "ready")

    @router.get("/version", tags=["server"])
    async def version(request: Request) -> Response:
        """Which program this is, and which run of it (WebSocket sequence numbers belong to a run)."""
        return answer(request, {"name": "zerogex", "version": board.config.version, "epoch": hub.epoch}, hub.epoch)

    @router.get("/symbols", tags=["market"])
    async def symbols(request: Request) -> Response:
        """Every underlying followed here with the state of its data; the first is the page's default."""
        moment = board.moment()
        rows = []
        for symbol in board.symbols():
            document = board.known[symbol].document
            row: dict[str, Any] = {"symbol": symbol, "waiting": document is None}
            if document is not None:
                row |= views.clock_face(document, moment)
                row |= {name: document.get(name) for name in ("data_timestamp", "spot", "net_gex", "gamma_flip")}
                row["simulated"] = bool(document.get("simulated")) or moment.simulated
            rows.append(row)
        body = {
            "market_time": moment.now,
            "session": moment.session.value,
            "next_open": moment.next_open,
            "simulated": moment.simulated,
            "database": "up" if board.database else "down",
            "symbols": rows,
        }
        versions = [board.etag(board.known[row["symbol"]].version, moment, row) for row in rows]
        return answer(request, body, fingerprint(encode([versions, board.database, moment.session])))


def _about_symbols(router: APIRouter, board: Board) -> None:
    """One route a view; all are served from memory."""

    def add(name: str, view: Callable[[views.Document, views.Moment], dict[str, Any]]) -> None:
        async def route(request: Request, symbol: str) -> Response:
            entry, document = board.analysis(symbol)
            moment = board.moment()
            return answer(request, view(document, moment), board.etag(entry.version, moment, document))

        route.__doc__ = view.__doc__
        router.add_api_route(f"/{{symbol}}/{name}", route, methods=["GET"], name=name, tags=["market"])

    for name, view in views.VIEWS.items():
        add(name, view)


def _about_time(router: APIRouter, store: Store, board: Board) -> None:
    async def read(question: Callable[[], T]) -> T:
        try:
            return await asyncio.wait_for(asyncio.to_thread(question), board.config.store_timeout_s)
        except TimeoutError:
            hint = "Ask for a shorter span, or again later."
            raise Problem(504, "store_timeout", "The database took too long to answer.", hint) from None

    @router.get("/{symbol}/bars", tags=["market"])
    async def bars(
        request: Request, symbol: str, start: Instant = None, end: Instant = None, limit: Limit = MAX_ROWS
    ) -> Response:
        """Stored one-minute bars with start in [start, end); without times, the newest minutes."""
        entry = board.entry(symbol)
        if start is None and end is None:
            if not entry.bars and not board.database:
                raise database_unavailable()
            moment = board.moment()
            body = views.bars(entry.symbol, entry.bars[-limit:], entry.document or {}, moment)
            version = f"{entry.bars_version}-{limit}-{entry.version[:8]}"
            return answer(request, body, board.etag(version, moment, entry.document))
        begin, until = span(start, end, board.moment().now)
        rows = await read(lambda: store.bars(entry.symbol, begin, until))
        body = views.bars(entry.symbol, rows[:limit], entry.document or {}, board.moment())
        body["next_start"] = rows[limit].timestamp if len(rows) > limit else None
        return answer(request, body, fingerprint(encode(body["bars"])))

    @router.get("/{symbol}/history", tags=["market"])
    async def history(
        request: Request, symbol: str, start: Instant = None, end: Instant = None, limit: Limit = MAX_ROWS
    ) -> Response:
        """Stored analyses, one a minute: net GEX, flip, walls, spot; without times, the last 24 hours."""
        entry = board.entry(symbol)
        begin, until = span(start, end, board.moment().now)
        rows = await read(lambda: store.gex_history(entry.symbol, begin, until))
        body = views.head(entry.document or {}, board.moment()) | {
            "underlying": entry.symbol,
            "history": rows[:limit],
            "next_start": rows[limit]["timestamp"] if len(rows) > limit else None,
        }
        return answer(request, body, fingerprint(encode(body["history"])))


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The interval asked for, completed to a day before `end`, `end` to now; raises Problem 422."""
    hint = "Give start before end, each with an offset: 2026-02-20T14:30:00Z."
    for instant in (start, end):
        if instant is not None and instant.tzinfo is None:
            raise Problem(422, "invalid_parameter", f"{instant.isoformat()} has no offset from UTC.", hint)
    try:
        until = (end or now + timedelta(minutes=1)).astimezone(UTC)
        begin = (start or until - timedelta(days=1)).astimezone(UTC)
    except OverflowError:
        raise Problem(422, "invalid_parameter", "A time lies outside the calendar.", hint) from None
    if begin >= until:
        raise Problem(422, "invalid_parameter", f"start {begin.isoformat()} is not before {until.isoformat()}.", hint)
    if until - begin > MAX_SPAN:
        raise Problem(422, "span_too_long", f"At most {MAX_SPAN.days} days at a time.", "Page through shorter spans.")
    return begin, until

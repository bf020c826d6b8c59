"""Option flow: who bought what, inferred; the named queries of the store do the work."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from zerogex.serving import views
from zerogex.serving.asked import MAX_ROWS, As, Day, Symbol
from zerogex.serving.board import Board
from zerogex.serving.reading import Reader
from zerogex.serving.responses import encode, fingerprint
from zerogex.serving.tables import Format, respond

KINDS = {
    "type": "Calls against puts by minute, newest first; net flow is inferred from last prices, see `confidence`.",
    "strike": "The strikes with most flow in the newest minutes, with average Greeks of what traded.",
    "expiration": "Flow of the newest minutes by expiration.",
    "smart-money": "The most unusual prints of the newest minutes; the score runs from 0 to 10.",
    "buying-pressure": "The underlying by minute, newest first: share of volume on upticks, momentum.",
}
BY_MINUTE = ("type", "buying-pressure", "smart-money")
Minutes = Annotated[int, Query(ge=1, le=1440, description="how many of the newest minutes")]
FlowLimit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most")]


def install(router: APIRouter, board: Board, reader: Reader) -> None:
    """Add the routes."""
    for kind, says in KINDS.items():
        _flow(router, board, reader, kind, says)


def _flow(router: APIRouter, board: Board, reader: Reader, kind: str, says: str) -> None:
    query = f"flow_{kind.replace('-', '_')}"

    async def route(
        request: Request,
        symbol: Symbol,
        minutes: Minutes = 60,
        day: Day = None,
        limit: FlowLimit = 500,
        form: As = Format.JSON,
    ) -> Response:
        entry = board.entry(symbol)
        rows = await reader.query(query, symbol=entry.symbol, day=day, minutes=minutes, limit=limit)
        moment = board.moment()
        newest = max((row["timestamp"] for row in rows if row.get("timestamp")), default=None)
        body = views.head(entry.document or {}, moment) | {"underlying": entry.symbol, "minutes": minutes, "flow": rows}
        if newest is not None:
            body["data_timestamp"] = newest
        return respond(request, body, fingerprint(encode([rows, moment.session])), form, lambda: rows)

    route.__doc__ = says
    router.add_api_route(f"/{{symbol}}/flow/{kind}", route, methods=["GET"], name=query, tags=["flow"])

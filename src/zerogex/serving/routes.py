"""`/api/v1`: what programs read, and all that the page reads."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from zerogex.ports import Store
from zerogex.serving import analysis_routes, flow_routes, heatmap_routes, time_routes, views
from zerogex.serving.access import caller_of
from zerogex.serving.analyses import Analyses
from zerogex.serving.asked import As
from zerogex.serving.board import Board
from zerogex.serving.described import PROBLEM, answers
from zerogex.serving.hub import Hub
from zerogex.serving.problems import database_unavailable
from zerogex.serving.reading import Reader
from zerogex.serving.responses import answer, encode, fingerprint
from zerogex.serving.tables import Format, respond

JSON: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON; docs/api.md names the fields", "content": {"application/json": {}}},
    304: {"description": "Nothing but the age has changed since the given ETag"},
    **dict.fromkeys((401, 403, 404, 422, 429, 500, 503, 504), PROBLEM),
}


def api(store: Store, board: Board, hub: Hub) -> APIRouter:
    """All routes below /api/v1."""
    router = APIRouter(prefix="/api/v1", responses=JSON)
    reader = Reader(store, board.config.store_timeout_s)
    analyses = Analyses(reader, board)
    _about_server(router, board, hub)
    _about_all(router, board)
    analysis_routes.install(router, board, analyses)
    heatmap_routes.install(router, board, analyses, reader)
    time_routes.install(router, board, reader)
    flow_routes.install(router, board, reader)
    return router


def _about_server(router: APIRouter, board: Board, hub: Hub) -> None:
    @router.get("/health/live", tags=["server"])
    async def live(request: Request) -> Response:
        """The process runs and answers."""
        return answer(request, {"status": "alive"}, "alive")

    @router.get("/health/ready", tags=["server"])
    async def ready(request: Request) -> Response:
        """The database can be reached and has been read; `feed` says why the vendor refuses us, if it does."""
        if not (board.database and board.scanned):
            raise database_unavailable()
        feed = "ok" if board.feed_trouble is None else "refused"
        body = {"status": "ready", "database": "up", "feed": feed, "feed_trouble": board.feed_trouble,
                "symbols": board.symbols()}  # fmt: skip
        return answer(request, body, f"ready-{feed}")

    @router.get("/version", tags=["server"])
    async def version(request: Request) -> Response:
        """Which program this is, and which run of it (WebSocket sequence numbers belong to a run)."""
        return answer(request, {"name": "zerogex", "version": board.config.version, "epoch": hub.epoch}, hub.epoch)

    @router.get("/me", tags=["server"])
    async def me(request: Request) -> Response:
        """Who asks: the key, what it may, and what is left of its quota; without a key, the machine's own user."""
        caller = caller_of(request)
        body: dict[str, Any] = {"access": "local", "key": None, "scopes": ["data", "chain"], "quota": None}
        if caller.key is not None and caller.standing is not None:
            key, left = caller.key, caller.standing
            body = {
                "access": "key",
                "key": {name: getattr(key, name) for name in ("key_id", "name", "created_at", "expires_at")},
                "scopes": [scope for scope in key.scopes if scope != "chain" or board.config.chain_to_keys],
                "quota": {
                    "requests_per_minute": left.limit,
                    "remaining": left.remaining,
                    "reset_seconds": left.reset_s,
                },
            }
        return Response(encode(body), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _about_all(router: APIRouter, board: Board) -> None:
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

    @router.get("/levels", tags=["market"], responses=answers("levels"))
    async def levels(request: Request, form: As = Format.JSON) -> Response:
        """The levels of every underlying in one table."""
        moment = board.moment()
        entries = [board.known[symbol] for symbol in board.symbols()]
        known = [(entry, entry.document) for entry in entries if entry.document is not None]
        rows = [views.level_row(document, moment) for _, document in known]
        oldest = max((document for _, document in known), key=lambda d: views.age_seconds(d, moment) or 0.0, default={})
        body = views.table_head(oldest, moment) | {"levels": rows}
        versions = [board.etag(entry.version, moment, document) for entry, document in known]
        return respond(
            request, body, fingerprint(encode([versions, board.database, moment.session])), form, lambda: rows
        )

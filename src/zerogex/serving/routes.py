"""`/api/v1`: what programs read, and all that the page reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from zerogex.ports import Store
from zerogex.serving import alert_routes, analysis_routes, flow_routes, heatmap_routes, time_routes, views
from zerogex.serving.access import caller_of
from zerogex.serving.analyses import Analyses, Question, no_history
from zerogex.serving.asked import As, AsOf
from zerogex.serving.board import Board
from zerogex.serving.described import PROBLEM, answers
from zerogex.serving.hub import Hub
from zerogex.serving.keys import SCOPES
from zerogex.serving.parameters import only_known
from zerogex.serving.problems import Problem, database_unavailable
from zerogex.serving.reading import Reader
from zerogex.serving.responses import answer, encode, fingerprint
from zerogex.serving.tables import Format, respond
from zerogex.serving.views import Moment

JSON: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON; docs/api.md names the fields", "content": {"application/json": {}}},
    304: {"description": "Nothing but the age has changed since the given ETag"},
    **dict.fromkeys((401, 403, 404, 422, 429, 500, 503, 504), PROBLEM),
}


def api(store: Store, board: Board, hub: Hub) -> APIRouter:
    """All routes below /api/v1."""
    router = APIRouter(prefix="/api/v1", responses=JSON, dependencies=[Depends(only_known)])
    reader = Reader(store, board.config.store_timeout_s)
    analyses = Analyses(reader, board)
    _about_server(router, board, hub)
    _about_all(router, board, analyses)
    alert_routes.install(router, board, reader)
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
        body: dict[str, Any] = {"access": "local", "key": None, "scopes": list(SCOPES), "quota": None}
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


def _about_all(router: APIRouter, board: Board, analyses: Analyses) -> None:
    @router.get("/symbols", tags=["market"], responses=answers("symbols"))
    async def symbols(request: Request, form: As = Format.JSON) -> Response:
        """Every underlying followed here with the state of its data; the first is the page's default."""
        moment = board.moment()
        entries = [board.known[symbol] for symbol in board.symbols()]
        rows = [views.symbol_row(entry.symbol, entry.document, moment) for entry in entries]
        known = [(entry.document, moment) for entry in entries if entry.document is not None]
        body = views.table_head(known, moment) | {"symbols": rows}
        versions = [board.etag(entry.version, moment, entry.document) for entry in entries]
        return respond(request, body, _version(versions, board, moment), form, lambda: rows)

    @router.get("/levels", tags=["market"], responses=answers("levels"))
    async def levels(request: Request, as_of: AsOf = None, form: As = Format.JSON) -> Response:
        """The levels of every underlying in one table."""
        moment = board.moment(as_of)
        found = _now(board, moment) if as_of is None else await _then(board, analyses, as_of)
        rows = [views.level_row(document, seen) for document, seen, _ in found]
        body = views.table_head([(document, seen) for document, seen, _ in found], moment) | {"levels": rows}
        versions = [version for _, _, version in found]
        return respond(request, body, _version(versions, board, moment), form, lambda: rows)


Seen = tuple[views.Document, Moment, str]  # a document, the moment it is seen from, its version


def _now(board: Board, moment: Moment) -> list[Seen]:
    """What is known of each underlying now."""
    entries = [board.known[symbol] for symbol in board.symbols()]
    known = [(entry, entry.document) for entry in entries if entry.document is not None]
    return [(document, moment, board.etag(entry.version, moment, document)) for entry, document in known]


async def _then(board: Board, analyses: Analyses, as_of: datetime) -> list[Seen]:
    """What was known of each underlying then, as far as its minutes are stored; raises Problem 404 for none at all."""
    found: list[Seen] = []
    for symbol in board.symbols():
        try:
            answered = await analyses.answer(Question(symbol, as_of))
        except Problem as problem:
            if problem.code not in ("no_history", "waiting_for_data"):
                raise
        else:
            found.append((answered.document, answered.moment, answered.version))
    if not found:
        raise no_history("any underlying", as_of)
    return found


def _version(versions: list[str], board: Board, moment: Moment) -> str:
    return fingerprint(encode([versions, board.database, moment.session]))

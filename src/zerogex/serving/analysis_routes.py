"""Routes that speak of one analysis: live from memory, otherwise of a past minute or of chosen expirations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from zerogex.serving import chain_views, views
from zerogex.serving.access import Caller, caller_of
from zerogex.serving.analyses import Analyses
from zerogex.serving.asked import MAX_ROWS, As, Asked, Cursor, Limit, cursor_of, place, unknown_cursor
from zerogex.serving.board import Board
from zerogex.serving.described import options
from zerogex.serving.problems import Problem
from zerogex.serving.tables import Format, respond

Row = dict[str, Any]
_CHAIN_KEY = ("expiration", "root", "strike", "option_type")


def install(router: APIRouter, board: Board, analyses: Analyses) -> None:
    """Add the routes."""
    for name, view in views.VIEWS.items():
        _view(router, board, analyses, name, view)
    _smile(router, analyses)
    _chain(router, board, analyses)


def _view(
    router: APIRouter,
    board: Board,
    analyses: Analyses,
    name: str,
    view: Callable[[views.Document, views.Moment], Row],
) -> None:
    async def route(request: Request, question: Asked, form: As = Format.JSON) -> Response:
        if question.is_live:
            entry, document = board.analysis(question.symbol)
            moment = board.moment()
            version = board.etag(entry.version, moment, document)
        else:
            answered = await analyses.answer(question)
            document, moment, version = answered.document, answered.moment, answered.version
        body = view(document, moment)
        return respond(request, body, version, form, lambda: views.ROWS[name](body))

    route.__doc__ = view.__doc__
    router.add_api_route(f"/{{symbol}}/{name}", route, methods=["GET"], name=name, tags=["market"], **options(name))


def _smile(router: APIRouter, analyses: Analyses) -> None:
    @router.get("/{symbol}/smile", tags=["market"], **options("smile"))
    async def smile(request: Request, question: Asked, form: As = Format.JSON) -> Response:
        """Implied volatility by strike and expiration, and the term structure with its forwards."""
        answered = await analyses.answer(question)
        body = chain_views.smile(answered)
        return respond(request, body, answered.version, form, lambda: views.smile_rows(body))


def _chain(router: APIRouter, board: Board, analyses: Analyses) -> None:
    @router.get("/{symbol}/chain", tags=["market"], **options("chain"))
    async def chain(
        request: Request, question: Asked, limit: Limit = MAX_ROWS, cursor: Cursor = None, form: As = Format.JSON
    ) -> Response:
        """Every contract with its quote, volatility and Greeks.  Vendor quotes: for keys only where switched on."""
        check_licence(caller_of(request), board.config.chain_to_keys)
        answered = await analyses.answer(question)
        rows = chain_views.chain_rows(chain_views.selected(answered))
        rows, following = page(rows, _CHAIN_KEY, limit, cursor)
        body = chain_views.quotes(answered, rows) | {"next_cursor": following}
        return respond(
            request,
            body,
            f"{answered.version}-{limit}-{cursor or ''}",
            form,
            lambda: chain_views.self_contained(body, rows),
        )


def check_licence(caller: Caller, switched_on: bool) -> None:
    """Vendor quotes are licensed to the account holder; raises Problem 403 for a key that may not have them."""
    if caller.key is None or (switched_on and caller.may("chain")):
        return
    hint = "Derived data is what keys get: strikes, heatmap, smile.  The operator can switch quotes on for a key."
    raise Problem(403, "not_licensed", "Raw quotes of the vendor are not for this key.", hint)


def page(rows: list[Row], key: tuple[str, ...], limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """The rows after a cursor, ordered by `key` already, and the cursor of the rest."""

    def of(row: Row) -> list[str | float]:
        return [row[name] for name in key]

    if cursor is not None:
        after = place(cursor, list[str | float])
        kinds = [isinstance(row_value, str) for row_value in of(rows[0])] if rows else []
        if rows and [isinstance(value, str) for value in after] != kinds:
            raise unknown_cursor()
        rows = [row for row in rows if of(row) > after]
    following = cursor_of(of(rows[limit - 1])) if len(rows) > limit else None
    return rows[:limit], following

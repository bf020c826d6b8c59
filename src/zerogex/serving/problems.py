"""Every error of the API, as RFC 9457 problem documents with a code for programs and a hint for people."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from zerogex.analytics.document import iso
from zerogex.errors import StoreError, StoreUnavailable

log = logging.getLogger(__name__)
Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


class Problem(Exception):
    """An answer that is not the one asked for: what is so, and what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        hint: str,
        *,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.headers = headers or {}
        self.extra = extra

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """The members of RFC 9457, then ours."""
        document: dict[str, Any] = {
            "type": f"urn:zerogex:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
        }
        if instance is not None:
            document["instance"] = instance
        return document | self.extra

    def response(self, request: HTTPConnection) -> Response:
        """The document as an HTTP answer that no cache keeps."""
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        body = msgspec.json.encode(self.document(request.url.path))
        return Response(body, self.status, headers, media_type="application/problem+json")


def unknown_symbol(symbol: str, known: list[str]) -> Problem:
    """404: nothing here is called that."""
    names = ", ".join(known[:20]) or "none yet"
    return Problem(
        404, "unknown_symbol", f"No underlying {symbol[:40]!r} is followed here.", f"Known symbols: {names}."
    )


def waiting_for_data(symbol: str) -> Problem:
    """503: the symbol is right, its first analysis is still to come."""
    return Problem(
        503,
        "waiting_for_data",
        f"No analysis of {symbol} has been computed yet.",
        "Wait a few seconds; if it stays so, see that `zerogex ingest` and `zerogex analyze` run.",
        retry_after_s=2,
    )


def still_to_come(as_of: datetime, now: datetime) -> Problem:
    """422: nothing can be known as of an instant that the feed's clock has not reached."""
    detail = f"as_of {iso(as_of)} lies after now ({iso(now)}), expected a past instant."
    return Problem(422, "invalid_parameter", detail, "Leave `as_of` out for the newest.")


def database_unavailable() -> Problem:
    """503: the database cannot be reached, and nothing is remembered that would answer."""
    return Problem(
        503,
        "database_unavailable",
        "The database cannot be reached, and no last known answer is held.",
        "It is tried again every second; see that PostgreSQL runs where `zerogex config` says.",
        retry_after_s=2,
    )


def install(app: FastAPI) -> None:
    """Let every error of the application leave as a problem document."""
    handlers: dict[type[Exception], Handler] = {
        Problem: _problem,
        HTTPException: _http,
        StoreError: _store,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response(request)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    hint = "The routes are listed in /api/v1/openapi.json and docs/api.md."
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    detail = f"{phrase}: {request.method} {request.url.path}"
    return Problem(error.status_code, code, detail, hint, headers=error.headers).response(request)


async def _store(request: Request, error: Exception) -> Response:
    if isinstance(error, StoreUnavailable):
        return database_unavailable().response(request)
    extra = {"path": request.url.path, "error": type(error).__name__, "reason": str(error)}
    log.error("store refused a read", extra=extra)
    hint = "The server's log has the reason; the schema may be older or newer than this program."
    return Problem(500, "store_error", "The database refused this read.", hint).response(request)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error, extra={"path": request.url.path})
    hint = "The server's log has the reason; please report it with the time of this request."
    return Problem(500, "internal_error", "Something went wrong inside this server.", hint).response(request)

"""Routes that speak of a stretch of time: bars, history, and how complete a day is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from zerogex.domain.bar import MinuteBar
from zerogex.domain.calendar import is_session, new_york, previous_session, session_close, session_open, trading_date
from zerogex.pipeline.gaps import expected_minutes, missing_minutes
from zerogex.serving import views
from zerogex.serving.asked import (
    EARLIEST,
    LATEST,
    MAX_ROWS,
    MAX_SPAN,
    As,
    AsOf,
    Cursor,
    Day,
    Instant,
    Limit,
    Symbol,
    check_order,
    cursor_of,
    place,
    span,
    unknown_cursor,
)
from zerogex.serving.board import Board, Known
from zerogex.serving.described import options
from zerogex.serving.problems import database_unavailable
from zerogex.serving.reading import Reader
from zerogex.serving.responses import encode, fingerprint
from zerogex.serving.tables import Format, respond

AwareInstant = Annotated[datetime, msgspec.Meta(tz=True)]


class Resolution(StrEnum):
    """How far rows lie apart."""

    MINUTE = "1m"
    FIVE = "5m"
    QUARTER = "15m"
    HALF = "30m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def step(self) -> timedelta:
        """The distance."""
        return timedelta(minutes={"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "1d": 1440}[self.value])

    @property
    def longest(self) -> timedelta:
        """The longest span that may be asked for at once."""
        return MAX_SPAN if self.step < timedelta(hours=1) else timedelta(days=400)


Step = Annotated[Resolution, Query(description="the last analysis of each of these")]


def install(router: APIRouter, board: Board, reader: Reader) -> None:
    """Add the routes."""
    _bars(router, board, reader)
    _history(router, board, reader)
    _quality(router, board, reader)


def _bars(router: APIRouter, board: Board, reader: Reader) -> None:
    @router.get("/{symbol}/bars", tags=["market"], **options("bars"))
    async def bars(
        request: Request,
        symbol: Symbol,
        start: Instant = None,
        end: Instant = None,
        as_of: AsOf = None,
        limit: Limit = MAX_ROWS,
        cursor: Cursor = None,
        form: As = Format.JSON,
    ) -> Response:
        """Stored one-minute bars with start in [start, end); without times, the newest minutes."""
        entry = board.entry(symbol)
        if start is None and end is None and as_of is None and cursor is None:
            return _newest_bars(request, board, entry, limit, form)
        begin, until, last = bounds(board, start, end, as_of, cursor, MAX_SPAN)
        rows = await reader.read(lambda: reader.store.bars(entry.symbol, begin, until))
        if as_of is not None:
            ended = as_of - timedelta(seconds=board.config.bucket_seconds)
            rows = [bar for bar in rows if bar.timestamp <= ended]
        moment = board.moment(as_of)
        document = views.seen_from(entry.document or {}, entry.symbol, as_of, None)
        body = views.bars(entry.symbol, rows[:limit], document, moment)
        body["next_start"] = rows[limit].timestamp if len(rows) > limit else None
        body["next_cursor"] = following([bar.timestamp for bar in rows], limit, until, last)
        return respond(request, body, fingerprint(encode(body["bars"])), form, lambda: body["bars"])


def _newest_bars(request: Request, board: Board, entry: Known, limit: int, form: Format) -> Response:
    if not entry.bars and not board.database:
        raise database_unavailable()
    moment = board.moment()
    body = views.bars(entry.symbol, entry.bars[-limit:], entry.document or {}, moment)
    version = board.etag(f"{entry.bars_version}-{limit}-{entry.version[:8]}", moment, entry.document)
    return respond(request, body, version, form, lambda: body["bars"])


def bounds(
    board: Board,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
    cursor: str | None,
    most: timedelta,
) -> tuple[datetime, datetime, datetime]:
    """The span to answer now, and its whole end; a cursor continues where a page ended.  `as_of` is included.

    A longer span than `most` is answered in parts: each page's cursor leads to the next.
    """
    if cursor is not None:
        after, last = place(cursor, tuple[AwareInstant, AwareInstant])
        if not EARLIEST <= after < last <= LATEST:
            raise unknown_cursor()
        begin, until = span(after + timedelta(microseconds=1), last, board.moment().now, most)
        return begin, until, last
    check_order(start, end, as_of, board.moment(as_of).now)
    if as_of is not None:
        known_until = as_of + timedelta(microseconds=1)
        end = known_until if end is None else min(known_until, end)
    begin, until = span(start, end, board.moment().now, most)
    return begin, until, end or until


def following(stamps: Sequence[datetime], limit: int, until: datetime, end: datetime) -> str | None:
    """The cursor of what comes after the first `limit` stamps of a span that goes on to `end`; None for nothing."""
    if len(stamps) > limit:
        return cursor_of((stamps[limit - 1], end))
    return cursor_of((until - timedelta(microseconds=1), end)) if until < end else None


def _history(router: APIRouter, board: Board, reader: Reader) -> None:
    @router.get("/{symbol}/history", tags=["market"], **options("history"))
    async def history(
        request: Request,
        symbol: Symbol,
        start: Instant = None,
        end: Instant = None,
        as_of: AsOf = None,
        resolution: Step = Resolution.MINUTE,
        limit: Limit = MAX_ROWS,
        cursor: Cursor = None,
        form: As = Format.JSON,
    ) -> Response:
        """Stored analyses: net GEX, flip, walls, spot; without times, the last 24 hours."""
        entry = board.entry(symbol)
        begin, until, last = bounds(board, start, end, as_of, cursor, resolution.longest)
        rows = await reader.query(
            "api_history",
            symbol=entry.symbol,
            start=begin,
            end=until,
            origin=new_york_midnight(trading_date(begin)),
            step_s=resolution.step.total_seconds(),
            limit=limit + 1,
        )
        moment = board.moment(as_of)
        document = views.seen_from(entry.document or {}, entry.symbol, as_of, views.newest_of(rows[:limit]))
        body = views.head(document, moment) | {
            "underlying": entry.symbol,
            "resolution": resolution.value,
            "history": rows[:limit],
            "next_start": rows[limit]["timestamp"] if len(rows) > limit else None,
            "next_cursor": following([row["timestamp"] for row in rows], limit, until, last),
        }
        return respond(request, body, fingerprint(encode(body["history"])), form, lambda: rows[:limit])


def new_york_midnight(day: date) -> datetime:
    """When a New York day begins, UTC."""
    return new_york(day, datetime.min.time())


def _quality(router: APIRouter, board: Board, reader: Reader) -> None:
    @router.get("/{symbol}/quality", tags=["market"], **options("quality"))
    async def quality(
        request: Request, symbol: Symbol, day: Day = None, as_of: AsOf = None, form: As = Format.JSON
    ) -> Response:
        """How complete a day is: coverage, missing minutes, findings, and how far each stage lags behind now."""
        entry = board.entry(symbol)
        moment = board.moment(as_of)
        session = day or newest_session(moment.now)
        stages = await reader.query("api_stages", symbol=entry.symbol)
        document = views.seen_from(entry.document or {}, entry.symbol, as_of, as_of)
        body = views.head(document, moment) | {
            "underlying": entry.symbol,
            **await _completeness(reader, entry.symbol, session, moment.now, board.config.bucket_seconds),
            "lag": lags(stages[0], moment.now) if as_of is None else [],
        }
        findings = await reader.query("findings", symbol=entry.symbol, limit=500)
        body["findings"] = [row for row in findings if row["trading_day"] == session]
        return respond(request, body, fingerprint(encode(body)), form, lambda: body["gaps"])


def newest_session(now: datetime) -> date:
    """The session of today once it has opened, otherwise the one before."""
    today = trading_date(now)
    return today if is_session(today) and now >= session_open(today) else previous_session(today)


async def _completeness(reader: Reader, symbol: str, day: date, now: datetime, bucket_s: int) -> dict[str, Any]:
    """Expected and stored minutes of a session so far, and its gaps."""
    if not is_session(day):
        return {"day": day, "open": None, "close": None, "expected_minutes": 0, "bars": 0, "chains": 0, "gaps": []}
    opens, closes = session_open(day), session_close(day)
    until = max(min(closes, now), opens)
    bars: list[MinuteBar] = list(await reader.read(lambda: reader.store.bars(symbol, opens, closes)))
    chains = list(await reader.read(lambda: reader.store.chain_minutes(symbol, opens, closes)))
    known = {"bars": [bar.timestamp for bar in bars if bar.timestamp < until],
             "chains": [stamp for stamp in chains if stamp < until]}  # fmt: skip
    gaps = [
        {"of": name, "start": gap.start, "end": gap.end, "minutes": gap.minutes}
        for name, stored in known.items()
        for gap in missing_minutes(stored, opens, until, bucket_s)
    ]
    return {
        "day": day,
        "open": opens,
        "close": closes,
        "expected_minutes": len(expected_minutes(opens, until, bucket_s)),
        **{name: len(stored) for name, stored in known.items()},
        "gaps": gaps,
    }


_STAGES = {
    "quote": "newest quote of the feed",
    "spot": "newest price of the underlying",
    "latest": "latest rows in the database",
    "minute": "last stored minute of the chain",
    "bar": "start of the last stored bar",
    "live": "live analysis",
    "analysis": "last stored analysis",
}


def lags(stages: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Market seconds each stage lies behind now; None where it has nothing yet."""
    rows = []
    for name, meaning in _STAGES.items():
        at: datetime | None = stages[name]
        lag = None if at is None else round(max((now - at.astimezone(UTC)).total_seconds(), 0.0), 3)
        rows.append({"stage": name, "meaning": meaning, "at": at, "lag_seconds": lag})
    return rows

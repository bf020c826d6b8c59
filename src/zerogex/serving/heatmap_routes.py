"""Heat maps: strikes against expirations at one instant, or against time through a day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from zerogex.domain.calendar import trading_date
from zerogex.domain.exposure import plain_list
from zerogex.serving import chain_views, views
from zerogex.serving.analyses import Analyses, Question, words_or_dates
from zerogex.serving.asked import As, Asked, Day
from zerogex.serving.board import Board
from zerogex.serving.described import options
from zerogex.serving.reading import Columns, Reader
from zerogex.serving.responses import encode, fingerprint
from zerogex.serving.tables import Format, respond
from zerogex.serving.time_routes import Resolution, Step, new_york_midnight

_ONE = "|".join(chain_views.MEASURES)
Measures = Annotated[
    str | None,
    Query(
        max_length=400,
        pattern=f"^({_ONE})(,({_ONE}))*$",
        description=f"matrices, comma separated, of {', '.join(chain_views.MEASURES)}; all if left out",
        examples=["net_gex"],
    ),
]


class Against(StrEnum):
    """The other axis."""

    EXPIRATION = "expiration"
    TIME = "time"


def install(router: APIRouter, board: Board, analyses: Analyses, reader: Reader) -> None:
    """Add the route."""

    @router.get("/{symbol}/heatmap", tags=["market"], **options("heatmap"))
    async def heatmap(
        request: Request,
        question: Asked,
        by: Annotated[Against, Query(description="the other axis: expiration, or time through a day")] = (
            Against.EXPIRATION
        ),
        measures: Measures = None,
        day: Day = None,
        resolution: Step = Resolution.FIVE,
        form: As = Format.JSON,
    ) -> Response:
        """Exposures by strike and expiration (or, `by=time`, by strike through a day); null where nothing is listed.

        Each measure is a matrix: [expiration][strike] or [time][strike].
        """
        if by is Against.TIME:
            wanted = chosen_measures(measures)
            body = await _through_day(board, reader, question, wanted, day, resolution)
            version = fingerprint(encode([body["times"], body["net"], resolution, wanted]))
            del body["net"]
            return respond(request, body, version, form, lambda: views.cells(body, "times", "timestamp"))
        wanted = chosen_measures(measures)
        answered = await analyses.answer(question)
        body = chain_views.heatmap(answered, wanted)
        version = f"{answered.version}-{fingerprint(encode(wanted))[:8]}"
        return respond(request, body, version, form, lambda: views.cells(body, "expirations", "expiration"))


def chosen_measures(asked: str | None) -> tuple[str, ...]:
    """Names of measures, each once."""
    return chain_views.MEASURES if asked is None else tuple(dict.fromkeys(asked.split(",")))


async def _through_day(
    board: Board, reader: Reader, question: Question, measures: tuple[str, ...], day: date | None, step: Resolution
) -> dict[str, Any]:
    """The stored cells of a day up to `as_of`, over the chosen expirations, under the stored dealer model.

    The flips are those of the whole chain, so there are none beside chosen expirations.
    """
    entry = board.entry(question.symbol)
    moment = board.moment(question.as_of)
    day = day or trading_date(moment.now if question.as_of else _newest(entry.document, moment.now))
    begin = new_york_midnight(day)
    until = min(new_york_midnight(day + timedelta(days=1)), question.as_of or datetime.max.replace(tzinfo=begin.tzinfo))
    stretch = {"symbol": entry.symbol, "start": begin, "end": max(until, begin)}
    asked = question.expirations
    listed = await reader.query("api_expirations", **stretch) if asked and "next" in asked.split(",") else []
    chosen = words_or_dates(asked, day, [row["expiration"] for row in listed])
    steps: dict[str, Any] = {
        **stretch,
        "origin": begin,
        "step_s": step.step.total_seconds(),
        "measures": sorted({*measures, "net_gex"}),
    }
    if chosen is None:
        columns = await reader.columns("api_strikes", **steps)
    else:
        columns = await reader.columns("api_cells", **steps, expirations=chosen)
    matrices = _matrices(columns, measures)
    if chosen is not None:  # the stored flip is that of the whole book
        matrices["gamma_flips"] = [None] * len(matrices["times"])
    newest = matrices["times"][-1] if matrices["times"] else None
    document = views.seen_from(entry.document or {}, entry.symbol, question.as_of, newest)
    body = views.head(document, moment) | {"underlying": entry.symbol, "by": "time", "day": day}
    return body | {"resolution": step.value, **matrices}


def _newest(document: views.Document | None, now: datetime) -> datetime:
    stamp = (document or {}).get("data_timestamp")
    return datetime.fromisoformat(stamp) if isinstance(stamp, str) else now


def _matrices(columns: Columns, measures: tuple[str, ...]) -> dict[str, Any]:
    """Columns of rows in the order of time as matrices [time][strike]; `net` tells one answer from another."""
    spots = dict(zip(columns["timestamp"], columns["spot"], strict=True))
    flips = dict(zip(columns["timestamp"], columns["gamma_flip"], strict=True))
    at_time = {time: place for place, time in enumerate(spots)}
    strikes, at_strike = np.unique(np.array(columns["strike"], float), return_inverse=True)
    places = [at_time[time] for time in columns["timestamp"]], at_strike
    matrices = {}
    for name in measures:
        grid = np.full((len(at_time), len(strikes)), np.nan)
        grid[places] = columns[name]
        matrices[name] = [plain_list(line) for line in grid]
    net = float(np.abs(np.array(columns["net_gex"], float)).sum())
    return {
        "times": list(spots), "spots": list(spots.values()), "gamma_flips": list(flips.values()),
        "strikes": strikes.tolist(), "measures": list(measures), "net": net, **matrices,
    }  # fmt: skip

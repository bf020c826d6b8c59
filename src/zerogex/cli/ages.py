"""How old what is called "now" is: age and state of the views that show latest rows, as the API says them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zerogex.feed_clock import clock_of

if TYPE_CHECKING:
    from zerogex.ports import FeedState
    from zerogex.serving.views import Document
    from zerogex.store.postgres import PostgresStore

NOW_VIEWS = ("gex_preview", "underlying_latest")
COLUMNS = ("age_seconds", "state")
Row = tuple[Any, ...]


def aged(
    view: str, columns: list[str], rows: list[Row], store: PostgresStore, feed: FeedState | None
) -> tuple[list[str], list[Row]]:
    """The rows of a view with age and state behind the symbol; those of any other view as they are."""
    if view not in NOW_VIEWS:
        return columns, rows
    from zerogex.serving import views
    from zerogex.serving.config import ServingConfig

    moment = views.Moment.of(clock_of(feed), ServingConfig().stale_after_s, database=True)
    told: list[Row] = []
    for row in rows:
        document = _document(view, dict(zip(columns, row, strict=True)), store)
        told.append((row[0], views.age_seconds(document, moment), views.state(document, moment), *row[1:]))
    return [columns[0], *COLUMNS, *columns[1:]], told


def stale_mark(view: str, columns: list[str], rows: list[Row]) -> str:
    """What the heading of such a view ends with."""
    if view not in NOW_VIEWS:
        return ""
    state = columns.index("state")
    return " [STALE]" if any(row[state] == "stale" for row in rows) else ""


def _document(view: str, row: Mapping[str, Any], store: PostgresStore) -> Document:
    """What the API would judge: the analysis itself, or the time of a spot."""
    if view == "gex_preview":
        raw = store.live(row["underlying"])
        return {} if raw is None else json.loads(raw)
    at, spot_time = row["timestamp"], row["spot_time"]
    waited_s = 0.0 if spot_time is None else max((at - spot_time).total_seconds(), 0.0)
    marks = {name: row[name] for name in ("simulated", "delayed")}
    return {"data_timestamp": at.isoformat(), "coverage": {"spot_age_s": waited_s}, **marks}

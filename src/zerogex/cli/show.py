"""`zerogex show VIEW`: what is stored, as a table for people or rows for programs.

The views are the named queries of store/queries.sql; a new query there is a new view here.  Three more
need the exchange calendar besides: gaps, gaps-today, quality.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated

import typer

from zerogex import app, settings
from zerogex.cli.ages import aged, stale_mark
from zerogex.cli.marks import is_simulated, mark
from zerogex.cli.nothing import say_nothing
from zerogex.cli.output import Output, emit

CALENDAR_VIEWS = {
    "gaps": "Minutes missing from each session with data.",
    "gaps-today": "Minutes missing from the newest session.",
    "quality": "How good the newest session's data is, and why; findings are noted in data_quality_log.",
}
OPTIONS = {"symbol": "-u", "limit": "-n", "minutes": "--minutes", "day": "--day"}  # a query may have more: the API's
_CALENDAR_PARAMETERS = {"gaps": ("symbol", "limit"), "gaps-today": ("symbol", "limit"), "quality": ("symbol", "day")}


def show(
    view: Annotated[str | None, typer.Argument(help="Which view; left out: the list of them.")] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    underlying: Annotated[str | None, typer.Option("--underlying", "-u", help="Only this symbol.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many rows.")] = None,
    minutes: Annotated[
        int | None, typer.Option("--minutes", min=1, max=1440, help="Flow: the newest minutes to look at.")
    ] = None,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Flow, quality: which New York day.")
    ] = None,
) -> None:
    """Show a view of the database."""
    from zerogex.store.sql import queries

    views = {name.replace("_", "-"): query for name, query in queries().items()}
    if view is None:
        listed = {name: query.description for name, query in views.items()} | CALENDAR_VIEWS
        emit(("view", "what it shows"), list(listed.items()), output)
        return
    given: dict[str, object] = {"symbol": underlying, "limit": limit, "minutes": minutes, "day": day}
    if view in CALENDAR_VIEWS:
        _refuse_the_rest(view, given, _CALENDAR_PARAMETERS[view])
        _by_calendar(view, underlying, day, limit, output)
        return
    if view not in views:
        listed_names = ", ".join([*views, *CALENDAR_VIEWS])
        raise typer.BadParameter(f"{view!r} is not a view; expected one of {listed_names}", param_hint="VIEW")
    query = views[view]
    _refuse_the_rest(view, given, query.parameters)
    given |= {"symbol": underlying.upper() if underlying else None, "day": day.date() if day else None}
    known = {name: value for name, value in given.items() if name in query.parameters}
    with app.open_store(settings.load()) as store:
        columns, rows = store.query(query.name, **known)
        state = store.feed_state()
        columns, rows = aged(query.name, columns, rows, store, state)
        marks = mark(is_simulated(state)) + stale_mark(query.name, columns, rows)
        emit(columns, rows, output, title=f"{query.description}{marks}")
        if not rows:
            say_nothing(store, underlying)


def _refuse_the_rest(view: str, given: Mapping[str, object], parameters: Collection[str]) -> None:
    """An option a view does not know would look as if it had been heard."""
    for name, value in given.items():
        if value is not None and name not in parameters:
            option = {"symbol": "--underlying", "limit": "--limit"}.get(name, f"--{name}")
            raise typer.BadParameter(f"the view {view} has no such choice; docs/views.md lists them", param_hint=option)


def _by_calendar(view: str, underlying: str | None, day: datetime | None, limit: int | None, output: Output) -> None:
    from zerogex.cli import quality

    loaded = settings.load()
    bucket_s = loaded.settings.aggregation_bucket_seconds
    with app.open_store(loaded) as store:
        if view == "quality":
            quality.show_quality(store, underlying, day.date() if day else None, output, bucket_s)
        else:
            quality.show_gaps(store, underlying, output, today=view == "gaps-today", limit=limit, bucket_s=bucket_s)

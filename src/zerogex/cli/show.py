"""`zerogex show VIEW`: what is stored, as a table for people or rows for programs.

The views are the named queries of store/queries.sql; a new query there is a new view here.
"""

from __future__ import annotations

from typing import Annotated

import typer

from zerogex import app, settings
from zerogex.cli.output import Output, emit


def show(
    view: Annotated[str | None, typer.Argument(help="Which view; left out: the list of them.")] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    underlying: Annotated[str | None, typer.Option("--underlying", "-u", help="Only this symbol.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many rows.")] = None,
) -> None:
    """Show a view of the database."""
    from zerogex.store.sql import queries

    views = {name.replace("_", "-"): query for name, query in queries().items()}
    if view is None:
        emit(("view", "what it shows"), [(name, query.description) for name, query in views.items()], output)
        return
    if view not in views:
        raise typer.BadParameter(f"{view!r} is not a view; expected one of {', '.join(views)}", param_hint="VIEW")
    query = views[view]
    given = {"symbol": underlying.upper() if underlying else None, "limit": limit}
    known = {name: value for name, value in given.items() if name in query.parameters}
    with app.open_store(settings.load()) as store:
        columns, rows = store.query(query.name, **known)
        state = store.feed_state()
    mark = " [SIMULATED]" if state is not None and state.simulated else ""
    emit(columns, rows, output, title=f"{query.description}{mark}")
    if not rows:
        typer.echo("zerogex: nothing stored yet; start the platform with `zerogex up`", err=True)

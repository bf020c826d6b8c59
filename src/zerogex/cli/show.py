"""`zerogex show VIEW`: what is stored, as a table for people or rows for programs."""

from __future__ import annotations

from typing import Annotated

import typer

from zerogex import app, settings
from zerogex.cli.output import Output, emit

VIEWS = {
    "gex-summary": "The newest GEX summary of each underlying.",
    "gex-strikes": "GEX by strike of the newest summary, largest first.",
    "latest": "The newest row of every table.",
    "stats": "How much is stored, and from when to when.",
}


def show(
    view: Annotated[str, typer.Argument(help=f"One of: {', '.join(VIEWS)}.")],
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    underlying: Annotated[str | None, typer.Option("--underlying", "-u", help="Only this symbol.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most this many rows.")] = 20,
) -> None:
    """Show a view of the database."""
    if view not in VIEWS:
        raise typer.BadParameter(f"{view!r} is not a view; expected one of {', '.join(VIEWS)}", param_hint="VIEW")
    loaded = settings.load()
    with app.open_store(loaded) as store:
        columns, rows = store.query(
            view.replace("-", "_"), underlying=underlying.upper() if underlying else None, limit=limit
        )
        simulated = bool((state := store.feed_state()) and state.simulated)
    mark = "  [SIMULATED]" if simulated else ""
    emit(columns, rows, output, title=f"{VIEWS[view]}{mark}")
    if not rows:
        typer.echo("zerogex: nothing stored yet; start the platform with `zerogex up`", err=True)

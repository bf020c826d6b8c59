"""Why an answer has no rows: nothing is stored yet, nothing of that symbol, or nothing that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from zerogex.store.postgres import PostgresStore


def say_nothing(store: PostgresStore, symbol: str | None, otherwise: str = "no row fits what you asked for") -> None:
    """One sentence on stderr; exit 1 where other symbols are stored, but not the one asked for."""
    known = store.underlyings()
    if not known:
        typer.echo("zerogex: nothing is stored yet; start the platform with `zerogex up`", err=True)
    elif symbol is not None and symbol.upper() not in known:
        typer.echo(f"zerogex: nothing of {symbol.upper()} is stored; there is {', '.join(known)}", err=True)
        raise typer.Exit(1)
    else:
        typer.echo(f"zerogex: {otherwise}", err=True)

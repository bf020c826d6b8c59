"""`zerogex query "SQL"`: one reading statement of your own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from zerogex import app, settings
from zerogex.cli.marks import is_simulated
from zerogex.cli.output import Output, emit
from zerogex.errors import StoreError

if TYPE_CHECKING:
    from zerogex.store.config import DatabaseConfig

MOST_ROWS = 1_000_000


def query(
    text: Annotated[
        str | None,
        typer.Argument(metavar="SQL", help="One SELECT; left out: the variable SQL, else standard input."),
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST_ROWS, help="Most rows to show.")] = 1000,
) -> None:
    """Ask the database your own question.  One statement that reads, 15 seconds, as many rows as --limit."""
    from zerogex.store.reader import ask

    loaded = settings.load()
    with app.database(loaded) as where:
        secret = loaded.settings.zerogex_home / secret_name(where.host, where.port)
        answer = ask(where, _given(text), secret=secret, limit=limit)
        simulated = _holds_simulated(where)
    emit(distinct(answer.columns), answer.rows, output)
    if simulated:
        typer.echo("zerogex: this database holds SIMULATED data", err=True)
    if answer.cut:
        typer.echo(f"zerogex: cut after {limit:,} rows, there are more; raise --limit", err=True)
    if not answer.by_reader:
        typer.echo(
            "zerogex: the role zerogex_reader cannot be used on this server; this ran in a read-only transaction "
            f"of {where.user!r}",
            err=True,
        )


def _holds_simulated(where: DatabaseConfig) -> bool:
    """What the database says of its feed; nothing where it has no tables of ours yet."""
    from zerogex.store.postgres import PostgresStore

    store = PostgresStore(where)
    try:
        return is_simulated(store.feed_state())
    except StoreError:
        return False
    finally:
        store.close()


def _given(text: str | None) -> str:
    """The SQL: the argument, the environment variable SQL (as make exports it), or standard input."""
    if text is not None:
        return text
    if "SQL" in os.environ:
        return os.environ["SQL"]
    return "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", "replace")


def secret_name(host: str, port: int) -> Path:
    """The file with the reader's password, one a server."""
    return (
        Path(f"reader-{quote(host, safe='')}-{port}.password") if not host.startswith("/") else Path("reader.password")
    )


def distinct(columns: list[str]) -> list[str]:
    """Column names made unique: rows are objects in JSON."""
    seen: dict[str, int] = {}
    names = []
    for name in columns:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names

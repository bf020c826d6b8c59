"""`zerogex doctor`: every problem, its cause, and the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from zerogex import logs
from zerogex.cli.checks import CHECKS, Finding, State, settings_of
from zerogex.cli.output import Output, emit, wrapped
from zerogex.settings import LogFormat, LogLevel

WIDTH = 80


def doctor(
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
) -> None:
    """Name each problem, its cause and the command that mends it.  Exit 1 when something is wrong."""
    loaded, found = settings_of()
    if loaded is not None:
        silent = {"log_level": LogLevel.ERROR, "log_format": LogFormat.TEXT}
        logs.configure(loaded.settings.model_copy(update=silent), service="doctor")
        for check in CHECKS:
            found += check(loaded)
    columns = ("check", "state", "finding", "cause", "command")
    if output is Output.TABLE:
        _print(found)
    else:
        emit(columns, [tuple(getattr(one, name) or None for name in columns) for one in found], output)
    wrong = sum(one.state is State.PROBLEM for one in found)
    if wrong:
        typer.echo(f"zerogex: {wrong} problem{'s' if wrong > 1 else ''} found", err=True)
        raise typer.Exit(1)


def _print(found: Sequence[Finding]) -> None:
    for one in found:
        typer.echo(_wrapped(f"{one.state.value.upper() if one.state is State.PROBLEM else one.state.value:<8}"
                            f"{one.check:<14}", one.finding))  # fmt: skip
        if one.state is State.OK:
            continue
        if one.cause:
            typer.echo(_wrapped(f"{'':<8}{'':<6}{'cause':<8}", one.cause))
        if one.command:
            typer.echo(_wrapped(f"{'':<8}{'':<6}{'mend':<8}", one.command))


def _wrapped(head: str, text: str) -> str:
    return "\n".join(wrapped(head, text, WIDTH))

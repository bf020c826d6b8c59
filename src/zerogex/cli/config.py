"""`zerogex config`: the effective settings, where each comes from, secrets hidden."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from zerogex import settings as table
from zerogex.cli.output import Output, emit


def config(
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the default.")] = False,
) -> None:
    """Show every setting, its value and its origin.  Secrets are hidden."""
    loaded = table.load()
    rows = []
    for name, field in table.Settings.model_fields.items():
        origin = loaded.origins[name]
        if changed and origin == "default":
            continue
        value = shown(getattr(loaded.settings, name))
        if output is Output.TABLE:
            value = as_written(value)
        row: tuple[Any, ...] = (name.upper(), value, origin)
        if output is not Output.TABLE:
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            row += (extra.get("unit") or None, extra.get("section"), field.description)
        rows.append(row)
    more = () if output is Output.TABLE else ("unit", "section", "help")
    emit(("setting", "value", "origin", *more), rows, output)
    for name in loaded.unknown:
        meant = table.suggestion(name)
        hint = f"; did you mean {meant}?" if meant else ""
        typer.echo(f"zerogex: {loaded.env_file} sets {name}, which is no setting{hint}", err=True)


def as_written(value: Any) -> str | None:
    """A setting's value as .env would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format(Decimal(str(value)), "f").removesuffix(".0")
    return None if value is None else str(value)


def shown(value: Any) -> Any:
    """A setting's value as it may be shown: secrets as stars, enums as words."""
    if isinstance(value, SecretStr):
        return "********"
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)

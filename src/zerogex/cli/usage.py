"""Wrong words on the command line, in ours: which value came, and what was expected."""

from __future__ import annotations

from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from zerogex.expected import expected


class Commands(TyperGroup):
    """The group of all commands: what pydantic refuses in any of them is said with the value that came."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if isinstance(error.__cause__, ValidationError):
                error.message = sentence(error.__cause__)
            raise


def sentence(error: ValidationError) -> str:
    """The first problem: `'x' came; expected a number`."""
    problem = error.errors()[0]
    came, wanted = str(problem["input"]), expected(problem)
    if came and repr(came) in wanted:  # it is named already
        return wanted.replace("the formats '%Y-%m-%d'", "a date such as 2026-11-24").rstrip(".")
    return f"{came!r} came; expected {wanted}"

"""How output says that its numbers are invented: a mark in headings, a column where programs read rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zerogex.cli.output import Output, emit
from zerogex.ports import FeedState


def is_simulated(state: FeedState | None) -> bool:
    """Whether a database holds a simulated market."""
    return state is not None and state.simulated


def mark(simulated: bool) -> str:
    """What a heading ends with."""
    return " [SIMULATED]" if simulated else ""


def emit_marked(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], output: Output, simulated: bool, *, title: str = ""
) -> None:
    """Print rows of market data: a heading says once that they are simulated, and for programs each row."""
    if output is Output.TABLE:
        emit(columns, rows, output, title=f"{title}{mark(simulated)}".strip())
    else:
        emit((*columns, "simulated"), [(*row, simulated) for row in rows], output)

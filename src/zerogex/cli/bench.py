"""`zerogex bench`: how fast this program is on this machine, row by row of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from zerogex import __version__
from zerogex.cli.output import Output, emit
from zerogex.cli.process import say_if_compiling

PARTS = ("kernels", "analysis", "feed", "latency", "store", "history")
COLUMNS = ("name", "median", "best", "p99", "unit", "target", "reached", "ratio", "note")


def bench(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(PARTS)}; left out: all.")] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table or json.")] = Output.TABLE,
    repetitions: Annotated[int, typer.Option("--repetitions", "-n", min=1, max=1000, help="More is steadier.")] = 10,
) -> None:
    """Measure the program on this machine.  Libraries installed here that do the same run beside it."""
    chosen = parts or list(PARTS)
    if unknown := [part for part in chosen if part not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(PARTS)}", param_hint="PARTS")
    say_if_compiling()
    document = measure(chosen, repetitions)
    if output is Output.JSON:
        json.dump(document, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    machine = document["machine"]
    title = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"
    emit(COLUMNS, [[row[name] for name in COLUMNS] for row in document["rows"]], output, title=title)


def measure(parts: list[str], repetitions: int) -> dict[str, Any]:
    """The measured rows with the machine and the date, ready for JSON."""
    from zerogex.cli.benchmarks import flows, history, kernels, storage
    from zerogex.cli.benchmarks.measure import against, yardstick

    work = {
        "kernels": kernels.measure,
        "analysis": flows.analysis,
        "feed": flows.feed,
        "latency": storage.latency,
        "store": storage.measure,
        "history": history.measure,
    }
    rows = []
    for part in parts:
        typer.echo(f"measuring {part} …", err=True)
        before = yardstick()
        found = work[part](repetitions)
        rows += against(found, min(before, yardstick()))
    return {
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "rows": [row.plain() for row in rows],
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""One measured row: repetitions, their best, middle and worst, and what they are compared with.

A laptop is never quiet.  Every figure is therefore the median of several repetitions, printed beside
the best one (what the program can do) and the 99th percentile (what a user may meet).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of the table in docs/performance.md."""

    name: str  # stays the same between revisions: bench/guard.py compares by it
    unit: str  # ns, ms: less is better; 1/s: more is better
    median: float
    best: float
    p99: float  # the worst hundredth; of few repetitions simply the worst
    repetitions: int
    target: float | None = None  # in `unit`
    judged: str = "median"  # which figure is held against the target: best, median or p99
    ratio: float | None = None  # to the machine's own speed (or, for a peer, how much slower than ours): no seconds
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        figure: float = getattr(self, self.judged)
        return figure >= self.target if self.unit == "1/s" else figure <= self.target

    def plain(self) -> dict[str, Any]:
        """The row for JSON."""
        return {**asdict(self), "reached": self.reached}


def seconds(
    work: Callable[[], object], repetitions: int, clock: Callable[[], float] = time.perf_counter, warm: int = 1
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How long each of some repetitions takes, after `warm` calls that are not counted."""
    for _ in range(warm):
        work()
    spent = np.empty(repetitions)
    for k in range(repetitions):
        begin = clock()
        work()
        spent[k] = clock() - begin
    return spent


def row(name: str, unit: str, spent: np.ndarray[Any, Any], *, each: float = 1.0, **rest: Any) -> Row:
    """A row from the seconds of its repetitions, each of which did `each` pieces of work."""
    factor = {"ns": 1e9, "ms": 1e3, "s": 1.0, "1/s": 1.0}[unit]
    best, median, worst = float(np.min(spent)), float(np.median(spent)), float(np.percentile(spent, 99))

    def figure(value: float) -> float:
        return each / max(value, 1e-12) if unit == "1/s" else value / each * factor

    return Row(name, unit, figure(median), figure(best), figure(worst), len(spent), **rest)


def yardstick() -> float:
    """The best of some runs of a fixed piece of Python and numpy, in seconds: how fast this machine is just now."""
    column = np.linspace(0.1, 1.0, 4096)

    def work() -> None:
        total = 0
        for k in range(20_000):
            total += k * k % 7
        for _ in range(20):
            np.exp(column)

    return float(np.min(seconds(work, 15)))


def against(rows: list[Row], yard_s: float) -> list[Row]:
    """The rows with their ratio to the yardstick: the same on a fast and a slow machine, roughly.

    Per repetition unit (an option, a message, a flush), in yardsticks; for all rows less is better.
    """
    seconds_of = {"ns": lambda v: v * 1e-9, "ms": lambda v: v * 1e-3, "s": lambda v: v, "1/s": lambda v: 1.0 / v}
    return [
        one if one.ratio is not None else replace(one, ratio=seconds_of[one.unit](one.best) / yard_s) for one in rows
    ]

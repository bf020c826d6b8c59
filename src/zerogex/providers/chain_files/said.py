"""What a file says, before and after it becomes a chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from zerogex.domain.chain import OptionChain

CUT_OFF = "is cut off"  # the words every "there should be more" error uses


@dataclass(frozen=True, slots=True)
class ChainFile:
    """A chain read from a file, the name of the layout it came in, and what a person should know of it."""

    chain: OptionChain
    format: str
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Said:
    """The claims of one file, in our column names and units, still unchecked.

    `rows` has one row a contract and any of the columns of `assemble.NUMBERS`, and either
    `option` (a symbol) or `expiration`, `strike` and `right` (and perhaps `root`).
    """

    format: str
    rows: pl.DataFrame
    underlying: str | None = None
    spot: float | None = None
    as_of: datetime | None = None
    spot_time: datetime | None = None
    delayed: bool = False
    simulated: bool = False
    picked: bool = False  # as_of is one of several instants of the file
    notes: list[str] = field(default_factory=list)

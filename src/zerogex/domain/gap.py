"""Minutes that are missing and known to be: what is not stored is declared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GapReason(StrEnum):
    """Why; the words of `data_gaps.reason`."""

    STOPPED = "stopped"  # no ingest was running
    PAUSED = "paused"  # ingest ran, but neither clock nor feed were heard: the machine slept
    UPSTREAM_DOWN = "upstream_down"  # connections to the feed broke
    RATE_LIMITED = "rate_limited"  # the feed held us back
    SILENT = "silent"  # connected, and nothing came
    UNHEARD = "unheard"  # followed contracts of which nothing usable has come yet


@dataclass(frozen=True, slots=True)
class DataGap:
    """Minutes from start to before end in which something of an underlying was not heard."""

    what: str  # bars, chains
    started_at: datetime  # UTC, start of the first minute
    ended_at: datetime  # UTC, end of the last
    reason: GapReason
    subject: str = ""  # root and expiration ("SPXW 2026-11-20"), or one contract's symbol; empty: all of it
    contracts: int = 0  # how many of the subject, where not all

"""One thing that is wrong, or worth knowing, about a day's stored data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: info is normal in option data, warning deserves a look, error loses something."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class FindingKind(StrEnum):
    """What kind of trouble; the words of `data_quality_log.kind`."""

    GAP = "gap"  # minutes of the session that are not stored
    STALE = "stale"  # quotes nobody renewed
    CROSSED = "crossed"  # bid over ask
    MISSING = "missing"  # fields without a value
    IV_FAILED = "iv_failed"  # no implied volatility, by reason
    DEFAULT_IV = "default_iv"  # a placeholder stands in


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, where, and how much of it."""

    kind: FindingKind
    subject: str  # bars, chains; a field; a reason
    started_at: datetime  # UTC
    ended_at: datetime | None  # UTC
    severity: Severity
    affected: int  # minutes of a gap, otherwise rows
    total: int  # of how many
    message: str  # one sentence for a person

    @property
    def share(self) -> float:
        """The part affected, 0 to 1."""
        return self.affected / self.total if self.total else 0.0

"""How far a back-fill is.  Apart from the engine, so that whoever only shows it loads no kernels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one stretch of requests is."""

    underlying: str
    what: str  # bars | options
    first: date
    last: date
    done: int  # requests
    total: int
    elapsed_s: float  # real seconds

    @property
    def per_s(self) -> float:
        """Requests a real second."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Real seconds until it is done, at this rate."""
        return (self.total - self.done) / self.per_s if self.done and self.elapsed_s > 0 else None

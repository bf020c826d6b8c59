"""What ingest follows, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from zerogex.domain.calendar import Session
from zerogex.pipeline.enrich import EnrichConfig


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Plain values; `settings.py` says where each comes from.

    Intervals are market seconds: a simulated market may run faster than the machine.
    """

    underlyings: tuple[str, ...]
    expirations: int = 3  # dates, nearest first
    strike_distance: str = "5%"  # dollars ("20") or percent of spot ("5%"), each side
    push: bool = True  # streams; False: polling
    regular_poll_s: float = 5.0
    extended_poll_s: float = 30.0
    closed_poll_s: float = 300.0
    strike_recalc_interval: int = 10  # polls between two looks at what to follow
    price_move_threshold: float = 1.0  # dollars; scaled with the price, see pipeline.strikes.move_threshold
    strike_cleanup_interval: int = 50  # polls between two removals of contracts nobody follows from memory
    bucket_seconds: int = 60
    max_buffer: int = 1000  # changed rows that are written to the latest rows at once
    flush_interval_s: float = 60.0  # a longer bucket is written as it stands this often
    backfill_on_startup: bool = True
    standby: bool = False  # share the underlyings with other processes, and stand by for what they write
    latest_interval_s: float = 1.0  # real seconds between two writes of the latest rows
    grace_s: float = 2.0  # how long after its end a minute waits for events on their way
    streams_max: int = 10  # of the vendor account
    enrich: EnrichConfig = field(default_factory=EnrichConfig)

    def poll_s(self, session: Session) -> float:
        """The pause between two polls in a session, market seconds."""
        if session is Session.REGULAR:
            return self.regular_poll_s
        return self.closed_poll_s if session is Session.CLOSED else self.extended_poll_s

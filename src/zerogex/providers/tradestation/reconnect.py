"""How long to wait before a stream is opened again.  Pure, given a source of randomness.

Delays are random up to a growing bound, so that ten streams cut at once do not return at once;
and two openings of one stream are at least `retry_delay_s` apart, except where the server asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum

from zerogex.providers.tradestation.config import TradeStationConfig

# All in units of retry_delay_s (1 s as delivered).
SETTLED_AFTER = 10.0  # a connection that lived this long and spoke owes nothing to its forerunners
TROUBLE_BOUND = 8.0  # so that data is back within 10 s of the vendor's recovery
LASTING_TROUBLE_BOUND = 30.0
EMPTY_BOUND = 60.0  # opened and closed without a word: over the cap, or a sick gateway
LASTING = 20  # failures in a row
GO_AWAY_JITTER = 0.25


class Ending(StrEnum):
    """How a connection ended."""

    GO_AWAY = "goaway"
    CLOSED = "closed"  # it spoke before
    EMPTY = "empty"  # it never spoke
    TROUBLE = "trouble"
    SILENT = "silent"  # heartbeats only
    DUAL_LOGON = "dual_logon"


class Reconnect:
    """The memory of one stream's failures."""

    def __init__(self, config: TradeStationConfig, chance: Callable[[], float] = random.random) -> None:
        self._config = config
        self._chance = chance
        self.failures = 0  # in a row
        self._go_aways = 0

    def pause_s(self, ending: Ending, lived_s: float) -> float:
        """Real seconds to wait after a connection that lived so long and ended so."""
        unit = self._config.retry_delay_s
        if ending is not Ending.EMPTY and lived_s >= SETTLED_AFTER * unit:
            self.failures = self._go_aways = 0
        if ending is Ending.GO_AWAY:
            self._go_aways += 1
            if self._go_aways <= 2:
                return GO_AWAY_JITTER * unit * self._chance()
        self.failures += 1
        if ending is Ending.DUAL_LOGON:
            return self._config.dual_logon_wait_s * (1.0 + self._chance() / 2.0)
        bound = min(unit * self._config.retry_backoff ** min(self.failures, 30), unit * self._bound(ending))
        return max(bound * self._chance(), unit - lived_s, 0.0)

    def _bound(self, ending: Ending) -> float:
        if ending is Ending.EMPTY:
            return EMPTY_BOUND
        return TROUBLE_BOUND if self.failures < LASTING else LASTING_TROUBLE_BOUND

"""What ingest tells the operator of one underlying: fixed phrases to search for, with fields."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from zerogex.domain.chain import OptionChain
from zerogex.domain.iv import IvSource
from zerogex.pipeline.minutes import ClosedMinute
from zerogex.pipeline.validate import Rejection
from zerogex.ports import MinuteBatch

log = logging.getLogger(__name__)


class Diary:
    """Milestones once, minutes each time."""

    def __init__(self, underlying: str) -> None:
        self.underlying = underlying
        self._said: set[str] = set()

    def once(self, phrase: str, **fields: object) -> None:
        """A milestone; heard again, it is nothing new."""
        if phrase not in self._said:
            self._said.add(phrase)
            log.info(phrase, extra={"underlying": self.underlying, **fields})

    def greeks(self, chain: OptionChain) -> None:
        """The first Greek that rests on an IV of its own: the contract nearest to spot shows it."""
        if "first Greek calculated" in self._said:
            return
        valued = np.flatnonzero((chain.gamma > 0) & (chain.iv_source != IvSource.DEFAULT))
        if len(valued):
            row = int(valued[np.argmin(np.abs(chain.strike[valued] - chain.spot))])
            numbers = {name: round(float(getattr(chain, name)[row]), 4) for name in ("iv", "delta", "gamma")}
            self.once("first Greek calculated", symbol=chain.symbol[row], **numbers)

    def stored(self, minute: ClosedMinute, batch: MinuteBatch) -> None:
        """A minute that is durable; revised, if it had been before; completed, if only its grace brought more."""
        fields = {
            "underlying": self.underlying,
            "minute": minute.timestamp,
            "contracts": 0 if batch.chain is None else len(batch.chain),
            "late": minute.late,
        }
        if minute.again:
            log.debug("minute completed", extra=fields)
        else:
            log.info("minute revised" if minute.revision else "minute stored", extra=fields)

    def rejected(self, news: Counter[Rejection]) -> None:
        """Messages that cannot be true, since the last time this was said."""
        if news:
            reasons = {reason.value: count for reason, count in news.items()}
            log.warning("messages rejected", extra={"underlying": self.underlying, **reasons})

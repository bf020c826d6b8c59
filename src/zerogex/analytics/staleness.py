"""How old a spot may be before numbers made with it deserve a mark.  Loads no kernels: the page's server asks too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from zerogex.domain.calendar import Session, session_at
from zerogex.domain.chain import OptionChain

STALE_SPOT_S: Mapping[Session, float] = {
    Session.REGULAR: 60.0,
    Session.PRE: 300.0,
    Session.POST: 300.0,
    Session.CLOSED: math.inf,
}
_REAL_S = 2.0


def spot_age_s(chain: OptionChain) -> float:
    """How much older than the chain its spot is, seconds."""
    return 0.0 if chain.spot_time is None else max((chain.as_of - chain.spot_time).total_seconds(), 0.0)


def is_spot_stale(age_s: float, at: datetime, speed: float = 1.0) -> bool:
    """Whether a spot of that age is too old at an instant; `speed`: market seconds in a real one.

    An underlying that trades says something each second in the regular session, and now and then around it;
    while the market is closed an old price is the price.  A fast simulated market gets two real seconds.
    """
    return age_s > max(STALE_SPOT_S[session_at(at)], _REAL_S * speed)

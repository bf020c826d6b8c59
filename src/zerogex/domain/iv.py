"""Where an implied volatility came from, and how the search for it ended."""

from __future__ import annotations

from enum import IntEnum


class IvSource(IntEnum):
    """The input an implied volatility was taken from; stored with every row."""

    NONE = 0
    API = 1  # the vendor's own number
    MID = 2  # solved from the middle of bid and ask (of the strike's out-of-the-money side)
    LAST = 3  # solved from the last trade
    DEFAULT = 4  # IMPLIED_VOLATILITY_DEFAULT: a placeholder, flagged wherever it is shown

    @property
    def label(self) -> str | None:
        """The word stored and shown: api, mid, last, default; None for no value."""
        return None if self is IvSource.NONE else self.name.lower()


class IvStatus(IntEnum):
    """How the inversion of one price ended.  Only CONVERGED carries a number."""

    CONVERGED = 0
    BELOW_INTRINSIC = 1  # price under the no-arbitrage floor: no volatility explains it
    ABOVE_MAXIMUM = 2  # price at or over the no-arbitrage ceiling
    NO_QUOTE = 3  # no usable price: missing, crossed, zero or not finite
    EXPIRED = 4  # no time left
    BELOW_IV_MIN = 5  # solved, but under IV_MIN: rejected, not clamped
    ABOVE_IV_MAX = 6  # solved, but over IV_MAX: rejected, not clamped
    NO_CONVERGENCE = 7  # IV_MAX_ITERATIONS spent
    BAD_INPUT = 8  # spot, strike, forward or rate not a positive finite number
    NOT_TRIED = 9  # nothing asked for it yet, or the vendor's own number stands

    @property
    def label(self) -> str:
        """The word stored and shown."""
        return self.name.lower()

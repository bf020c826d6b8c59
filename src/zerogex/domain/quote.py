"""What the market says of one thing at one moment.

These are msgspec structs, not dataclasses, for one reason: tens of thousands are made each
second, and a frozen struct is made ten times as fast as a frozen dataclass.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from zerogex.domain.contract import OptionContract


class UnderlyingQuote(msgspec.Struct, frozen=True, gc=False):
    """The last known state of an underlying."""

    symbol: str
    last: float  # dollars
    bid: float | None
    ask: float | None
    volume: int  # shares since the open, cumulative, as received
    event_time: datetime  # UTC, when the market said it
    received_time: datetime  # UTC, when we heard it
    is_delayed: bool = False  # the vendor's own flag: no real-time entitlement


class OptionQuote(msgspec.Struct, frozen=True, gc=False):
    """The last known state of a contract.  None is "not said", 0.0 is a price of zero."""

    contract: OptionContract
    bid: float | None  # dollars per share
    ask: float | None
    last: float | None
    volume: int | None  # contracts since the open, cumulative, as received
    open_interest: int | None  # contracts, from the previous clearing
    event_time: datetime  # UTC, when the market said it
    received_time: datetime  # UTC, when we heard it
    iv: float | None = None  # the vendor's own, per 1.00
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None  # per calendar day
    vega: float | None = None  # per volatility point (0.01)

    @property
    def mid(self) -> float | None:
        """The middle of a two-sided, uncrossed quote; otherwise nothing."""
        if self.bid is None or self.ask is None or self.bid > self.ask:
            return None
        return (self.bid + self.ask) / 2

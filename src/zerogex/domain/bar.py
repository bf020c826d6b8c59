"""One minute of an underlying, or of one of its options."""

from __future__ import annotations

from datetime import datetime

import msgspec

from zerogex.domain.contract import OptionContract


class UnderlyingBar(msgspec.Struct, frozen=True, gc=False):
    """Open, high, low, close of one interval, labelled by its **start**.

    `up_volume` and `down_volume` here belong to this interval alone, as a vendor's bar says
    them; the store keeps them cumulated over the trading day (`DayVolume` does the sum).
    """

    symbol: str
    start: datetime  # UTC; vendors that stamp the end are converted at the edge, once
    open: float
    high: float
    low: float
    close: float
    up_volume: int  # shares traded on upticks within the bar
    down_volume: int
    received_time: datetime
    closed: bool = True  # False while the bar is still forming
    realtime: bool = False  # False for history replayed by the feed: no proof of life


class OptionBar(msgspec.Struct, frozen=True, gc=False):
    """One interval of a contract's trades, labelled by its start; an interval without a trade has no bar."""

    contract: OptionContract
    start: datetime  # UTC
    open: float  # dollars per share
    high: float
    low: float
    close: float
    volume: int  # contracts within the bar
    open_interest: int | None  # contracts, from the previous clearing; None where the vendor does not say
    received_time: datetime
    closed: bool = True


class MinuteBar(msgspec.Struct, frozen=True, gc=False):
    """A closed minute as it is stored: volumes cumulative since the trading day began (ET)."""

    symbol: str
    timestamp: datetime  # UTC start of the minute
    open: float
    high: float
    low: float
    close: float
    up_volume: int
    down_volume: int

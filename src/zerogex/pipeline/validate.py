"""Is this message something a market can say?

A message that cannot be true is rejected with a reason and counted; the others of its batch
go on.  A message that is strange but possible (crossed, very wide) is kept and flagged: a
crossed quote has no middle and therefore gets no implied volatility (`OptionChain.mid`).
Locked markets and bids of zero are legal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite

import msgspec

from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.calendar import settlement, trading_date
from zerogex.domain.quote import OptionQuote, UnderlyingQuote

PRICE_MAX = 1e7  # dollars; nothing traded costs more per share or point
COUNT_MAX = 10**12  # contracts or shares a day
IV_MAX = 100.0  # per 1.00; the vendor's own number, where it gives one
FUTURE_MAX_S = 60.0  # a stamp further ahead of our clock than this is no stamp
WIDE_SPREAD = 0.5  # of the middle


class Rejection(StrEnum):
    """Why a message is not taken."""

    NEGATIVE_PRICE = "negative_price"
    NOT_FINITE = "not_finite"
    ABSURD = "absurd"  # a price or count no market has, a high under a low
    WRONG_UNDERLYING = "wrong_underlying"
    EXPIRED = "expired"  # said of a contract after its settlement
    FUTURE = "future"  # stamped later than now
    NEGATIVE_COUNT = "negative_count"
    NO_PRICE = "no_price"  # an underlying without a positive price


class Flag(StrEnum):
    """What is odd about a message that is taken."""

    CROSSED = "crossed"
    WIDE = "wide"  # spread above half of the middle
    VENDOR_NUMBER = "vendor_number"  # an IV or Greek that cannot be: taken without it


class Validator:
    """Checks what is said of one underlying and its options; counts what it rejects and flags."""

    def __init__(self, underlying: str) -> None:
        self.underlying = underlying
        self.ahead_s = 0.0  # how far the feed's clock is known to be ahead of ours
        self.accepted = 0
        self.rejected: Counter[Rejection] = Counter()
        self.flagged: Counter[Flag] = Counter()

    def option_quotes(self, quotes: Sequence[OptionQuote], now: datetime) -> list[OptionQuote]:
        """Those of a batch that can be true, in their order; `now` is the feed's clock."""
        horizon = self._horizon(now)
        today = trading_date(now)
        kept = []
        for quote in quotes:
            contract, bid, ask, last = quote.contract, quote.bid, quote.ask, quote.last
            volume, open_interest = quote.volume, quote.open_interest
            if (
                # written out: this runs a hundred thousand times a second; False for NaN and the infinities
                (bid is None or 0.0 <= bid < PRICE_MAX)
                and (ask is None or 0.0 <= ask < PRICE_MAX)
                and (last is None or 0.0 <= last < PRICE_MAX)
                and (volume is None or 0 <= volume < COUNT_MAX)
                and (open_interest is None or 0 <= open_interest < COUNT_MAX)
                and contract.underlying == self.underlying
                and quote.event_time <= horizon
                and (contract.expiration > today or settlement(contract.root, contract.expiration) > quote.event_time)
            ):
                kept.append(self._flag(quote))
            else:
                self.rejected[self._reason(quote, horizon)] += 1
        self.accepted += len(kept)
        return kept

    def bar(self, bar: UnderlyingBar, now: datetime) -> bool:
        """Whether a bar can be true."""
        reason = self._bar_reason(bar, now)
        if reason:
            self.rejected[reason] += 1
        else:
            self.accepted += 1
        return reason is None

    def underlying_quote(self, quote: UnderlyingQuote, now: datetime) -> bool:
        """Whether a quote of the underlying can be true and has a price."""
        reason = self._quote_reason(quote, now)
        if reason:
            self.rejected[reason] += 1
        else:
            self.accepted += 1
        return reason is None

    def _horizon(self, now: datetime) -> datetime:
        """No stamp is later than this; a machine whose clock is behind must not take the market for the future."""
        return now + timedelta(seconds=FUTURE_MAX_S + self.ahead_s)

    def _flag(self, quote: OptionQuote) -> OptionQuote:
        bid, ask = quote.bid, quote.ask
        if bid is not None and ask is not None:
            if bid > ask:
                self.flagged[Flag.CROSSED] += 1
            elif ask - bid > WIDE_SPREAD * 0.5 * (ask + bid):
                self.flagged[Flag.WIDE] += 1
        if quote.iv is None and quote.delta is None:
            return quote
        return self._vendor_numbers(quote)

    def _vendor_numbers(self, quote: OptionQuote) -> OptionQuote:
        """The quote, without the vendor's numbers where they cannot be; an IV of zero is its "none"."""
        iv, delta, gamma = quote.iv, quote.delta, quote.gamma
        if (
            (iv is None or 0.0 < iv < IV_MAX)
            and (delta is None or -1.000001 <= delta <= 1.000001)
            and (gamma is None or 0.0 <= gamma < PRICE_MAX)
            and (quote.theta is None or isfinite(quote.theta))
            and (quote.vega is None or isfinite(quote.vega))
        ):
            return quote
        if iv != 0.0:
            self.flagged[Flag.VENDOR_NUMBER] += 1
        return msgspec.structs.replace(quote, iv=None, delta=None, gamma=None, theta=None, vega=None)

    def _reason(self, quote: OptionQuote, horizon: datetime) -> Rejection:
        contract = quote.contract
        if contract.underlying != self.underlying:
            return Rejection.WRONG_UNDERLYING
        if quote.event_time > horizon:
            return Rejection.FUTURE
        prices = [price for price in (quote.bid, quote.ask, quote.last) if price is not None]
        counts = [count for count in (quote.volume, quote.open_interest) if count is not None]
        return _number_reason(prices, counts) or Rejection.EXPIRED

    def _bar_reason(self, bar: UnderlyingBar, now: datetime) -> Rejection | None:
        if bar.symbol != self.underlying:
            return Rejection.WRONG_UNDERLYING
        if bar.start > self._horizon(now):
            return Rejection.FUTURE
        prices = [bar.open, bar.high, bar.low, bar.close]
        reason = _number_reason(prices, [bar.up_volume, bar.down_volume])
        if reason:
            return reason
        if min(prices) == 0.0:
            return Rejection.NO_PRICE
        # Vendors round the four prices apart from one another: a hair is not a lie.
        hair = 1e-6 * bar.close
        if bar.high + hair < max(prices) or bar.low - hair > min(prices):
            return Rejection.ABSURD
        return None

    def _quote_reason(self, quote: UnderlyingQuote, now: datetime) -> Rejection | None:
        if quote.symbol != self.underlying:
            return Rejection.WRONG_UNDERLYING
        if quote.event_time > self._horizon(now):
            return Rejection.FUTURE
        prices = [price for price in (quote.last, quote.bid, quote.ask) if price is not None]
        reason = _number_reason(prices, [quote.volume])
        if reason is None and not quote.last > 0.0:
            return Rejection.NO_PRICE
        return reason


def _number_reason(prices: Sequence[float], counts: Sequence[int]) -> Rejection | None:
    if not all(map(isfinite, prices)):
        return Rejection.NOT_FINITE
    if any(price < 0.0 for price in prices):
        return Rejection.NEGATIVE_PRICE
    if any(count < 0 for count in counts):
        return Rejection.NEGATIVE_COUNT
    if any(price >= PRICE_MAX for price in prices) or any(count >= COUNT_MAX for count in counts):
        return Rejection.ABSURD
    return None

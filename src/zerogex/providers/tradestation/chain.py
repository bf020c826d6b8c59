"""The messages of one chain stream become option quotes.  Pure, and the hottest loop of the provider.

Messages are complete objects as far as anyone has seen, but nobody promises it: what a message
leaves out is taken from the one before.  A volume or an open interest of zero wipes no good
value out (deltas carry such zeros between trades), and an IV of zero or less says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from zerogex.domain.calendar import session_open, trading_date
from zerogex.domain.contract import OptionContract, parse_symbol
from zerogex.domain.quote import OptionQuote
from zerogex.errors import BadPayload
from zerogex.providers.tradestation import parse, wire

_SPELLINGS_AT_MOST = 20_000  # of leg symbols remembered
_HIGHEST_IV = 100.0  # per 1.00; nothing real comes near
_HIGHEST_GREEK = 1e6


class ChainMerge:
    """What is known of each contract of a window since the stream began."""

    def __init__(self, contracts: Sequence[OptionContract]) -> None:
        self.refused: list[BadPayload] = []  # rows of the last call that made no quote
        self.outside = 0  # rows of the last call that are of no contract of the window
        self._wanted = {contract.symbol: contract for contract in contracts}
        self._spelled: dict[str, OptionContract | None] = {}
        # by id(contract): the window keeps its contracts alive, and hashing one costs a call in Python
        self._known: dict[int, OptionQuote] = {}
        self._next_open = datetime.min.replace(tzinfo=UTC)

    def quotes(self, rows: Sequence[wire.ChainRow], received: datetime) -> list[OptionQuote]:
        """The quotes that the rows of one network read make, in order; `refused` has the bad ones."""
        self._begin(received)
        spelled, merged = self._spelled, self._merged
        found: list[OptionQuote] = []
        for row in rows:
            legs = row.legs
            if not legs:
                self.refused.append(parse.bad("Legs", "is missing", row))
                continue
            name = legs[0].symbol
            try:
                contract = spelled[name] if name in spelled else self._contract(name)
                if contract is not None and len(legs) == 1:
                    found.append(merged(row, contract, received))
                else:
                    self.outside += 1
            except BadPayload as error:
                self.refused.append(error)
        return found

    def snapshot(self, quotes: Sequence[OptionQuote]) -> list[OptionQuote]:
        """Polled quotes, merged with what is known (a snapshot says nothing of Greeks)."""
        if quotes:
            self._begin(quotes[0].received_time)
        own = self._wanted.get
        return [
            self._remember(quote, contract) for quote in quotes if (contract := own(quote.contract.symbol)) is not None
        ]

    def reopened(self) -> None:
        """After an outage old prices are no longer the market's; counts of the day still are."""
        self._known = {
            key: OptionQuote(
                old.contract, None, None, None, old.volume, old.open_interest, old.event_time, old.received_time
            )
            for key, old in self._known.items()
        }

    def _begin(self, received: datetime) -> None:
        """At 09:30 ET the vendor's volumes start again from zero, and then zero must count."""
        self.refused, self.outside = [], 0
        if received < self._next_open:
            return
        for key, old in self._known.items():
            self._known[key] = msgspec.structs.replace(old, volume=None)
        today = trading_date(received)
        opening = session_open(today)
        self._next_open = opening if received < opening else session_open(today + timedelta(days=1))

    def _merged(self, row: wire.ChainRow, contract: OptionContract, received: datetime) -> OptionQuote:
        price, count = parse.price, parse.count
        iv, delta, gamma, theta, vega = row.implied_volatility, row.delta, row.gamma, row.theta, row.vega
        high = _HIGHEST_GREEK
        quote = OptionQuote(
            contract,
            price(row.bid, "Bid", row),
            price(row.ask, "Ask", row),
            price(row.last, "Last", row),
            count(row.volume, "Volume", row),
            count(row.daily_open_interest, "DailyOpenInterest", row),
            received,
            received,
            iv if iv is not None and 0.0 < iv < _HIGHEST_IV else None,
            delta if delta is not None and -high < delta < high else None,  # NaN compares false
            gamma if gamma is not None and -high < gamma < high else None,
            theta if theta is not None and -high < theta < high else None,
            vega if vega is not None and -high < vega < high else None,
        )
        return self._remember(quote, contract)

    def _remember(self, new: OptionQuote, contract: OptionContract) -> OptionQuote:
        """The quote completed from the one before; `contract` is the window's own object."""
        key = id(contract)
        if not _is_complete(new) and (old := self._known.get(key)) is not None:
            new = _filled(new, old)
        self._known[key] = new
        return new

    def _contract(self, name: str) -> OptionContract | None:
        """The window's contract a leg symbol means, None for one outside it; remembered by spelling."""
        try:
            contract = self._wanted.get(parse_symbol(name).symbol)
        except ValueError:
            raise parse.bad("Legs[0].Symbol", "is no option symbol", name) from None
        if len(self._spelled) >= _SPELLINGS_AT_MOST:
            self._spelled.clear()
        self._spelled[name] = contract
        return contract


def _is_complete(quote: OptionQuote) -> bool:
    """Whether nothing need be taken from the quote before."""
    return bool(
        quote.volume
        and quote.open_interest
        and quote.bid is not None
        and quote.ask is not None
        and quote.last is not None
        and quote.iv is not None
        and quote.delta is not None
        and quote.gamma is not None
        and quote.theta is not None
        and quote.vega is not None
    )


def _filled(new: OptionQuote, old: OptionQuote) -> OptionQuote:
    """The new quote, with the old one's values where the new one says nothing."""
    return OptionQuote(
        new.contract,
        old.bid if new.bid is None else new.bid,
        old.ask if new.ask is None else new.ask,
        old.last if new.last is None else new.last,
        new.volume or old.volume or new.volume,
        new.open_interest or old.open_interest or new.open_interest,
        new.event_time,
        new.received_time,
        old.iv if new.iv is None else new.iv,
        old.delta if new.delta is None else new.delta,
        old.gamma if new.gamma is None else new.gamma,
        old.theta if new.theta is None else new.theta,
        old.vega if new.vega is None else new.vega,
    )

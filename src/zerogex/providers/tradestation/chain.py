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
        self._wanted = {contract.symbol: contract for contract in contracts}
        self._spelled: dict[str, OptionContract | None] = {}
        self._known: dict[OptionContract, OptionQuote] = {}
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
            except BadPayload as error:
                self.refused.append(error)
        return found

    def snapshot(self, quotes: Sequence[OptionQuote]) -> list[OptionQuote]:
        """Polled quotes, merged with what is known (a snapshot says nothing of Greeks)."""
        if quotes:
            self._begin(quotes[0].received_time)
        return [self._remember(quote) for quote in quotes if quote.contract.symbol in self._wanted]

    def reopened(self) -> None:
        """After an outage old prices are no longer the market's; counts of the day still are."""
        self._known = {
            contract: OptionQuote(
                contract, None, None, None, old.volume, old.open_interest, old.event_time, old.received_time
            )
            for contract, old in self._known.items()
        }

    def _begin(self, received: datetime) -> None:
        """At 09:30 ET the vendor's volumes start again from zero, and then zero must count."""
        self.refused = []
        if received < self._next_open:
            return
        for contract, old in self._known.items():
            self._known[contract] = msgspec.structs.replace(old, volume=None)
        today = trading_date(received)
        opening = session_open(today)
        self._next_open = opening if received < opening else session_open(today + timedelta(days=1))

    def _merged(self, row: wire.ChainRow, contract: OptionContract, received: datetime) -> OptionQuote:
        price, iv = parse.price, row.implied_volatility
        return self._remember(
            OptionQuote(
                contract,
                price(row.bid, "Bid", row),
                price(row.ask, "Ask", row),
                price(row.last, "Last", row),
                parse.count(row.volume, "Volume", row),
                parse.count(row.daily_open_interest, "DailyOpenInterest", row),
                received,
                received,
                iv if iv is not None and 0.0 < iv < _HIGHEST_IV else None,
                _greek(row.delta),
                _greek(row.gamma),
                _greek(row.theta),
                _greek(row.vega),
            )
        )

    def _remember(self, new: OptionQuote) -> OptionQuote:
        old = self._known.get(new.contract)
        if old is not None:
            new = _filled(new, old)
        self._known[new.contract] = new
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


def _greek(value: float | None) -> float | None:
    """A finite Greek, or nothing (NaN compares false)."""
    return value if value is not None and -_HIGHEST_GREEK < value < _HIGHEST_GREEK else None


def _filled(new: OptionQuote, old: OptionQuote) -> OptionQuote:
    """The new quote, with the old one's values where the new one says nothing."""
    if (
        new.volume
        and new.open_interest
        and new.bid is not None
        and new.ask is not None
        and new.last is not None
        and new.iv is not None
        and new.delta is not None
        and new.gamma is not None
        and new.theta is not None
        and new.vega is not None
    ):
        return new
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

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote
from zerogex.ports import ChainWindow
from zerogex.providers.tradestation import wire
from zerogex.providers.tradestation.chain import ChainMerge
from zerogex.providers.tradestation.client import strike_proximity

NOW = datetime(2026, 5, 11, 14, 25, 30, tzinfo=UTC)
CALL = OptionContract("SPX", "SPXW", date(2026, 5, 11), Decimal("4505"), OptionKind.CALL)
FULL = {
    "Bid": "2.35", "Ask": "2.37", "Last": "2.36", "Volume": 26670, "DailyOpenInterest": 4642,
    "ImpliedVolatility": "0.6008", "Delta": "0.48", "Gamma": "0.06", "Theta": "-2.65", "Vega": "0.04", "Rho": "0.001",
}  # fmt: skip


def row(symbol: str = CALL.symbol, **fields: Any) -> wire.ChainRow:
    legs = [{"Symbol": symbol, "Ratio": 1, "StrikePrice": "4505"}]
    return wire.decode(wire.CHAIN_ROW, json.dumps({**fields, "Legs": legs}).encode())


def one(merge: ChainMerge, row: wire.ChainRow, at: datetime = NOW) -> OptionQuote:
    (quote,) = merge.quotes([row], at)
    return quote


def test_a_full_message_is_a_quote_stamped_on_arrival() -> None:
    quote = one(ChainMerge([CALL]), row(**FULL))
    assert quote == OptionQuote(CALL, 2.35, 2.37, 2.36, 26670, 4642, NOW, NOW, 0.6008, 0.48, 0.06, -2.65, 0.04)


def test_a_leg_is_found_whatever_its_spelling_and_others_are_left_out() -> None:
    merge = ChainMerge([CALL])
    quotes = merge.quotes([row("spxw 260511c4505.00", Bid="1"), row("SPXW 260511P4505", Bid="2")], NOW)
    assert [quote.contract for quote in quotes] == [CALL]
    assert merge.refused == []


def test_a_partial_message_keeps_what_it_does_not_say() -> None:
    merge = ChainMerge([CALL])
    one(merge, row(**FULL))
    quote = one(merge, row(Bid="2.40", Ask=None, Volume=0, DailyOpenInterest=0, ImpliedVolatility="0", Delta="NaN"))
    assert (quote.bid, quote.ask, quote.last) == (2.40, 2.37, 2.36)
    assert (quote.volume, quote.open_interest, quote.iv, quote.delta) == (26670, 4642, 0.6008, 0.48)


def test_a_bid_of_zero_is_a_bid() -> None:
    merge = ChainMerge([CALL])
    one(merge, row(**FULL))
    assert one(merge, row(Bid="0")).bid == 0.0


def test_nothing_is_made_up_for_a_contract_that_never_traded() -> None:
    quote = one(ChainMerge([CALL]), row(Ask="0.05", Volume=0, ImpliedVolatility="-1"))
    assert (quote.bid, quote.last, quote.iv, quote.open_interest, quote.volume) == (None, None, None, None, 0)


def test_one_bad_row_is_refused_and_the_others_flow() -> None:
    merge = ChainMerge([CALL])
    quotes = merge.quotes(
        [row(**FULL), row(Bid="-0.1"), row(Last="Infinity"), row("nonsense"), wire.ChainRow(), row(Bid="3")], NOW
    )
    assert [quote.bid for quote in quotes] == [2.35, 3.0]
    assert len(merge.refused) == 4
    assert [str(error).split()[1] for error in merge.refused] == ["Bid", "Last", "Legs[0].Symbol", "Legs"]
    merge.quotes([], NOW)
    assert merge.refused == []


def test_at_the_open_the_volume_of_yesterday_ends_and_a_zero_counts() -> None:
    merge = ChainMerge([CALL])
    before = datetime(2026, 5, 11, 13, 29, 59, tzinfo=UTC)
    assert one(merge, row(**FULL), before).volume == 26670
    assert one(merge, row(Volume=0), before).volume == 26670
    after = one(merge, row(Volume=0), before + timedelta(seconds=2))
    assert (after.volume, after.open_interest) == (0, 4642)
    assert one(merge, row(Volume=3), NOW).volume == 3
    assert one(merge, row(Volume=0), NOW).volume == 3


def test_after_an_outage_old_prices_are_forgotten_and_counts_kept() -> None:
    merge = ChainMerge([CALL])
    one(merge, row(**FULL))
    merge.reopened()
    quote = one(merge, row(Ask="9"))
    assert (quote.bid, quote.ask, quote.iv, quote.volume, quote.open_interest) == (None, 9.0, None, 26670, 4642)


def test_a_polled_snapshot_keeps_the_greeks_it_cannot_know() -> None:
    merge = ChainMerge([CALL])
    one(merge, row(**FULL))
    (quote,) = merge.snapshot([OptionQuote(CALL, 3.0, 3.1, None, 5, 0, NOW, NOW)])
    assert (quote.bid, quote.last, quote.volume, quote.open_interest, quote.delta) == (3.0, 2.36, 5, 4642, 0.48)


def test_the_proximity_covers_the_window_on_its_wider_side() -> None:
    def window(center: float, *strikes: str) -> ChainWindow:
        contracts = tuple(
            OptionContract("SPX", "SPXW", CALL.expiration, Decimal(strike), kind)
            for strike in strikes
            for kind in OptionKind
        )
        return ChainWindow("SPX", "SPXW", CALL.expiration, center, contracts)

    assert strike_proximity(window(4501.0, "4490", "4495", "4500", "4505")) == 4
    assert strike_proximity(window(4480.0, "4490", "4495", "4500")) == 4
    listed = [Decimal(4480 + step) for step in range(30)]
    assert strike_proximity(window(4497.0, "4490", "4500"), listed) == 8
    assert strike_proximity(window(4497.0)) == 2

"""The chain in memory."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.iv import IvSource
from zerogex.domain.quote import OptionQuote
from zerogex.pipeline.live_chain import LiveChain

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
OPEN = datetime(2026, 3, 10, 13, 30, tzinfo=UTC)


def contract(strike="600", kind=OptionKind.CALL, expiration=date(2026, 3, 20)):
    return OptionContract("SPY", "SPY", expiration, Decimal(strike), kind)


def quote(of=None, at=NOW, **fields):
    known = {"bid": None, "ask": None, "last": None, "volume": None, "open_interest": None}
    return OptionQuote(of or contract(), **{**known, **fields}, event_time=at, received_time=at)


def chain_of(*followed):
    live = LiveChain("SPY")
    live.follow(followed or [contract()])
    return live


def row(live, at=NOW, **snapshot):
    chain = live.snapshot(at, 600.0, **snapshot)
    names = ("bid", "ask", "last", "volume", "open_interest", "iv", "gamma")
    return {name: getattr(chain, name)[0].item() for name in names}


def test_what_a_message_does_not_say_wipes_nothing():
    live = chain_of()
    live.update([quote(bid=1.0, ask=1.2, last=1.1, volume=10, open_interest=500)])
    live.update([quote(at=NOW + timedelta(seconds=1), ask=1.3, last=0.0, volume=0, open_interest=0)])
    live.update([quote(at=NOW + timedelta(seconds=2), bid=float("nan"))])
    kept = row(live)
    assert (kept["bid"], kept["ask"], kept["last"], kept["volume"], kept["open_interest"]) == (1.0, 1.3, 1.1, 10, 500)


def test_a_bid_of_zero_is_a_bid():
    live = chain_of()
    live.update([quote(bid=1.0), quote(at=NOW + timedelta(seconds=1), bid=0.0)])
    assert row(live)["bid"] == 0.0


def test_each_field_keeps_the_newest_event_whatever_order_they_come_in():
    messages = [
        quote(at=NOW + timedelta(seconds=s), **f) for s, f in enumerate([{"bid": 1.0}, {"bid": 2.0}, {"ask": 3.0}])
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        one_by_one, at_once = chain_of(), chain_of()
        for place in order:
            one_by_one.update([messages[place]])
        at_once.update([messages[place] for place in order])
        for live in (one_by_one, at_once):
            assert (row(live)["bid"], row(live)["ask"]) == (2.0, 3.0)


def test_volume_never_falls_within_a_day():
    live = chain_of()
    live.update([quote(volume=100), quote(at=NOW + timedelta(seconds=1), volume=90)])
    assert row(live)["volume"] == 100


def test_volume_starts_from_zero_at_half_past_nine_and_swallows_no_trade():
    live = chain_of()
    live.update([quote(at=OPEN - timedelta(minutes=5), bid=1.0, volume=5000)])
    live.turn_day(OPEN)
    assert row(live, OPEN)["volume"] == 0
    live.update([quote(at=OPEN + timedelta(seconds=1), volume=5000)])  # the vendor has not reset yet
    assert row(live, OPEN)["volume"] == 0
    live.update([quote(at=OPEN + timedelta(seconds=2), volume=12)])
    assert row(live, OPEN)["volume"] == 12
    live.update([quote(at=OPEN + timedelta(minutes=3), volume=5000)])  # a real number by now
    assert row(live, OPEN)["volume"] == 5000


def test_the_first_message_of_a_day_turns_it_by_itself():
    live = chain_of(contract("600"), contract("601"))
    live.update(
        [
            quote(contract("600"), OPEN - timedelta(hours=1), volume=7),
            quote(contract("601"), OPEN - timedelta(hours=1), volume=8),
        ]
    )
    live.update([quote(contract("600"), OPEN + timedelta(minutes=4), volume=3)])
    assert live.snapshot(NOW, 600.0).volume.tolist() == [3, 0]


def test_yesterdays_volume_heard_late_changes_nothing_today():
    live = chain_of()
    live.update([quote(at=OPEN + timedelta(minutes=5), volume=3)])
    live.update([quote(at=OPEN - timedelta(minutes=5), volume=9000)])
    assert row(live)["volume"] == 3


def test_one_batch_may_straddle_the_open():
    live = chain_of()
    live.update([quote(at=OPEN - timedelta(seconds=1), volume=900), quote(at=OPEN + timedelta(seconds=200), volume=4)])
    assert row(live)["volume"] == 4


def test_messages_of_unknown_contracts_are_counted_and_left_out():
    live = chain_of()
    merged = live.update([quote(bid=1.0), quote(contract("999"), bid=9.0)])
    assert (merged.merged, merged.unknown) == (1, 1)
    assert len(live.snapshot(NOW, 600.0)) == 1


def test_equal_contracts_are_one_row_whatever_object_names_them():
    live = chain_of()
    for cents in range(3000):
        live.update([quote(contract(), NOW + timedelta(seconds=cents), bid=cents / 100)])
    assert row(live)["bid"] == 29.99
    assert len(live._row_of_object) <= 1100  # objects made for each message do not pile up


def test_only_followed_contracts_that_were_heard_of_are_in_a_snapshot():
    live = chain_of(contract("600"), contract("601"))
    live.update([quote(contract("601"), bid=1.0)])
    assert live.snapshot(NOW, 600.0).symbol.tolist() == ["SPY 260320C601"]
    assert len(live) == 2


def test_following_others_hides_rows_and_keeps_their_state_until_compaction():
    live = chain_of(contract("600"), contract("601"))
    live.update([quote(contract(k), bid=float(k)) for k in ("600", "601")])
    assert live.follow([contract("601"), contract("602")]) == [contract("600")]
    assert live.snapshot(NOW, 600.0).symbol.tolist() == ["SPY 260320C601"]
    live.follow([contract("600")])
    assert row(live)["bid"] == 600.0
    assert live.compact() == 2
    assert live.rows == 1
    live.follow([contract("600"), contract("601")])
    assert live.snapshot(NOW, 600.0).bid.tolist() == [600.0]
    live.update([quote(contract("601"), NOW, bid=7.0)])
    assert live.snapshot(NOW, 600.0).bid.tolist() == [600.0, 7.0]


def test_rows_grow_past_the_first_capacity():
    many = [contract(str(strike), kind) for strike in range(100, 700) for kind in OptionKind]
    live = chain_of(*many)
    live.update([quote(c, bid=float(c.strike), volume=1) for c in many])
    chain = live.snapshot(NOW, 600.0)
    assert len(chain) == 1200
    assert np.array_equal(chain.bid, chain.strike)


def test_a_contract_leaves_at_its_settlement():
    expiring = contract(expiration=date(2026, 3, 10))
    close = datetime(2026, 3, 10, 20, 0, tzinfo=UTC)
    live = chain_of(expiring, contract())
    live.update([quote(expiring, bid=1.0), quote(bid=2.0)])
    assert len(live.snapshot(close - timedelta(seconds=1), 600.0)) == 2
    assert live.snapshot(close, 600.0).bid.tolist() == [2.0]
    last_minute = live.snapshot(close, 600.0, settled_by=close - timedelta(minutes=1))
    assert last_minute.bid.tolist() == [1.0, 2.0]


def test_the_vendors_iv_stands_unless_its_quote_is_crossed_or_newer():
    live = chain_of()
    live.update([quote(bid=1.0, ask=1.2, iv=0.2, gamma=0.01)])
    chain = live.snapshot(NOW, 600.0)
    assert (chain.iv[0], chain.gamma[0], chain.iv_source[0]) == (0.2, 0.01, IvSource.API)
    live.update([quote(at=NOW + timedelta(seconds=1), bid=1.3)])
    assert live.snapshot(NOW, 600.0).iv_source[0] == IvSource.NONE
    live.update([quote(at=NOW + timedelta(seconds=30), bid=1.0)])
    assert live.snapshot(NOW, 600.0).iv[0] == 0.2
    live.update([quote(at=NOW + timedelta(seconds=90), bid=1.1)])
    chain = live.snapshot(NOW, 600.0)
    assert np.isnan(chain.iv[0]) and np.isnan(chain.gamma[0])


def test_only_rows_with_news_are_dirty():
    live = chain_of(contract("600"), contract("601"))
    first = [quote(contract("600"), bid=1.0, volume=5), quote(contract("601"), bid=2.0)]
    live.update(first)
    assert live.dirty(NOW).tolist() == [True, True]
    live.mark_clean()
    live.update(first)  # a replay
    assert live.dirty_count == 0
    live.update([quote(contract("601"), NOW + timedelta(seconds=1), bid=2.0)])
    assert live.dirty(NOW).tolist() == [False, True]
    live.mark_clean()
    live.follow([contract("600")])
    live.follow([contract("600"), contract("601")])
    assert live.dirty(NOW).tolist() == [False, True]  # forgotten by the store, to be written again


def test_a_copy_lives_its_own_life():
    live = chain_of()
    live.update([quote(bid=1.0)])
    twin = live.copy()
    live.update([quote(at=NOW + timedelta(seconds=1), bid=2.0)])
    live.follow([contract("601")])
    assert row(twin)["bid"] == 1.0
    twin.update([quote(at=NOW + timedelta(seconds=1), bid=3.0)])
    assert row(twin)["bid"] == 3.0


def test_seeding_takes_over_a_stored_chain():
    live = chain_of()
    live.update([quote(bid=1.0, ask=1.2, last=1.1, volume=10, open_interest=500, iv=0.3)])
    stored = live.snapshot(NOW, 600.0)
    again = LiveChain("SPY")
    again.seed(stored)
    assert len(again) == 0
    again.follow([contract()])
    assert row(again) == pytest.approx(row(live), nan_ok=True)
    again.update([quote(at=NOW - timedelta(seconds=5), bid=9.0)])  # older than what was stored
    assert row(again)["bid"] == 1.0


def test_seeding_from_yesterday_keeps_its_volume_out_of_today():
    live = chain_of()
    live.update([quote(at=OPEN - timedelta(minutes=1), bid=1.0, volume=4000)])
    again = LiveChain("SPY")
    again.seed(live.snapshot(OPEN - timedelta(minutes=1), 600.0))
    again.follow([contract()])
    again.update([quote(at=OPEN + timedelta(minutes=10), volume=2)])
    assert row(again)["volume"] == 2

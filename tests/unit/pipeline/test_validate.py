"""What is taken, what is rejected and why."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan

import msgspec
import pytest

from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote, UnderlyingQuote
from zerogex.pipeline.validate import Flag, Rejection, Validator

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
CONTRACT = OptionContract("SPY", "SPY", date(2026, 3, 20), Decimal(600), OptionKind.CALL)
QUOTE = OptionQuote(CONTRACT, 1.0, 1.1, 1.05, 10, 100, NOW, NOW)
BAR = UnderlyingBar("SPY", NOW - timedelta(minutes=1), 600.0, 601.0, 599.0, 600.5, 10, 20, NOW)
SPOT = UnderlyingQuote("SPY", 600.0, 599.9, 600.1, 1000, NOW, NOW)


def quote(**changes):
    return msgspec.structs.replace(QUOTE, **changes)


def contract(**changes):
    fields = {name: getattr(CONTRACT, name) for name in ("underlying", "root", "expiration", "strike", "kind")}
    return OptionContract(**{**fields, **changes})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (quote(bid=-0.01), Rejection.NEGATIVE_PRICE),
        (quote(ask=nan), Rejection.NOT_FINITE),
        (quote(last=inf), Rejection.NOT_FINITE),
        (quote(ask=1e9), Rejection.ABSURD),
        (quote(volume=-1), Rejection.NEGATIVE_COUNT),
        (quote(open_interest=10**13), Rejection.ABSURD),
        (quote(contract=contract(underlying="QQQ")), Rejection.WRONG_UNDERLYING),
        (quote(contract=contract(expiration=date(2026, 3, 9))), Rejection.EXPIRED),
        (quote(event_time=NOW + timedelta(minutes=2)), Rejection.FUTURE),
    ],
)
def test_what_cannot_be_true_is_rejected_with_its_reason_and_costs_no_other(bad, reason):
    validator = Validator("SPY")
    assert validator.option_quotes([QUOTE, bad, QUOTE], NOW) == [QUOTE, QUOTE]
    assert dict(validator.rejected) == {reason: 1}
    assert validator.accepted == 2


@pytest.mark.parametrize(
    "strange",
    [
        quote(bid=1.1),  # locked
        quote(bid=0.0, ask=0.01),
        quote(bid=0.0, ask=0.0),
        quote(bid=None, ask=None, last=None, volume=None, open_interest=None),
        quote(bid=-0.0),
    ],
)
def test_locked_markets_zero_bids_and_silence_are_legal(strange):
    validator = Validator("SPY")
    assert validator.option_quotes([strange], NOW) == [strange]
    assert not validator.rejected


def test_a_crossed_quote_is_kept_and_flagged():
    validator = Validator("SPY")
    assert validator.option_quotes([quote(bid=1.2)], NOW)[0].mid is None
    assert dict(validator.flagged) == {Flag.CROSSED: 1}


def test_a_spread_above_half_of_the_middle_is_flagged():
    validator = Validator("SPY")
    validator.option_quotes([quote(bid=1.0, ask=2.0), quote(bid=1.0, ask=1.5)], NOW)
    assert dict(validator.flagged) == {Flag.WIDE: 1}


def test_impossible_vendor_numbers_are_dropped_and_the_quote_stays():
    validator = Validator("SPY")
    good = quote(iv=0.2, delta=0.5, gamma=0.01, theta=-0.1, vega=0.3)
    bad = [quote(iv=nan), quote(iv=0.2, delta=1.5), quote(iv=0.2, gamma=-1.0), quote(iv=0.2, theta=nan)]
    kept = validator.option_quotes([good, *bad], NOW)
    assert kept[0] is good
    assert [q.iv for q in kept[1:]] == [None] * 4
    assert validator.flagged[Flag.VENDOR_NUMBER] == 4


def test_a_vendor_iv_of_zero_is_its_word_for_none():
    validator = Validator("SPY")
    assert validator.option_quotes([quote(iv=0.0)], NOW)[0].iv is None
    assert not validator.flagged


def test_a_contract_is_taken_until_its_own_settlement():
    expiring = contract(expiration=date(2026, 3, 10))
    close = datetime(2026, 3, 10, 20, 0, tzinfo=UTC)
    validator = Validator("SPY")
    before = quote(contract=expiring, event_time=close - timedelta(seconds=1))
    after = quote(contract=expiring, event_time=close)
    assert validator.option_quotes([before, after], close) == [before]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "QQQ"}, Rejection.WRONG_UNDERLYING),
        ({"close": nan}, Rejection.NOT_FINITE),
        ({"low": -1.0}, Rejection.NEGATIVE_PRICE),
        ({"low": 0.0}, Rejection.NO_PRICE),
        ({"high": 600.0}, Rejection.ABSURD),
        ({"low": 600.4}, Rejection.ABSURD),
        ({"up_volume": -5}, Rejection.NEGATIVE_COUNT),
        ({"start": NOW + timedelta(minutes=2)}, Rejection.FUTURE),
    ],
)
def test_a_bar_that_cannot_be_true_is_rejected(changes, reason):
    validator = Validator("SPY")
    assert not validator.bar(msgspec.structs.replace(BAR, **changes), NOW)
    assert dict(validator.rejected) == {reason: 1}


def test_a_bar_rounded_by_a_hair_is_taken():
    assert Validator("SPY").bar(msgspec.structs.replace(BAR, close=601.0001), NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"last": 0.0}, Rejection.NO_PRICE),
        ({"last": nan}, Rejection.NOT_FINITE),
        ({"symbol": "spx"}, Rejection.WRONG_UNDERLYING),
        ({"event_time": NOW + timedelta(hours=1)}, Rejection.FUTURE),
    ],
)
def test_an_underlying_quote_without_a_usable_price_is_rejected(changes, reason):
    validator = Validator("SPY")
    assert validator.underlying_quote(SPOT, NOW)
    assert not validator.underlying_quote(msgspec.structs.replace(SPOT, **changes), NOW)
    assert dict(validator.rejected) == {reason: 1}


def test_a_machine_ten_minutes_behind_the_feed_does_not_take_the_market_for_the_future():
    """F38: bars carry the market's own time; once the skew is measured they are taken, and labelled by it."""
    behind = NOW - timedelta(minutes=10)
    validator = Validator("SPY")
    assert not validator.bar(BAR, behind)
    validator.ahead_s = 600.0
    assert validator.bar(BAR, behind)
    assert validator.underlying_quote(SPOT, behind)
    assert not validator.bar(msgspec.structs.replace(BAR, start=NOW + timedelta(minutes=2)), behind)

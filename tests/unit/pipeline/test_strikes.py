"""What to follow."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.errors import SettingsError
from zerogex.pipeline import strikes
from zerogex.pipeline.strikes import StrikeDistance
from zerogex.ports import ChainWindow

NOON = datetime(2026, 3, 20, 16, 0, tzinfo=UTC)  # a third Friday, 12:00 in New York
LISTED = [
    ("SPXW", date(2026, 3, 19)),
    ("SPX", date(2026, 3, 20)),
    ("SPXW", date(2026, 3, 20)),
    ("SPXW", date(2026, 3, 23)),
    ("SPXW", date(2026, 3, 24)),
]


def contracts(*prices):
    return [
        OptionContract("SPY", "SPY", date(2026, 3, 20), Decimal(price), kind) for price in prices for kind in OptionKind
    ]


@pytest.mark.parametrize(
    ("text", "dollars"),
    [("20", 20.0), ("20.0", 20.0), ("$7.5", 7.5), ("5%", 30.0), (" 2.5 % ", 15.0), (".5", 0.5)],
)
def test_a_distance_is_dollars_or_percent_of_spot(text, dollars):
    assert strikes.parse_distance(text).dollars(600.0) == pytest.approx(dollars)


@pytest.mark.parametrize("text", ["", "0", "0%", "-5", "5%%", "twenty", "101%", "nan", "1e3"])
def test_anything_else_is_a_settings_error_naming_it(text):
    with pytest.raises(SettingsError, match="strike distance is"):
        strikes.parse_distance(text)


def test_the_am_settled_root_leaves_at_the_open_and_the_zero_day_chain_at_the_close():
    before_open = datetime(2026, 3, 20, 13, 29, 59, tzinfo=UTC)
    at_close = datetime(2026, 3, 20, 20, 0, tzinfo=UTC)
    assert strikes.first_expirations(LISTED, before_open, 1) == [LISTED[1], LISTED[2]]
    assert strikes.first_expirations(LISTED, NOON, 1) == [LISTED[2]]
    assert strikes.first_expirations(LISTED, at_close, 1) == [LISTED[3]]


def test_two_roots_on_one_date_count_once():
    before_open = datetime(2026, 3, 20, 13, 0, tzinfo=UTC)
    assert strikes.first_expirations(LISTED, before_open, 2) == LISTED[1:4]
    assert strikes.first_expirations(LISTED, before_open, 99) == LISTED[1:]
    assert strikes.first_expirations([], before_open, 3) == []


def test_the_window_holds_the_strikes_within_the_distance_borders_included():
    listed = contracts("579", "580", "600", "620", "620.5")
    window = strikes.plan_window("SPY", ("SPY", date(2026, 3, 20)), listed, 600.0, StrikeDistance(20, False))
    assert {str(contract.strike) for contract in window.contracts} == {"580", "600", "620"}
    assert window.center == 600.0
    assert len(window.contracts) == 6


def test_a_window_between_two_strikes_keeps_the_nearest():
    near = strikes.contracts_near(contracts("595", "600"), 598.5, 0.5)
    assert {str(contract.strike) for contract in near} == {"600"}
    assert strikes.contracts_near([], 598.5, 0.5) == ()


def test_a_dollar_threshold_grows_with_the_price_and_with_the_window():
    narrow = StrikeDistance(5, False)
    assert strikes.move_threshold(100.0, narrow, 1.0) == 1.0
    assert strikes.move_threshold(6000.0, narrow, 1.0) == 12.0
    assert strikes.move_threshold(6000.0, StrikeDistance(10, True), 1.0) == 30.0


def test_a_price_swinging_about_the_threshold_recentres_once():
    distance, center, recentred = StrikeDistance(20, False), 400.0, 0
    for spot in [400.9, 401.1, 400.9, 401.2, 400.8, 401.0] * 20:
        if strikes.should_recenter(center, spot, distance, 1.0):
            center, recentred = spot, recentred + 1
    assert recentred == 1


def window(underlying, day):
    return ChainWindow(underlying, underlying, date(2026, 3, day), 600.0, ())


def test_the_streams_of_an_account_are_shared_nearest_expirations_first():
    windows = [window(name, day) for name in ("SPY", "QQQ", "IWM") for day in (20, 23, 24)]
    plan = strikes.plan_streams(windows, ["SPY", "QQQ", "IWM"])
    assert len(plan.streamed) == 7
    assert len(plan.streamed) + len(plan.polled) == 9
    fronts = [w.underlying for w in plan.streamed if w.expiration.day == 20]
    assert sorted(fronts) == ["IWM", "QQQ", "SPY"]
    assert {w.expiration.day for w in plan.polled} == {24}


def test_one_underlying_with_three_expirations_streams_everything():
    plan = strikes.plan_streams([window("SPY", day) for day in (20, 23, 24)], ["SPY"])
    assert len(plan.streamed) == 3
    assert plan.polled == ()

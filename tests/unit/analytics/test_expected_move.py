"""One standard deviation from at-the-money volatility; the straddle is said apart."""

from datetime import date

import numpy as np
import pytest

from zerogex.analytics.analysis import analyze
from zerogex.analytics.expected_move import atm_iv
from zerogex.analytics.ratios import put_call_ratio_oi, put_call_ratio_volume
from zerogex.domain.exposure import Totals
from zerogex.domain.iv import IvSource

NEAR, FAR = date(2026, 1, 9), date(2026, 2, 20)


def test_sigma_is_spot_times_iv_times_the_root_of_time(make_chain) -> None:
    chain = make_chain([("C", 99, 1), ("P", 99, 1), ("C", 101, 1), ("P", 101, 1)])
    move = analyze(chain).expected_move
    assert move is not None
    assert move.atm_iv == pytest.approx(0.2)
    assert move.sigma == pytest.approx(100 * 0.2 * np.sqrt(move.years))
    assert (move.expiration, move.years) == (NEAR, pytest.approx(chain.years[0]))


def test_the_straddle_is_the_mids_at_the_strike_nearest_to_the_forward(make_chain) -> None:
    rows = [("C", 100, 1, {"bid": 1.0, "ask": 1.2}), ("P", 100, 1, {"bid": 0.8, "ask": 1.0}),
            ("C", 103, 1, {"bid": 0.2, "ask": 0.3}), ("P", 103, 1, {"bid": 3.0, "ask": 3.2})]  # fmt: skip
    move = analyze(make_chain(rows)).expected_move
    assert move is not None
    assert move.straddle == pytest.approx(2.0)


def test_without_quotes_there_is_no_straddle_but_a_sigma(make_chain) -> None:
    move = analyze(make_chain([("C", 100, 1), ("P", 100, 1)])).expected_move
    assert move is not None
    assert (move.straddle, move.sigma > 0) == (None, True)


def test_a_placeholder_volatility_is_no_market_view(make_chain) -> None:
    rows = [("C", 100, 1, {"iv_source": IvSource.DEFAULT}), ("C", 100, 1, {"expiration": FAR})]
    move = analyze(make_chain(rows)).expected_move
    assert move is not None
    assert move.expiration == FAR
    assert analyze(make_chain(rows[:1])).expected_move is None


def test_the_next_to_settle_is_asked_first(make_chain) -> None:
    rows = [("C", 100, 1, {"expiration": FAR}), ("C", 100, 1, {"expiration": NEAR, "iv": 0.4})]
    move = analyze(make_chain(rows)).expected_move
    assert move is not None
    assert (move.expiration, move.atm_iv) == (NEAR, pytest.approx(0.4))


def test_atm_iv_is_linear_in_log_strike_between_the_strikes_around_the_forward() -> None:
    strike, iv = np.array([90.0, 100.0, 110.0]), np.array([0.30, 0.20, 0.16])
    assert atm_iv(strike, iv, 100.0) == pytest.approx(0.20)
    share = np.log(1.05) / np.log(1.1)
    assert atm_iv(strike, iv, 105.0) == pytest.approx(0.20 - 0.04 * share)


def test_call_and_put_of_one_strike_count_with_their_mean() -> None:
    assert atm_iv(np.array([100.0, 100.0]), np.array([0.18, 0.22]), 101.0) == pytest.approx(0.20)


def test_strikes_that_lie_to_one_side_count_only_when_near() -> None:
    assert atm_iv(np.array([103.0]), np.array([0.2]), 100.0) == pytest.approx(0.2)
    assert atm_iv(np.array([120.0, 130.0]), np.array([0.2, 0.2]), 100.0) is None
    assert atm_iv(np.empty(0), np.empty(0), 100.0) is None


def test_ratios_are_puts_over_calls_and_nothing_without_calls() -> None:
    totals = Totals(call_open_interest=200, put_open_interest=300, call_volume=0, put_volume=7)
    assert put_call_ratio_oi(totals) == 1.5
    assert put_call_ratio_volume(totals) is None
    assert put_call_ratio_oi(Totals(call_open_interest=5)) == 0.0

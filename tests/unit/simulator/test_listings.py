"""What is listed when: expiration calendars, strike grids, names."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from zerogex.domain.calendar import is_session, settlement
from zerogex.domain.contract import parse_symbol
from zerogex.simulator.instruments import INSTRUMENTS, find, roots_under, tick_of
from zerogex.simulator.listings import expiries, listing, month_end, third_friday

MONDAY = date(2026, 11, 23)


def test_monthlies_end_on_third_fridays_or_the_session_before_a_holiday() -> None:
    assert third_friday(2026, 12) == date(2026, 12, 18)
    assert third_friday(2027, 6) == date(2027, 6, 17)  # Juneteenth is observed on the 18th
    assert third_friday(2025, 4) == date(2025, 4, 17)  # Good Friday
    assert month_end(2026, 12) == date(2026, 12, 31) and month_end(2027, 1) == date(2027, 1, 29)


def test_spy_has_an_expiration_on_each_of_the_next_ten_sessions_and_leaps() -> None:
    dates = [e.date for e in expiries("SPY", MONDAY)]
    assert dates[:10] == [date(2026, 11, d) for d in (23, 24, 25, 27, 30)] + [
        date(2026, 12, d) for d in (1, 2, 3, 4, 7)
    ]
    assert dates == sorted(set(dates)) and all(is_session(day) for day in dates)
    assert (dates[-1] - MONDAY).days > 700
    kinds = {e.date: e.type for e in expiries("SPY", MONDAY)}
    assert kinds[date(2026, 12, 18)] == "Monthly" and kinds[date(2026, 12, 31)] == "Quarterly"
    assert kinds[date(2026, 11, 30)] == "EOM" and kinds[date(2026, 11, 24)] == "Weekly"


def test_both_series_of_the_index_share_third_fridays_and_settle_apart() -> None:
    on = [e for e in expiries("SPX", MONDAY) if e.date == date(2026, 12, 18)]
    assert [(e.root, e.type) for e in on] == [("SPX", "Monthly"), ("SPXW", "Weekly")]
    assert settlement("SPX", on[0].date) < settlement("SPXW", on[1].date)
    assert all(e.type == "Monthly" for e in expiries("SPX", MONDAY) if e.root == "SPX")


def test_vix_monthlies_end_on_wednesdays_thirty_days_before_a_third_friday() -> None:
    monthlies = [e.date for e in expiries("VIX", MONDAY) if e.root == "VIX"]
    assert monthlies[0] == date(2026, 12, 16) and {day.weekday() for day in monthlies[:4]} == {2}
    weeklies = {e.date for e in expiries("VIX", MONDAY) if e.root == "VIXW"}
    assert weeklies and not weeklies & set(monthlies)


def test_what_has_no_options_lists_nothing() -> None:
    assert expiries("IRX", MONDAY) == ()


@pytest.mark.parametrize("symbol", ["SPY", "SPX", "TSLA", "VIX"])
def test_a_listing_is_sorted_unique_and_named_as_the_broker_names_it(symbol: str) -> None:
    listed = listing(symbol, 7, MONDAY)
    assert len(set(listed.names.tolist())) == len(set(listed.code.tolist())) == len(listed)
    for row in range(0, len(listed), 97):
        contract = parse_symbol(listed.names[row])
        expiry = listed.expiries[listed.of[row]]
        assert contract.symbol == listed.names[row] and contract.underlying == symbol
        assert (contract.root, contract.expiration) == (expiry.root, expiry.date)
        assert float(contract.strike) == listed.strike[row] and (contract.kind.sign > 0) == listed.is_call[row]
        assert listed.find(listed.names[row]) == row
    for number in range(len(listed.expiries)):
        rows = listed.rows(number)
        assert (np.diff(listed.strike[rows][::2]) > 0).all()
        assert (
            listed.settles[number] == settlement(listed.expiries[number].root, listed.expiries[number].date).timestamp()
        )
    assert listed.find("SPY 200101C1") is None


def test_strikes_are_dense_near_the_money_and_reach_far() -> None:
    listed = listing("SPY", 7, MONDAY)
    week = np.unique(listed.strike[listed.rows(3)])
    near = week[np.abs(week / 775 - 1) < 0.03]
    assert set(np.diff(near)) == {1.0} and week[0] < 650 and week[-1] > 880


def test_the_newest_daily_expiration_is_new() -> None:
    listed = listing("SPY", 7, date(2026, 11, 24))
    new = [e.date for e, fresh in zip(listed.expiries, listed.is_new, strict=True) if fresh]
    assert date(2026, 12, 8) in new and date(2026, 11, 25) not in new


def test_names_of_the_broker_mean_underlyings_and_their_roots() -> None:
    assert find("$spxw.x") is INSTRUMENTS["SPX"] and find("spy") is INSTRUMENTS["SPY"] and find("SPXW") is None
    assert roots_under("$SPX.X") == ("SPX",) and roots_under("$SPXW.X") == ("SPXW",)
    assert roots_under("$SPX.X", both=True) == ("SPX", "SPXW") and roots_under("$RUT.X") == ("RUT", "RUTW")
    assert roots_under("$IRX.X") == ()


def test_ticks_follow_the_class_of_the_option() -> None:
    spx, spy = INSTRUMENTS["SPX"].options, INSTRUMENTS["SPY"].options
    assert spx is not None and spy is not None
    assert [tick_of(spx.ticks, price) for price in (0.0, 2.95, 3.0)] == [0.05, 0.05, 0.10]
    assert tick_of(spy.ticks, 50.0) == 0.01

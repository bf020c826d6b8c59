"""Numbers, dates and requests as TradeStation spells and reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pytest

from zerogex.simulator import Market, wire
from zerogex.simulator.asked import choice, date_in, instant_in, symbols_in, whole
from zerogex.simulator.bars import Bar, longer
from zerogex.simulator.exchange import Refused
from zerogex.simulator.path import daily_walk, log_path
from zerogex.simulator.positions import done_by, second_when, traded_by
from zerogex.simulator.rest import _risk_reward

AT = datetime(2026, 11, 23, 15, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(("value", "text"), [(217.0, "217"), (212.85, "212.85"), (0.1 + 0.2, "0.3"), (-0.000001, "0"),
                                             (float("nan"), "0"), (1e-5, "0.00001"), (150000.0, "150000")])  # fmt: skip
def test_prices_have_no_trailing_zeros_and_no_exponent(value: float, text: str) -> None:
    assert wire.text(value) == text


@pytest.mark.parametrize("text", ["12-18-2026", "2026-12-18", "2026-12-18T00:00:00Z", "12-18-2026"])
def test_three_spellings_of_a_date(text: str) -> None:
    assert date_in(text, "expiration") == date(2026, 12, 18)


def test_a_bare_last_date_means_its_end() -> None:
    assert instant_in("2026-11-20", "lastdate", end_of_day=True) == datetime(2026, 11, 21, tzinfo=UTC)
    assert instant_in("2026-11-20T14:30:00Z", "firstdate") == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


UNREADABLE = (
    lambda: date_in("13-40-2026", "expiration"), lambda: symbols_in(",,", 5), lambda: symbols_in("A,B,C", 2),
    lambda: whole({"n": "1.5"}, "n", 1, 1, 9), lambda: whole({"n": "10"}, "n", 1, 1, 9),
    lambda: choice({"u": "x"}, "u", ("A",)),
)  # fmt: skip


@pytest.mark.parametrize("reading", UNREADABLE)
def test_what_cannot_be_read_is_a_400(reading: Callable[[], object]) -> None:
    with pytest.raises(Refused) as refused:
        reading()
    assert refused.value.status == 400


def test_greeks_are_in_the_broker_s_units() -> None:
    """Against the closed forms: delta and gamma per dollar, vega per point, and an IV that prices the ask."""
    market = Market(7)
    book, second = market.book("SPX", AT)
    rows = np.flatnonzero(np.abs(book.listed.strike / market.price("SPX", AT) - 1) < 0.01)[:60]
    quotes = book.quotes(second, rows)
    objects = wire.chain_objects(quotes, book.trades(quotes), 0.036, 0.12, True)
    for i, one in enumerate(objects):
        iv, years, spot, forward = (
            float(one["ImpliedVolatility"]),
            quotes.fair.years[i],
            quotes.spot,
            quotes.fair.forward[i],
        )
        assert iv >= quotes.fair.iv[i] - 1e-3  # the ask is above the value
        d1 = np.log(forward / book.listed.strike[rows[i]]) / (iv * np.sqrt(years)) + 0.5 * iv * np.sqrt(years)
        density = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
        assert float(one["Gamma"]) == pytest.approx(density / (spot * iv * np.sqrt(years)), rel=0.02)
        assert float(one["Vega"]) == pytest.approx(spot * density * np.sqrt(years) / 100, rel=0.02)
        day = max(years, 1 / 365)
        if years <= 1 / 365:  # the floor of a day: theta ≈ -S n(d1') σ / (2 √T) / 365 with T one day
            slow = np.log(forward / book.listed.strike[rows[i]]) / (iv * np.sqrt(day)) + 0.5 * iv * np.sqrt(day)
            decay = spot * np.exp(-0.5 * slow * slow) / np.sqrt(2 * np.pi) * iv / (2 * np.sqrt(day)) / 365
            assert float(one["Theta"]) == pytest.approx(-decay, rel=0.12)
        itm, otm = float(one["ProbabilityITM_IV"]), float(one["ProbabilityOTM_IV"])
        assert itm + otm == pytest.approx(1.0, abs=2e-4) and abs(itm - abs(float(one["Delta"]))) < 0.05
        assert isinstance(one["DailyOpenInterest"], int) and one["Legs"][0]["Ratio"] == 1


def test_a_contract_at_expiry_has_no_volatility_and_is_still_quoted() -> None:
    market = Market(7)
    book, second = market.book("SPY", datetime(2026, 11, 23, 22, 0, tzinfo=UTC))
    rows = np.arange(*book.listed.rows(0).indices(len(book.listed))[:2])
    quotes = book.quotes(second, rows)
    for one in wire.chain_objects(quotes, book.trades(quotes), 0.036, 0.12, True):
        assert all(np.isfinite(float(one[name])) for name in ("Delta", "Gamma", "Theta", "Vega", "ImpliedVolatility"))


def test_volume_comes_back_to_the_second_it_was_traded_in() -> None:
    for close_s in (32_400, 43_200):
        assert done_by(19_799, close_s) == 0.0 and done_by(close_s, close_s) == pytest.approx(1.0)
        for second in (19_800, 20_000, 30_000, close_s - 1):
            assert second_when(np.array([done_by(second, close_s)]), close_s)[0] == second
    assert traded_by(np.array([100.0]), np.array([1.0]), 0.5)[0] == 50


def test_days_join_to_weeks_and_the_running_one_stays_open() -> None:
    market = Market(7)
    weeks = market.bars("SPY", "Weekly", AT, count=3)
    assert [week.closed for week in weeks] == [True, True, False]
    days = market.bars("SPY", "Daily", AT, count=11)
    assert longer(days, "Monthly", AT)[-1].closed is False
    assert (
        isinstance(weeks[0], Bar)
        and weeks[1].open == days[5].open
        and weeks[1].volume == sum(d.volume for d in days[5:10])
    )


def test_vix_rises_when_the_index_falls() -> None:
    fear, index = daily_walk(7, "VIX"), daily_walk(7, "SPX")
    assert np.corrcoef(np.diff(fear.close), np.diff(index.close))[0, 1] < -0.7
    assert np.corrcoef(np.diff(log_path(7, "VIX", AT.date())[19_800:43_200:60]),
                       np.diff(log_path(7, "SPX", AT.date())[19_800:43_200:60]))[0, 1] < -0.99  # fmt: skip


def test_prices_stay_believable_for_years() -> None:
    for driver in ("SPX", "NDX", "TSLA"):
        closes = np.exp(daily_walk(7, driver).close)
        assert closes.min() > 0.05 and closes.max() < 4.0
    assert 0.07 < np.diff(daily_walk(7, "SPX").close).std() * np.sqrt(252) < 0.2


def test_outside_the_calendar_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="2031"):
        Market(7).quote("SPY", datetime(2031, 6, 2, 15, tzinfo=UTC))


def test_a_short_call_can_lose_without_end() -> None:
    answer = _risk_reward([(100.0, 1, -1)], -2.0)
    assert answer["MaxLossIsInfinite"] and answer["AdjustedMaxGain"] == "200" and answer["BreakevenPoints"] == ["102"]

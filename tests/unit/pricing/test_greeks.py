"""Greeks against the numerical derivatives of a fifty-digit price, and their limits."""

import math
from dataclasses import fields

import numpy as np
import pytest
from mpmath import diff, exp, log, mp, mpf, ncdf, sqrt

from zerogex.pricing.greeks import Greeks, carry_forward, greeks, greeks_of_spot

NAMES = [field.name for field in fields(Greeks)]
CASES = [
    (100, 100, 1.0, 0.05, 0.02, 0.2),
    (49, 50, 20 / 52, 0.05, 0.0, 0.2),
    (7748.5, 6100, 0.7, 0.044, 0.013, 0.31),
    (5.3, 9.0, 0.2, -0.01, 0.05, 1.4),
    (6000, 6010, 2 / 8760, 0.043, 0.012, 0.11),
    (100, 100.02, 5 / 525_600, 0.05, 0.01, 0.05),
]


def exact_price(spot, strike, years, rate, dividend, vol, sign):
    root = vol * sqrt(years)
    d1 = (log(spot / strike) + (rate - dividend + vol * vol / 2) * years) / root
    return sign * (
        spot * exp(-dividend * years) * ncdf(sign * d1) - strike * exp(-rate * years) * ncdf(sign * (d1 - root))
    )


def exact_greeks(case: tuple[float, ...], is_call: bool) -> dict[str, float]:
    """Each Greek as what it is: a derivative of the price, taken numerically."""
    orders = {
        "price": (0, 0, 0, 0), "delta": (1, 0, 0, 0), "gamma": (2, 0, 0, 0), "theta": (0, 1, 0, 0), "rho": (0, 0, 1, 0),
        "vega": (0, 0, 0, 1), "vanna": (1, 0, 0, 1), "charm": (1, 1, 0, 0), "vomma": (0, 0, 0, 2),
    }  # fmt: skip
    with mp.workdps(50):
        spot, strike, years, rate, dividend, vol = map(mpf, case)

        def of(s, t, r, v):
            return exact_price(s, strike, t, r, dividend, v, 1 if is_call else -1)

        found = {
            name: diff(of, (spot, years, rate, vol), order) if any(order) else of(spot, years, rate, vol)
            for name, order in orders.items()
        }
        return {name: float(-value if order_in_time(orders[name]) else value) for name, value in found.items()}


def order_in_time(order: tuple[int, ...]) -> bool:
    return order[1] > 0


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_each_greek_is_the_derivative_it_is_named_for(case: tuple[float, ...], is_call: bool) -> None:
    found, expected = greeks_of_spot(*case, is_call), exact_greeks(case, is_call)
    assert {name: float(getattr(found, name)) for name in NAMES} == pytest.approx(expected, rel=3e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_carry_implied_by_a_forward_is_the_dividend_yield(case: tuple[float, ...]) -> None:
    spot, strike, years, rate, dividend, iv = case
    textbook = greeks_of_spot(spot, strike, years, rate, dividend, iv, True)
    on_forward = greeks(spot, carry_forward(spot, years, rate, dividend), strike, years, rate, iv, True)
    for name in NAMES:
        assert getattr(on_forward, name) == pytest.approx(getattr(textbook, name), rel=1e-9), name


def test_at_settlement_only_intrinsic_value_and_its_slope_are_left() -> None:
    settled = greeks(100.0, 100.0, np.array([90.0, 110.0]), 0.0, 0.05, 0.2, True)
    assert settled.price.tolist() == [10.0, 0.0]
    assert settled.delta.tolist() == [1.0, 0.0]
    for name in ("gamma", "theta", "vega", "rho", "vanna", "charm", "vomma"):
        assert getattr(settled, name).tolist() == [0.0, 0.0], name


def test_at_settlement_on_the_strike_the_curvature_does_not_exist() -> None:
    kink = greeks(100.0, 100.0, 100.0, 0.0, 0.05, 0.2, [True, False])
    assert kink.delta.tolist() == [0.5, -0.5]
    assert kink.price.tolist() == kink.vega.tolist() == [0.0, 0.0]
    for name in ("gamma", "theta", "vanna", "charm", "vomma"):
        assert np.isnan(getattr(kink, name)).all(), name


def test_without_volatility_an_option_is_a_forward_or_nothing() -> None:
    spot, years, rate, dividend = 100.0, 2.0, 0.05, 0.01
    sure = greeks_of_spot(spot, 90.0, years, rate, dividend, 0.0, [True, False])
    almost = greeks_of_spot(spot, 90.0, years, rate, dividend, 1e-3, [True, False])
    for name in NAMES:
        assert getattr(sure, name) == pytest.approx(getattr(almost, name), rel=1e-9, abs=1e-12), name
    assert sure.delta.tolist() == [math.exp(-dividend * years), 0.0]
    assert sure.gamma.tolist() == sure.vega.tolist() == sure.vomma.tolist() == [0.0, 0.0]


def test_no_volatility_of_a_double_gives_an_infinity() -> None:
    iv = np.array([0.0, 5e-324, 1e-300, 1e-160, 1e-100, 1e-20, 1e-3, 1.0, 50.0, 1e4, 1e150])
    strike = np.array([[50.0], [99.999], [100.0], [101.0], [5000.0]])
    for years in (1e-12, 1e-6, 0.1, 30.0):
        found = greeks(100.0, 100.0, strike, years, 0.05, iv, True)
        for name in NAMES:
            assert not np.isinf(getattr(found, name)).any(), (name, years)
        assert np.isfinite(found.price).all()
        off_the_forward = np.delete(found.gamma, 2, axis=0)
        assert np.isfinite(off_the_forward).all()


@pytest.mark.parametrize(
    ("place", "value"),
    [(place, value) for place in range(6) for value in (math.nan, math.inf)] + [(p, -1.0) for p in (0, 1, 2, 3, 5)],
)
def test_one_bad_row_is_nan_in_every_column_and_alone(place: int, value: float) -> None:
    arguments = [np.full(3, x) for x in (100.0, 101.0, 95.0, 0.3, 0.05, 0.2)]
    arguments[place][1] = value
    found = greeks(*arguments, True)
    for name in NAMES:
        assert np.isnan(getattr(found, name)).tolist() == [False, True, False], name


def test_an_unknown_dividend_yield_is_not_taken_for_none() -> None:
    assert np.isnan(greeks_of_spot(100.0, 100.0, 1.0, 0.05, math.nan, 0.2, True).price)

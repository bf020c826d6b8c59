"""The inversion: its digits, its borders, its statuses and its settings."""

import math

import numpy as np
import pytest
from mpmath import exp, findroot, mp, mpf, ncdf

from zerogex.domain.iv import IvStatus
from zerogex.errors import SettingsError
from zerogex.pricing.black_scholes import price
from zerogex.pricing.implied_vol import IvLimits, _solve, implied_volatility

ORDINARY = IvLimits()
WIDE = IvLimits(minimum=0.0, maximum=1e12)


def solve_one(value: float, limits: IvLimits = ORDINARY, **changes: float) -> tuple[float, IvStatus]:
    """(iv, status) of one price with the rest of the arguments ordinary."""
    arguments = {"forward": 100.0, "strike": 110.0, "years": 0.25, "rate": 0.05, "is_call": True, **changes}
    found = implied_volatility(value, **arguments, limits=limits)
    return float(found.iv), IvStatus(int(found.status))


@pytest.mark.parametrize(
    ("x", "share"),
    [
        (0.0, 1e-12), (0.0, 0.3), (0.0, 0.999), (1e-9, 1e-12), (1e-6, 1e-100), (1e-3, 1e-300), (0.02, 1e-7),
        (0.3, 1e-30), (0.5, 0.2), (1.0, 1e-308), (2.0, 0.01), (3.0, 0.4), (8.0, 1e-15),
        (20.0, 0.499), (50.0, 1e-200), (50.0, 0.9),
    ],
)  # fmt: skip
def test_the_deviation_solves_the_fifty_digit_equation(x: float, share: float) -> None:
    found, steps = _solve(x, share, 1e-5, 100)
    assert 0 < steps <= 4
    with mp.workdps(50 + int(-math.log10(share))):

        def excess(s):
            return ncdf(-x / s + s / 2) - exp(mpf(x)) * ncdf(-x / s - s / 2) - mpf(share)

        exact = findroot(excess, (mpf(found) * (1 - mpf("1e-9")), mpf(found) * (1 + mpf("1e-9"))), verify=False)
        relative = float(abs(found / exact - 1))
    assert relative < 2e-14


def test_every_corner_of_the_domain_converges_in_a_few_steps() -> None:
    x, y = np.meshgrid(
        np.r_[0.0, np.geomspace(1e-14, 500.0, 60)], np.r_[np.geomspace(1e-307, 0.1, 80), 0.3, 0.6, 0.9999]
    )
    steps = np.array([_solve(a, b, 1e-5, 100)[1] for a, b in zip(x.ravel(), y.ravel(), strict=True)])
    assert steps.min() > 0
    assert steps.max() <= 6


@pytest.mark.parametrize("years", [1e-9, 1 / 31_536_000, 0.5, 30.0])
def test_a_price_comes_back_as_its_volatility_for_any_time_left(years: float) -> None:
    deviation = np.array([0.003, 0.03, 0.3, 1.0])
    iv = deviation / math.sqrt(years)
    for x in (0.0, 0.001, 0.01):
        strike = 100.0 * math.exp(x)
        found = implied_volatility(price(100.0, strike, years, 0.04, iv, True), 100.0, strike, years, 0.04, True, WIDE)
        assert found.status.tolist() == [0, 0, 0, 0]
        assert found.iv == pytest.approx(iv, rel=1e-12)


def test_deep_in_the_money_only_the_digits_of_the_time_value_count() -> None:
    iv = 0.35
    value = float(price(100.0, 70.0, 0.2, 0.05, iv, True))
    time_value = value - 30.0 * math.exp(-0.01)
    found, status = solve_one(value, strike=70.0, years=0.2)
    assert status is IvStatus.CONVERGED
    assert found == pytest.approx(iv, rel=10 * 2.2e-16 * value / time_value)


@pytest.mark.parametrize(
    ("value", "changes", "status"),
    [
        (math.nan, {}, IvStatus.NO_QUOTE),
        (math.inf, {}, IvStatus.NO_QUOTE),
        (0.0, {}, IvStatus.NO_QUOTE),
        (-1.0, {}, IvStatus.NO_QUOTE),
        (9.0, {"strike": 90.0}, IvStatus.BELOW_INTRINSIC),
        (100.0, {"rate": 0.0}, IvStatus.ABOVE_MAXIMUM),
        (110.0, {"rate": 0.0, "is_call": False}, IvStatus.ABOVE_MAXIMUM),
        (1.0, {"years": 0.0}, IvStatus.EXPIRED),
        (1.0, {"years": -0.1}, IvStatus.EXPIRED),
        (1.0, {"years": math.nan}, IvStatus.BAD_INPUT),
        (1.0, {"forward": 0.0}, IvStatus.BAD_INPUT),
        (1.0, {"forward": math.nan}, IvStatus.BAD_INPUT),
        (1.0, {"strike": -5.0}, IvStatus.BAD_INPUT),
        (1.0, {"rate": math.inf}, IvStatus.BAD_INPUT),
    ],
)
def test_what_has_no_volatility_says_why(value: float, changes: dict[str, float], status: IvStatus) -> None:
    iv, found = solve_one(value, **changes)
    assert found is status
    assert math.isnan(iv)


def test_a_price_within_rounding_of_its_intrinsic_value_says_nothing() -> None:
    for strike in (0.01, 17.3, 60.0, 99.999):
        intrinsic = 100.0 - strike
        for value in (intrinsic, math.nextafter(intrinsic, math.inf)):
            assert solve_one(value, strike=strike, rate=0.0)[1] is IvStatus.BELOW_INTRINSIC
        assert solve_one(intrinsic * (1 + 1e-13), WIDE, strike=strike, rate=0.0)[1] is IvStatus.CONVERGED


def test_bad_rows_do_not_touch_their_neighbours() -> None:
    values = np.array([math.nan, 2.0, 0.0, 2.0, 500.0])
    found = implied_volatility(values, 100.0, 110.0, 0.25, 0.05, True)
    assert found.status.tolist() == [3, 0, 3, 0, 2]
    assert found.iv[1] == found.iv[3] > 0


def test_volatilities_outside_the_limits_are_rejected_and_not_clamped() -> None:
    low, high = (float(price(100.0, 100.0, 0.25, 0.05, iv, True)) for iv in (0.005, 6.0))
    assert solve_one(low, strike=100.0)[1] is IvStatus.BELOW_IV_MIN
    assert solve_one(high, strike=100.0)[1] is IvStatus.ABOVE_IV_MAX
    assert solve_one(low, IvLimits(minimum=0.001), strike=100.0)[0] == pytest.approx(0.005)
    assert solve_one(high, IvLimits(maximum=7.0), strike=100.0)[0] == pytest.approx(6.0)


def test_the_number_of_iterations_is_honoured() -> None:
    value = float(price(100.0, 110.0, 0.25, 0.05, 0.2, True))
    stopped = implied_volatility(value, 100.0, 110.0, 0.25, 0.05, True, IvLimits(max_iterations=1))
    assert (stopped.status, stopped.iterations) == (IvStatus.NO_CONVERGENCE, 1)
    assert math.isnan(stopped.iv)
    assert solve_one(value, IvLimits(max_iterations=5))[0] == pytest.approx(0.2, rel=1e-14)


def test_a_finer_tolerance_takes_more_steps_and_the_coarsest_is_still_exact() -> None:
    iv = np.geomspace(0.05, 4.0, 200)
    values = price(100.0, 130.0, 0.5, 0.05, iv, True)
    coarse = implied_volatility(values, 100.0, 130.0, 0.5, 0.05, True, IvLimits(tolerance=0.1))
    fine = implied_volatility(values, 100.0, 130.0, 0.5, 0.05, True, IvLimits(tolerance=1e-14))
    assert fine.iterations.sum() > coarse.iterations.sum()
    assert coarse.iv == pytest.approx(iv, rel=1e-10)
    assert fine.iv == pytest.approx(iv, rel=1e-13)


@pytest.mark.parametrize(
    "changes", [{"minimum": -0.1}, {"minimum": 5.0}, {"tolerance": 0.0}, {"tolerance": math.nan}, {"max_iterations": 0}]
)
def test_limits_that_cannot_be_are_refused_by_name(changes: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="IV_"):
        IvLimits(**changes)


def test_the_shape_is_that_of_the_arguments() -> None:
    found = implied_volatility(np.full((2, 1), 3.0), 100.0, np.array([100.0, 105.0, 110.0]), 0.5, 0.05, True)
    assert found.iv.shape == found.status.shape == found.iterations.shape == (2, 3)
    assert found.status.dtype == np.int8

"""Prices against an integral that knows no d1, and at every border of the domain."""

import math

import numpy as np
import pytest
from mpmath import exp, log, mp, mpf, npdf, quad, sqrt

from zerogex.pricing.black_scholes import _price_rows, log_moneyness, otm_share, price


def exact_price(forward: float, strike: float, years: float, rate: float, iv: float, is_call: bool) -> float:
    """The discounted mean of the payoff over the lognormal settlement price, by quadrature."""
    with mp.workdps(40):
        f, k, s = mpf(forward), mpf(strike), mpf(iv) * sqrt(mpf(years))
        kink = (log(k / f) + s * s / 2) / s
        sign = 1 if is_call else -1
        edges = [kink, kink + 1, kink + 4, kink + 16, kink + 50] if is_call else [kink - 50, kink - 16, kink - 4, kink]
        mean = quad(lambda z: sign * (f * exp(s * z - s * s / 2) - k) * npdf(z), edges)
        return float(exp(-mpf(rate) * mpf(years)) * mean)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(
    ("forward", "strike", "years", "rate", "iv"),
    [
        (100, 100, 1.0, 0.05, 0.2),
        (4711.3, 4700, 14 / 365, 0.053, 0.12),
        (100, 160, 0.1, 0.03, 0.15),  # 1e-23 of a dollar
        (100, 40, 2.0, -0.01, 0.6),
        (6000.4, 6010, 2 / 8760, 0.043, 0.11),
        (50, 50.001, 1e-6, 0.04, 0.3),  # half a minute
        (100, 120, 5.0, 0.02, 2.5),
    ],
)
def test_a_price_is_the_discounted_mean_of_the_payoff(
    forward: float, strike: float, years: float, rate: float, iv: float, is_call: bool
) -> None:
    expected = exact_price(forward, strike, years, rate, iv, is_call)
    assert price(forward, strike, years, rate, iv, is_call) == pytest.approx(expected, rel=2e-13)


def test_a_price_without_time_or_volatility_is_the_discounted_intrinsic_value() -> None:
    strike = np.array([90.0, 100.0, 110.0])
    assert price(100.0, strike, 0.0, 0.05, 0.2, True).tolist() == [10.0, 0.0, 0.0]
    waiting = price(100.0, strike, 2.0, 0.05, 0.0, False)
    assert waiting.tolist() == [0.0, 0.0, 10.0 * math.exp(-0.1)]


def test_endless_volatility_makes_a_call_worth_the_forward_and_a_put_the_strike() -> None:
    assert price(100.0, 80.0, 1.0, 0.0, 1e6, [True, False]).tolist() == [100.0, 80.0]


@pytest.mark.parametrize(
    "bad",
    [
        {"forward": math.nan}, {"strike": math.nan}, {"years": math.nan}, {"rate": math.nan}, {"iv": math.nan},
        {"forward": 0.0}, {"forward": math.inf}, {"strike": -1.0}, {"years": -1e-9}, {"iv": -0.1},
    ],
)  # fmt: skip
def test_nonsense_in_is_nan_out(bad: dict[str, float]) -> None:
    good = {"forward": 100.0, "strike": 100.0, "years": 0.5, "rate": 0.05, "iv": 0.2}
    assert np.isnan(price(**{**good, **bad}, is_call=True))


def test_arguments_broadcast_to_a_common_shape() -> None:
    strikes, kinds = np.array([[95.0], [105.0]]), np.array([True, False, True])
    values = price(100.0, strikes, 0.25, 0.05, 0.2, kinds)
    assert values.shape == (2, 3)
    assert values[1, 1] == price(100.0, 105.0, 0.25, 0.05, 0.2, False)
    assert price(100.0, 95.0, 0.25, 0.05, 0.2, True).shape == ()


def test_the_smallest_premium_keeps_its_digits() -> None:
    with mp.workdps(60):
        x, s = mpf(2), mpf("0.06")
        d1, d2 = -x / s + s / 2, -x / s - s / 2
        expected = mp.ncdf(d1) - exp(x) * mp.ncdf(d2)
    share = otm_share(2.0, 0.06)
    assert 0.0 < share < 1e-240
    assert share == pytest.approx(float(expected), rel=1e-12)


def test_the_logarithm_of_moneyness_is_exact_beside_the_forward() -> None:
    assert log_moneyness(100.0 + 1e-9, 100.0) == pytest.approx((100.0 + 1e-9 - 100.0) / 100.0, rel=1e-10)
    assert log_moneyness(10.0, 1000.0) == math.log(0.01)


def test_a_kernel_is_compiled_once_whatever_the_layout_of_its_arguments() -> None:
    values = np.linspace(90.0, 110.0, 12)
    frozen = values.copy()
    frozen.flags.writeable = False
    for forward in (values, frozen, values[::2], values.reshape(3, 4).T, [100], 100, np.float32(100)):
        price(forward, 100, 1, 0, 0.2, True)
    assert len(_price_rows.signatures) == 1

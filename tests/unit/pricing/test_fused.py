"""The vector pass: as exact as the search it replaces, whatever stands beside an option."""

import math

import numba
import numpy as np
import pytest
from mpmath import erfc, exp, log, mp, mpf, sqrt

from zerogex.domain.iv import IvStatus
from zerogex.pricing.black_scholes import price
from zerogex.pricing.branchless import exp_lane, log_lane, log_quotient_lane, mills_lane, rough_log_lane
from zerogex.pricing.fused import BLOCK, ImpliedGreeks, _lanes, implied_greeks
from zerogex.pricing.greeks import greeks
from zerogex.pricing.implied_vol import IvLimits, implied_volatility
from zerogex.pricing.normal import mills

GREEKS = ("delta", "gamma", "theta", "vega", "rho", "vanna", "charm", "vomma")
WIDE = IvLimits(minimum=1e-6, maximum=1e3)
INPUTS = ("price", "spot", "forward", "strike", "years", "rate", "is_call")


def market(count: int, seed: int = 7) -> dict[str, np.ndarray]:
    """Options from ten minutes to two years, both kinds, up to five deviations from the money, and their volatility."""
    random = np.random.default_rng(seed)
    years = np.exp(random.uniform(math.log(2e-5), math.log(2.0), count))
    rate = random.uniform(-0.01, 0.08, count)
    spot = np.exp(random.uniform(0.0, 9.0, count))
    forward = spot * np.exp((rate - random.uniform(0.0, 0.05, count)) * years)
    iv = np.exp(random.uniform(math.log(0.05), math.log(1.2), count))
    strike = forward * np.exp(random.uniform(-5.0, 5.0, count) * iv * np.sqrt(years))
    is_call = np.where(random.random(count) < 0.8, strike >= forward, strike < forward)
    return {
        "price": price(forward, strike, years, rate, iv, is_call), "spot": spot, "forward": forward, "strike": strike,
        "years": years, "rate": rate, "is_call": is_call, "iv": iv,
    }  # fmt: skip


def solve(rows: dict[str, np.ndarray], limits: IvLimits = WIDE) -> ImpliedGreeks:
    return implied_greeks(*(rows[name] for name in INPUTS), limits=limits)


def exact_volatility(x: float, share: float, near: float) -> float:
    """The deviation of a price share with forty digits, by Newton's method from a deviation near it."""
    with mp.workdps(40):
        s, m, target = mpf(near), mpf(x), mpf(share)
        for _ in range(6):
            d1, d2 = -m / s + s / 2, -m / s - s / 2
            value = erfc(-d1 / sqrt(2)) / 2 - exp(m) * erfc(-d2 / sqrt(2)) / 2
            s -= log(value / target) * value / (exp(-d1 * d1 / 2) / sqrt(2 * mp.pi))
        return float(s)


def test_volatilities_agree_with_forty_digits_to_one_in_ten_billion() -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        x, years = random.uniform(0.0, 1.0), 10.0 ** random.uniform(-4.0, 0.0)
        s = max(random.uniform(0.02, 1.5), x / 7.0)
        share = float(price(1.0, math.exp(x), 1.0, 0.0, s, True))
        found = implied_greeks(share, 1.0, 1.0, math.exp(x), years, 0.0, True, limits=WIDE)
        exact = exact_volatility(float(mp.log(mpf(math.exp(x)))), share, s) / math.sqrt(years)
        assert found.status == IvStatus.CONVERGED
        assert abs(float(found.iv) - exact) <= 1e-10


def test_volatilities_agree_with_the_exact_search_wherever_the_price_determines_them() -> None:
    rows = market(4000)
    found = solve(rows)
    exact = implied_volatility(*(rows[name] for name in INPUTS if name != "spot"), limits=WIDE)
    assert (found.status == exact.status).all()
    fine = exact.status == IvStatus.CONVERGED
    assert fine.mean() > 0.95
    # one rounding of the undiscounted price moves an in-the-money volatility by this much
    vega = found.greeks.vega[fine]
    doubt = 1e-15 * (rows["price"] + np.abs(rows["forward"] - rows["strike"]))[fine] / vega
    assert (np.abs(found.iv - exact.iv)[fine] <= 1e-12 + 4.0 * doubt).all()


def test_greeks_agree_with_those_of_the_found_volatility() -> None:
    rows = market(4000)
    found = solve(rows)
    fine = found.status == IvStatus.CONVERGED
    expected = greeks(*(rows[name] for name in INPUTS[1:6]), np.where(fine, found.iv, np.nan), rows["is_call"])
    steep = 1e-12 + 1e-14 / (found.iv * np.sqrt(rows["years"]))  # of d1, where strike and forward nearly agree
    for name in GREEKS:
        ours, theirs = getattr(found.greeks, name)[fine], getattr(expected, name)[fine]
        scale = np.abs(theirs)
        if name == "delta":
            scale = np.ones_like(scale)
        if name == "theta":
            scale = scale + (rows["strike"] * np.abs(rows["rate"]) + rows["spot"] * 0.1)[fine]
        if name in ("rho", "charm", "vanna", "vomma"):  # differences of larger terms
            scale = scale + np.abs(expected.vega / rows["spot"])[fine] * {
                "rho": rows["strike"], "vanna": 1.0 / found.iv, "vomma": rows["spot"] / found.iv,
                "charm": 1.0 / (found.iv * rows["years"]),
            }[name][fine]  # fmt: skip
        assert (np.abs(ours - theirs) <= 30.0 * steep[fine] * scale + 1e-300).all(), name


def test_an_option_has_the_same_answer_in_any_batch() -> None:
    rows = market(3 * BLOCK + 17)
    rows["price"][::11] = np.nan
    whole = solve(rows)
    random = np.random.default_rng(3)
    for size in (1, 2, 7, BLOCK, BLOCK + 1):
        chosen = random.permutation(len(rows["price"]))[:size]
        part = solve({name: column[chosen] for name, column in rows.items()})
        assert (part.status == whole.status[chosen]).all()
        assert np.array_equal(part.iv, whole.iv[chosen], equal_nan=True)
        for name in GREEKS:
            assert np.array_equal(getattr(part.greeks, name), getattr(whole.greeks, name)[chosen], equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"price": math.nan}, IvStatus.NO_QUOTE),
        ({"price": 0.0}, IvStatus.NO_QUOTE),
        ({"price": 100.0}, IvStatus.ABOVE_MAXIMUM),
        ({"years": 0.0}, IvStatus.EXPIRED),
        ({"years": -1.0}, IvStatus.EXPIRED),
        ({"strike": 90.0}, IvStatus.BELOW_INTRINSIC),
        ({"strike": -1.0}, IvStatus.BAD_INPUT),
        ({"rate": math.inf}, IvStatus.BAD_INPUT),
        ({"forward": math.nan}, IvStatus.BAD_INPUT),
        ({"strike": 100.0, "price": 1e-9}, IvStatus.BELOW_IV_MIN),
        ({"strike": 100.0, "price": 99.99999}, IvStatus.ABOVE_IV_MAX),
    ],
)
def test_what_has_no_volatility_says_why_and_carries_no_number(changes: dict[str, float], status: IvStatus) -> None:
    terms = {"price": 2.0, "spot": 100.0, "forward": 100.0, "strike": 105.0, "years": 0.25, "rate": 0.0, **changes}
    found = implied_greeks(*terms.values(), is_call=True)
    assert IvStatus(int(found.status)) is status
    assert np.isnan(found.iv)
    assert all(np.isnan(getattr(found.greeks, name)) for name in GREEKS)


def test_without_a_spot_there_is_a_volatility_and_no_greek() -> None:
    found = implied_greeks(2.0, math.nan, 100.0, 105.0, 0.25, 0.0, True)
    assert found.status == IvStatus.CONVERGED
    assert np.isnan(found.greeks.delta)


@pytest.mark.parametrize("iv", [3.0, 9.0])
def test_terms_outside_the_pass_are_served_by_the_search(iv: float) -> None:
    value = float(price(100.0, 130.0, 1.0, 0.0, iv, True))
    found = implied_greeks(value, 100.0, 100.0, 130.0, 1.0, 0.0, True, limits=WIDE)
    assert float(found.iv) == pytest.approx(iv, rel=1e-12)
    assert float(found.greeks.gamma) == pytest.approx(float(greeks(100, 100, 130, 1, 0, iv, True).gamma), rel=1e-9)


def test_shapes_broadcast_and_nothing_comes_of_nothing() -> None:
    found = implied_greeks(np.full((3, 1), 2.0), 100.0, 100.0, np.array([100.0, 105.0]), 0.25, 0.0, True)
    assert found.iv.shape == found.greeks.vomma.shape == (3, 2)
    assert implied_greeks([], 1, 1, 1, 1, 0, True).iv.shape == (0,)


def test_the_pass_compiles_to_vector_instructions() -> None:
    # compiled anew: what comes from the cache does not show its assembly
    fresh = numba.njit(error_model="numpy", fastmath={"contract"})(_lanes.py_func)
    fresh.compile((numba.float64[::1],))
    code = "".join(fresh.inspect_asm().values())
    if "divpd" not in code and "divsd" not in code:
        pytest.skip("this processor's assembly is not read here")
    assert code.count("divpd") > code.count("divsd")


def test_elementary_functions_are_exact_on_their_ranges() -> None:
    for z in np.linspace(-690.0, 690.0, 231):
        assert exp_lane(z) == pytest.approx(math.exp(z), rel=4e-16 + 1e-16)
    for z in 10.0 ** np.linspace(-280.0, 280.0, 231):
        assert log_lane(z) == pytest.approx(math.log(z), rel=4e-16, abs=3e-16)
        assert rough_log_lane(max(z, 1.0)) == pytest.approx(math.log(max(z, 1.0)), rel=1e-6)
    for u in np.linspace(0.0, 39.0, 231):
        assert mills_lane(u) == pytest.approx(mills(u), rel=1e-15)
    close = 100.0 * (1 + 1e-13)
    assert log_quotient_lane(close, 100.0, close / 100.0) == pytest.approx(
        math.log1p((close - 100.0) / 100.0), rel=1e-15
    )

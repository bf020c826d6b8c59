"""Laws that hold for every option, whatever its numbers."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zerogex.domain.iv import IvStatus
from zerogex.pricing.black_scholes import price
from zerogex.pricing.greeks import carry_forward, greeks, greeks_of_spot
from zerogex.pricing.implied_vol import IvLimits, implied_volatility

EPSILON = 2.220446049250313e-16
WIDE = IvLimits(minimum=0.0, maximum=1e9)

spots = st.floats(0.5, 20_000.0)
moneyness = st.floats(-1.5, 1.5)
years = st.floats(1e-7, 8.0)
rates = st.floats(-0.03, 0.15)
dividends = st.floats(-0.02, 0.10)
ivs = st.floats(0.01, 5.0)


@given(spots, moneyness, years, rates, ivs, st.booleans())
@settings(max_examples=400)
def test_price_to_volatility_to_price_is_the_identity(spot, x, t, rate, iv, is_call) -> None:
    strike = spot * math.exp(x)
    value = float(price(spot, strike, t, rate, iv, is_call))
    found = implied_volatility(value, spot, strike, t, rate, is_call, WIDE)
    discount = math.exp(-rate * t)
    time_value = value / discount - max(spot - strike if is_call else strike - spot, 0.0)
    if found.status in (IvStatus.NO_QUOTE, IvStatus.BELOW_INTRINSIC):
        assert time_value <= 4 * EPSILON * value / discount or value == 0.0
        return
    ceiling = spot if is_call else strike
    if found.status == IvStatus.ABOVE_MAXIMUM:
        assert value / discount >= ceiling * (1 - 16 * EPSILON)
        return
    assert found.status == IvStatus.CONVERGED
    again = float(price(spot, strike, t, rate, found.iv, is_call))
    # the rounding of the larger of price and strike is all that may be lost on the way
    assert math.isclose(again, value, rel_tol=1e-12, abs_tol=16 * EPSILON * max(value, ceiling * discount))


@given(spots, moneyness, years, rates, ivs)
def test_a_call_less_a_put_is_the_discounted_forward_less_the_strike(spot, x, t, rate, iv) -> None:
    strike = spot * math.exp(x)
    call, put = price(spot, strike, t, rate, iv, [True, False])
    assert math.isclose(
        call - put, math.exp(-rate * t) * (spot - strike), rel_tol=1e-12, abs_tol=4 * EPSILON * (call + put)
    )


@given(spots, moneyness, years, rates, ivs, st.floats(1.0, 3.0), st.booleans())
def test_more_volatility_is_never_worth_less(spot, x, t, rate, iv, factor, is_call) -> None:
    low, high = price(spot, spot * math.exp(x), t, rate, [iv, iv * factor], is_call)
    assert high >= low * (1 - 4 * EPSILON)


@given(spots, moneyness, years, rates, ivs, st.booleans())
def test_a_price_lies_between_intrinsic_value_and_what_it_is_written_on(spot, x, t, rate, iv, is_call) -> None:
    strike = spot * math.exp(x)
    value, discount = float(price(spot, strike, t, rate, iv, is_call)), math.exp(-rate * t)
    assert value >= discount * max(spot - strike if is_call else strike - spot, 0.0)
    assert value <= discount * (spot if is_call else strike) * (1 + 4 * EPSILON)


@given(spots, moneyness, years, rates, dividends, ivs)
def test_call_and_put_differ_only_by_the_forward_they_hold(spot, x, t, rate, dividend, iv) -> None:
    strike = spot * math.exp(x)
    both = greeks_of_spot(spot, strike, t, rate, dividend, iv, np.array([True, False]))
    for name in ("gamma", "vega", "vanna", "vomma"):
        call, put = getattr(both, name)
        assert call == put, name
    carry, discount = math.exp(-dividend * t), math.exp(-rate * t)
    close = {"rel_tol": 1e-9, "abs_tol": 1e-11 * max(1.0, float(np.abs(both.charm).max()))}
    assert math.isclose(both.delta[0] - both.delta[1], carry, rel_tol=1e-11)
    assert math.isclose(both.charm[0] - both.charm[1], dividend * carry, **close)
    assert math.isclose(both.rho[0] - both.rho[1], strike * t * discount, rel_tol=1e-11)


@given(spots, moneyness, years, rates, dividends, ivs, st.booleans())
def test_the_price_obeys_the_black_scholes_equation(spot, x, t, rate, dividend, iv, is_call) -> None:
    found = greeks_of_spot(spot, spot * math.exp(x), t, rate, dividend, iv, is_call)
    growth = 0.5 * iv**2 * spot**2 * found.gamma
    carry = (rate - dividend) * spot * found.delta
    terms = (float(found.theta), float(growth), float(carry), float(-rate * found.price))
    assert abs(sum(terms)) <= 1e-9 * max(map(abs, terms)) + 1e-300


@given(spots, moneyness, rates, dividends, ivs, st.booleans())
def test_value_and_slope_approach_their_limits_at_expiry(spot, x, rate, dividend, iv, is_call) -> None:
    strike = spot * math.exp(x if abs(x) > 1e-3 else 0.01)
    soon = greeks_of_spot(spot, strike, 1e-12, rate, dividend, iv, is_call)
    settled = greeks_of_spot(spot, strike, 0.0, rate, dividend, iv, is_call)
    assert math.isclose(soon.price, settled.price, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(soon.delta, settled.delta, rel_tol=1e-9, abs_tol=1e-9)
    assert settled.gamma == settled.vega == 0.0


@given(spots, moneyness, years, rates, dividends, ivs, st.booleans())
def test_a_stored_row_recomputes_to_the_last_bit(spot, x, t, rate, dividend, iv, is_call) -> None:
    strike, forward = spot * math.exp(x), float(carry_forward(spot, t, rate, dividend))
    alone = greeks(spot, forward, strike, t, rate, iv, is_call)
    among_others = greeks(spot, forward, [strike, strike * 1.1, strike], t, rate, [iv, 0.3, iv], is_call)
    assert among_others.gamma[0] == among_others.gamma[2] == alone.gamma

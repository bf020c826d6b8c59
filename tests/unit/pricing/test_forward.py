"""The forward that quotes agree on, and how hard it is to fool."""

import math

import numpy as np
import pytest

from zerogex.pricing.black_scholes import price
from zerogex.pricing.forward import parity_forward

SPOT, FORWARD, YEARS, RATE = 4697.24, 4711.87, 30 / 365, 0.0535
Quotes = dict[str, np.ndarray]


def market(width: float = 0.2, strikes: np.ndarray | None = None) -> Quotes:
    """Quotes around Black's prices with a skew; wider in the money, on a five-cent grid."""
    strike = np.arange(4300.0, 5100.0, 5.0) if strikes is None else strikes
    iv = 0.12 - 0.8 * np.log(strike / FORWARD)
    quotes: Quotes = {"strike": strike}
    for name, is_call in (("call", True), ("put", False)):
        mid = price(FORWARD, strike, YEARS, RATE, np.maximum(iv, 0.06), is_call)
        half = width + 0.002 * mid
        quotes[f"{name}_bid"] = np.floor((mid - half) * 20) / 20
        quotes[f"{name}_ask"] = np.ceil((mid + half) * 20) / 20
    return quotes


def solve(quotes: Quotes, **changes: float) -> tuple[float, int]:
    return parity_forward(**quotes, **{"years": YEARS, "rate": RATE, "spot": SPOT, **changes})


def test_the_forward_of_honest_quotes_is_found_within_a_tick() -> None:
    forward, pairs = solve(market())
    assert forward == pytest.approx(FORWARD, abs=0.05)
    assert pairs > 100


def test_the_order_of_the_strikes_does_not_matter() -> None:
    quotes = market()
    shuffled = np.random.default_rng(1).permutation(len(quotes["strike"]))
    assert solve({name: column[shuffled] for name, column in quotes.items()}) == solve(quotes)


def test_a_third_of_the_strikes_quoting_nonsense_moves_nothing() -> None:
    quotes = market()
    for name in ("call_bid", "call_ask"):
        quotes[name] = quotes[name].copy()
        quotes[name][::3] += 40.0
    assert solve(quotes)[0] == pytest.approx(FORWARD, abs=0.3)


def test_crossed_one_sided_and_missing_quotes_do_not_vote() -> None:
    quotes = market(strikes=np.array([4690.0, 4700.0, 4710.0, 4720.0, 4730.0]))
    assert solve(quotes)[1] == 5
    quotes["call_bid"][0] = quotes["call_ask"][0] + 1.0
    quotes["put_bid"][1] = 0.0
    quotes["call_ask"][2] = math.nan
    forward, pairs = solve(quotes)
    assert pairs == 2
    assert forward == pytest.approx(FORWARD, abs=0.2)


def test_a_far_strike_quoted_as_if_it_were_at_the_money_is_outvoted() -> None:
    quotes = market()
    for name, value in (("call_bid", 0.05), ("call_ask", 0.06), ("put_bid", 0.05), ("put_ask", 0.06)):
        quotes[name][3] = value
    assert solve(quotes)[0] == pytest.approx(FORWARD, abs=0.05)


def test_a_quote_wider_than_half_of_its_premium_does_not_vote() -> None:
    quotes = market(strikes=np.arange(4650.0, 4780.0, 5.0))
    for name in ("call_bid", "put_bid"):
        quotes[name][:20] *= 0.2
    assert solve(quotes)[1] == 6


def test_one_strike_alone_is_no_witness() -> None:
    forward, pairs = solve(market(strikes=np.array([4710.0])))
    assert math.isnan(forward)
    assert pairs == 1


def test_quotes_absurd_against_spot_are_refused() -> None:
    assert solve(market(), spot=400.0) == (pytest.approx(math.nan, nan_ok=True), 0)


def test_strikes_that_contradict_one_another_name_no_forward() -> None:
    quotes = market(width=0.02, strikes=np.arange(4600.0, 4800.0, 10.0))
    shift = np.linspace(-90.0, 90.0, 20)
    quotes["call_bid"] = np.maximum(quotes["call_bid"] + shift, 0.05)
    quotes["call_ask"] = quotes["call_bid"] + 0.05
    assert math.isnan(solve(quotes)[0])


def test_a_volatility_index_is_forwarded_to_its_future_and_not_to_its_spot() -> None:
    strike = np.arange(10.0, 40.0, 1.0)
    call, put = price(21.5, strike, 0.1, RATE, 0.9, True), price(21.5, strike, 0.1, RATE, 0.9, False)
    forward, _ = parity_forward(strike, call - 0.05, call + 0.05, put - 0.05, put + 0.05, 0.1, RATE, 17.0)
    assert forward == pytest.approx(21.5, abs=0.01)


@pytest.mark.parametrize(
    "changes", [{"years": 0.0}, {"years": -1.0}, {"spot": 0.0}, {"spot": math.nan}, {"rate": math.nan}]
)
def test_without_time_or_spot_there_is_no_forward(changes: dict[str, float]) -> None:
    forward, pairs = solve(market(), **changes)
    assert math.isnan(forward)
    assert pairs == 0


def test_no_strikes_name_no_forward() -> None:
    assert math.isnan(solve(market(strikes=np.empty(0)))[0])

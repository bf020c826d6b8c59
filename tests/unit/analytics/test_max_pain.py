"""Max pain: exact, per (root, expiration), never pooled."""

from datetime import date

import numpy as np
import pytest

from zerogex.analytics.max_pain import max_pain, payouts

NEAR, FAR = date(2026, 1, 9), date(2026, 2, 20)


def by_definition(price: float, rows: list[tuple[str, float, int]]) -> float:
    """Dollars paid at one settlement price, contract by contract."""
    return sum(100 * n * max(price - k if kind == "C" else k - price, 0.0) for kind, k, n in rows)


@pytest.mark.parametrize("seed", range(5))
def test_running_sums_give_the_payout_of_the_definition(make_chain, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = [(kind, 80 + 0.5 * k, int(draw.integers(0, 900))) for k in range(60) for kind in "CP"]
    (answer,) = max_pain(make_chain(rows))
    paid = {strike: by_definition(strike, rows) for _, strike, _ in rows}
    assert answer.payout == min(paid.values())
    assert paid[answer.strike] == answer.payout
    assert answer.open_interest == sum(row[2] for row in rows)


def test_expirations_are_answered_apart_and_the_next_to_settle_first(make_chain) -> None:
    rows = [("C", 90, 500, {"expiration": FAR}), ("P", 92, 500, {"expiration": FAR}),
            ("C", 108, 500, {"expiration": NEAR}), ("P", 110, 500, {"expiration": NEAR})]  # fmt: skip
    near, far = max_pain(make_chain(rows))
    assert (near.expiration, near.strike) == (NEAR, 108.0)
    assert (far.expiration, far.strike) == (FAR, 92.0)


def test_of_equal_payouts_the_strike_nearest_to_spot_is_taken_then_the_lower(make_chain) -> None:
    rows = [("C", 105, 10), ("P", 95, 10), ("C", 98, 0), ("C", 102, 0)]
    (answer,) = max_pain(make_chain(rows, spot=101.0))
    assert (answer.strike, answer.payout) == (102.0, 0.0)
    (answer,) = max_pain(make_chain(rows, spot=100.0))
    assert answer.strike == 98.0


def test_a_strike_without_open_interest_may_be_the_answer(make_chain) -> None:
    rows = [("P", 95, 1000), ("C", 105, 1000), ("C", 100, 0)]
    assert max_pain(make_chain(rows))[0].strike == 100.0


def test_expirations_without_open_interest_have_no_answer(make_chain) -> None:
    assert max_pain(make_chain([("C", 100, 0), ("P", 100, 0)])) == ()


def test_settled_and_adjusted_contracts_have_no_part(make_chain) -> None:
    rows = [("C", 100, 10), ("C", 100, 10, {"expiration": date(2026, 1, 2)}), ("P", 50, 9999, {"root": "SPY1"})]
    (answer,) = max_pain(make_chain(rows))
    assert (answer.root, answer.expiration, answer.open_interest) == ("SPY", NEAR, 10)


def test_two_rows_on_one_strike_are_one_candidate(make_chain) -> None:
    rows = [("C", 100, 10), ("P", 110, 40), ("C", 100, 30), ("P", 110, 2)]
    whole = [("C", 100, 40), ("P", 110, 42)]
    assert max_pain(make_chain(rows)) == max_pain(make_chain(whole))


def test_the_payout_of_one_strike_is_zero() -> None:
    assert payouts(np.array([100.0]), np.array([500.0]), np.array([300.0])).tolist() == [0.0]

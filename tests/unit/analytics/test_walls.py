"""Walls stand at strikes; gross, net, open interest and volume are four different questions."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.analytics.walls import wall
from zerogex.domain.exposure import DealerModel

ROWS = [
    ("C", 95, 90000), ("C", 100, 3000, {"volume": 10}), ("C", 105, 9000, {"volume": 400}), ("C", 110, 2000),
    ("P", 90, 6000, {"volume": 5}), ("P", 95, 8000, {"volume": 70}), ("P", 100, 2500, {"volume": 90}),
    ("P", 105, 99000),
]  # fmt: skip


def test_the_call_wall_is_at_or_above_spot_and_the_put_wall_at_or_below(make_chain) -> None:
    levels = analyze(make_chain(ROWS)).levels
    assert levels.call_wall is not None
    assert levels.put_wall is not None
    assert levels.call_wall.strike >= 100 >= levels.put_wall.strike
    assert (levels.call_wall.gex > 0, levels.put_wall.gex < 0) == (True, True)


def test_a_strike_exactly_at_spot_may_be_both_walls(make_chain) -> None:
    levels = analyze(make_chain([("C", 100, 50), ("P", 100, 80), ("C", 110, 1), ("P", 90, 1)])).levels
    assert levels.call_wall is not None
    assert levels.put_wall is not None
    assert levels.call_wall.strike == levels.put_wall.strike == 100


def test_max_gamma_sums_a_strike_over_its_expirations(make_chain) -> None:
    """Two moderate expirations at 105 outweigh the largest single (strike, expiration) at 100."""
    days = [date(2026, 3, 20), date(2026, 3, 27)]
    rows = [("C", 105, 1000, {"expiration": day}) for day in days] + [("C", 100, 1400, {"expiration": days[0]})]
    rows += [("P", 90, 1, {"expiration": days[0]})]
    answer = analyze(make_chain(rows))
    largest = max(answer.by_cell.rows(), key=lambda row: row["net_gex"])
    assert largest["strike"] == 100
    assert answer.levels.max_gamma is not None
    assert answer.levels.max_gamma.strike == 105


def test_net_open_interest_and_volume_walls_have_their_own_names(make_chain) -> None:
    variants = analyze(make_chain(ROWS)).levels.variants
    assert set(variants) == {
        f"{side}_wall_{what}" for side in ("call", "put") for what in ("net", "oi", "volume")
    }  # fmt: skip
    found = {name: each.strike for name, each in variants.items() if each}
    assert found == {
        "call_wall_net": 100.0, "call_wall_oi": 105.0, "call_wall_volume": 105.0,
        "put_wall_net": 90.0, "put_wall_oi": 95.0, "put_wall_volume": 100.0,
    }  # fmt: skip
    assert variants["call_wall_oi"].gex == 9000.0


def test_share_and_margin_are_shares_of_size() -> None:
    strike, size = np.array([90.0, 100.0, 110.0, 120.0]), np.array([40.0, 10.0, 30.0, 20.0])
    found = wall(strike, 100.0, size, size, strike >= 100)
    assert found is not None
    assert (found.strike, found.share) == (110.0, 0.3)
    assert found.margin == pytest.approx(1 / 3)


def test_a_wall_without_a_rival_leads_by_all_of_itself() -> None:
    found = wall(np.array([100.0]), 100.0, np.array([-5.0]), np.array([5.0]), np.array([True]))
    assert found is not None
    assert (found.gex, found.share, found.margin) == (-5.0, 1.0, 1.0)


def test_of_equal_strikes_the_nearest_to_spot_is_the_wall() -> None:
    strike, size = np.array([101.0, 103.0, 105.0]), np.array([7.0, 9.0, 9.0])
    found = wall(strike, 100.0, size, size, np.ones(3, bool))
    assert found is not None
    assert (found.strike, found.margin) == (103.0, 0.0)


def test_nothing_on_a_side_is_no_wall_there(make_chain) -> None:
    levels = analyze(make_chain([("C", 105, 100), ("C", 110, 50)])).levels
    assert levels.put_wall is None
    assert levels.variants["put_wall_oi"] is None
    assert levels.variants["put_wall_net"] is None


@pytest.mark.parametrize("model", DealerModel)
def test_gross_walls_do_not_depend_on_who_holds_what(make_chain, model: DealerModel) -> None:
    chain = make_chain(ROWS)
    naive, other = analyze(chain).levels, analyze(chain, AnalysisConfig(dealer_model=model)).levels
    for name in ("call_wall", "put_wall"):
        one, two = getattr(naive, name), getattr(other, name)
        assert (one.strike, one.share, one.margin) == (two.strike, two.share, two.margin)
        assert abs(one.gex) == abs(two.gex)


def test_walls_do_not_depend_on_the_size_of_the_symbol(make_chain) -> None:
    chain = make_chain(ROWS)
    index = replace(chain, spot=7000.0, strike=chain.strike * 70, forward=chain.forward * 70)
    one, two = analyze(chain).levels, analyze(index).levels
    assert one.call_wall is not None
    assert two.call_wall is not None
    assert two.call_wall.strike == 70 * one.call_wall.strike
    assert two.call_wall.margin == pytest.approx(one.call_wall.margin, rel=1e-9)

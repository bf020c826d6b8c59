"""The gamma flip: found where the curve changes sign, and silent, with a reason, where it does not."""

import math

import numpy as np
import pytest

from zerogex.analytics.levels import Curve, gamma_flip, search_curve
from zerogex.domain.exposure import FlipStatus
from zerogex.pricing.repricing import GammaBook, gamma_book, net_gex_at

SPOT = 100.0


def book(*positions: tuple[float, float, float], iv: float = 0.2) -> GammaBook:
    """(strike, signed contracts, days to settlement) as a book without carry."""
    strike, contracts, days = (np.array(column, float) for column in zip(*positions, strict=True))
    full = np.ones(len(positions))
    return gamma_book(SPOT, SPOT * full, strike, days / 365.0, 0.0 * full, iv * full, 100.0 * contracts)


def test_puts_below_and_calls_above_give_one_resolved_flip() -> None:
    positions = book((95, -1000, 10), (105, 1000, 10))
    flip = gamma_flip(positions, 0.15)
    assert flip.status is FlipStatus.RESOLVED
    assert flip.reason is None
    assert flip.price is not None
    assert 95 < flip.price < 105
    assert abs(net_gex_at(positions, flip.price)[0]) < 1e-9 * abs(net_gex_at(positions, 105.0)[0])
    assert flip.crossings[0].slope > 0


def test_the_flip_of_two_equal_strikes_is_known_in_closed_form() -> None:
    """Equal positions, time and volatility: the bells meet where d1 of one is minus d1 of the other."""
    years, iv = 10 / 365, 0.2
    flip = gamma_flip(book((95, -1000, 10), (105, 1000, 10)), 0.15)
    assert flip.price == pytest.approx(math.sqrt(95 * 105) * math.exp(-0.5 * iv * iv * years), rel=1e-12)


@pytest.mark.parametrize(
    ("contracts", "status", "word"),
    [(500.0, FlipStatus.NONE_POSITIVE, "above zero"), (-500.0, FlipStatus.NONE_NEGATIVE, "below zero")],
)
def test_one_sign_everywhere_is_no_flip(contracts: float, status: FlipStatus, word: str) -> None:
    flip = gamma_flip(book((98, contracts, 20), (103, contracts, 40)), 0.15)
    assert (flip.price, flip.status, flip.crossings) == (None, status, ())
    assert flip.reason is not None
    assert word in flip.reason


def test_several_changes_are_all_listed_and_the_nearest_to_spot_is_the_flip() -> None:
    flip = gamma_flip(book((90, -900, 5), (97, 800, 5), (104, -900, 5), (111, 800, 5), iv=0.15), 0.15)
    assert flip.status is FlipStatus.MULTIPLE
    prices = [each.price for each in flip.crossings]
    assert prices == sorted(prices)
    assert len(prices) == 3
    assert flip.price == min(prices, key=lambda price: abs(price - SPOT))
    assert [each.slope > 0 for each in flip.crossings] == [True, False, True]


def test_a_ripple_is_listed_but_is_not_the_flip() -> None:
    """A tiny opposite position, minutes from settlement, dents the curve near spot; the regime is elsewhere."""
    dent = (100.3, -20, 0.002)
    positions = book((90, -1000, 30), (99, 1000, 30), (103, 1000, 30), dent)
    flip = gamma_flip(positions, 0.15)
    ripples = [each for each in flip.crossings if not each.structural]
    assert len(ripples) == 2
    assert all(abs(each.price - 100.3) < 0.1 for each in ripples)
    assert flip.status is FlipStatus.MULTIPLE
    assert flip.price is not None
    assert flip.price < 96
    assert "2 of them ripples" in (flip.reason or "")


def test_only_ripples_leave_the_sign_of_the_whole() -> None:
    flip = gamma_flip(book((99, 1000, 30), (103, 1000, 30), (100.3, -20, 0.002)), 0.15)
    assert (flip.price, flip.status) == (None, FlipStatus.NONE_POSITIVE)
    assert len(flip.crossings) == 2
    assert "ripples" in (flip.reason or "")


def test_a_spot_inside_a_dent_is_told_so() -> None:
    """The sign of net GEX at spot and the side of the flip agree, even in a lobe too small to matter elsewhere."""
    positions = book((99, 1000, 30), (103, 1000, 30), (100.0, -20, 0.002))
    assert net_gex_at(positions, SPOT)[0] < 0
    flip = gamma_flip(positions, 0.15)
    assert flip.price is not None
    nearest = min(flip.crossings, key=lambda each: abs(each.price - SPOT))
    assert flip.price == nearest.price
    assert nearest.structural


def test_a_change_at_the_border_is_no_level() -> None:
    """Equal bells change sign at their geometric mean; this one lies a hair inside the searched range."""
    positions = book((100, -1000, 20), (114.95**2 / 100, 1000, 20))
    flip = gamma_flip(positions, 0.15)
    assert (flip.price, flip.status) == (None, FlipStatus.EDGE)
    assert len(flip.crossings) == 1
    assert gamma_flip(positions, 0.20).status is FlipStatus.RESOLVED


def test_ripples_of_the_last_minute_near_spot_are_found_strike_by_strike() -> None:
    strikes = [97 + 0.5 * k for k in range(13)]
    flip = gamma_flip(book(*[(k, 100 if n % 2 else -100, 0.01) for n, k in enumerate(strikes)]), 0.15)
    assert len(flip.crossings) == 12


def test_too_little_coverage_gives_no_flip_but_shows_what_was_seen() -> None:
    flip = gamma_flip(book((95, -1000, 10), (105, 1000, 10)), 0.15, coverage_pct=30.0)
    assert (flip.price, flip.status) == (None, FlipStatus.LOW_COVERAGE)
    assert len(flip.crossings) == 1
    assert "30 %" in (flip.reason or "")


def test_no_position_at_all_says_so() -> None:
    nothing = np.empty(0)
    flip = gamma_flip(gamma_book(SPOT, *[nothing] * 6), 0.15)
    assert (flip.price, flip.status) == (None, FlipStatus.LOW_COVERAGE)
    assert flip.reason


def test_the_headlines_sign_rules_at_spot() -> None:
    """Where rounding gives the curve another sign at spot than the headline, the headline's is used."""
    positions = book((95, -1000, 10), (105, 1000, 10))
    assert search_curve(positions, 0.15, net_at_spot=123.0).gex[search_curve(positions, 0.15).middle] == 123.0


def test_values_below_the_rounding_of_the_sum_have_no_sign() -> None:
    curve = Curve(np.array([-0.1, 0.0, 0.1, 0.2]), np.array([-1.0, 1e-30, 1e-14, 1.0]), middle=1)
    assert curve.sign().tolist() == [-1, 1, 0, 1]


def test_the_search_grid_is_ascending_holds_spot_and_covers_the_range() -> None:
    for reach in (0.005, 0.15, 0.5):
        curve = search_curve(book((95, -1000, 10), (105, 1000, 10)), reach)
        assert np.all(np.diff(curve.u) > 0)
        assert curve.u[curve.middle] == 0.0
        assert curve.u[0] <= math.log1p(-reach) + 1e-12
        assert curve.u[-1] >= math.log1p(reach) - 1e-12


def test_a_last_change_with_nothing_beyond_it_is_a_ripple() -> None:
    flip = gamma_flip(book((101, 1e6, 4), (113, -10, 4)), 0.15)  # far above, a few contracts of the other sign
    assert [each.structural for each in flip.crossings] == [False]
    assert (flip.price, flip.status) == (None, FlipStatus.NONE_POSITIVE)

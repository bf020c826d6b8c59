"""The re-priced curve is the Black-Scholes-Merton gamma of every contract, moved to another spot."""

import math

import numpy as np
import pytest

from zerogex.domain.chain import Floats
from zerogex.pricing.greeks import greeks
from zerogex.pricing.repricing import GammaBook, gamma_book, net_gex_at, net_gex_on_grid

SPOT = 5000.0


class Positions:
    """A few hundred random positions, minutes to years from settlement."""

    def __init__(self, count: int = 400, seed: int = 7) -> None:
        draw = np.random.default_rng(seed)
        self.strike = SPOT * np.exp(draw.normal(0.0, 0.05, count))
        self.years = 10.0 ** draw.uniform(-5.5, 0.5, count)
        self.rate = np.full(count, 0.05)
        self.forward = SPOT * np.exp((0.05 - draw.uniform(0.0, 0.03, count)) * self.years)
        self.iv = draw.uniform(0.05, 0.8, count)
        self.shares = 100.0 * draw.integers(-5000, 5000, count)

    def book(self) -> GammaBook:
        return gamma_book(SPOT, self.forward, self.strike, self.years, self.rate, self.iv, self.shares)

    def by_greeks(self, spot: float) -> tuple[float, float]:
        """Net and gross exposure at a spot, by the Greeks' kernel on forwards moved in proportion."""
        gamma = greeks(
            spot, self.forward * spot / SPOT, self.strike, self.years, self.rate, self.iv, np.ones(len(self.iv), bool)
        ).gamma
        each = self.shares * gamma * spot * spot * 0.01
        return float(each.sum()), float(np.abs(each).sum())


@pytest.mark.parametrize("move", [-0.2, -0.03, -0.0004, 0.0, 0.01, 0.15])
def test_the_curve_is_the_greeks_kernel_at_every_spot(move: float) -> None:
    positions = Positions()
    net, gross = positions.by_greeks(SPOT * (1.0 + move))
    assert net_gex_at(positions.book(), SPOT * (1.0 + move))[0] == pytest.approx(net, abs=1e-12 * gross)


def test_a_grid_gives_what_single_spots_give() -> None:
    book, first, step, count = Positions().book(), -0.16, 0.0004, 801
    grid = net_gex_on_grid(book, first, step, count)
    spots = SPOT * np.exp(first + step * np.arange(count))
    single = np.array([net_gex_at(book, spot)[0] for spot in spots])
    gross = GammaBook(SPOT, book.center, book.width, np.abs(book.height))
    assert np.all(np.abs(grid - single) <= 1e-11 * net_gex_on_grid(gross, first, step, count))


def test_the_slope_is_the_derivative() -> None:
    book = Positions().book()
    for spot in (4800.0, 5000.0, 5123.0):
        step = 1e-3
        rise = (net_gex_at(book, spot + step)[0] - net_gex_at(book, spot - step)[0]) / (2 * step)
        assert net_gex_at(book, spot)[1] == pytest.approx(rise, rel=1e-5)


def one(strike: float, years: float, iv: float, shares: float = 100.0) -> GammaBook:
    column = np.array([1.0])
    return gamma_book(
        SPOT, SPOT * column, strike * column, years * column, 0.0 * column, iv * column, shares * column
    )  # fmt: skip


@pytest.mark.parametrize("seconds", [0.001, 1.0, 60.0])
def test_the_last_instants_of_a_contract_stay_finite(seconds: float) -> None:
    book = one(5000.5, seconds / (365 * 86_400), 0.1)
    grid = net_gex_on_grid(book, -0.15, 0.0001, 3001)
    assert np.all(np.isfinite(grid))
    assert np.all(grid >= 0.0)
    assert net_gex_at(book, 5000.5)[0] > 0.0


def test_a_strike_far_outside_the_grid_adds_only_its_tail() -> None:
    def tail(strike: float) -> Floats:
        return net_gex_on_grid(one(strike, 0.25, 0.2), -0.1, 0.01, 21)

    for strike in (4000.0, 6000.0):
        book = one(strike, 0.25, 0.2)
        single = [net_gex_at(book, SPOT * math.exp(-0.1 + 0.01 * j))[0] for j in range(21)]
        assert tail(strike) == pytest.approx(single, rel=1e-12)
    assert not tail(1e-6).any()
    assert not tail(1e9).any()


def test_a_call_and_a_put_on_one_strike_are_one_line() -> None:
    columns = [np.full(2, value) for value in (SPOT, 5100.0, 0.1, 0.05, 0.2)]
    book = gamma_book(SPOT, *columns, np.array([700.0, -200.0]))
    assert len(book) == 1
    alone = gamma_book(SPOT, *[column[:1] for column in columns], np.array([500.0]))
    assert net_gex_at(book, 5050.0) == pytest.approx(net_gex_at(alone, 5050.0), rel=1e-14)


def test_positions_that_cancel_leave_nothing() -> None:
    columns = [np.full(3, value) for value in (SPOT, 5100.0, 0.1, 0.05, 0.2)]
    assert len(gamma_book(SPOT, *columns, np.array([300.0, -100.0, -200.0]))) == 0


def test_an_empty_book_is_flat() -> None:
    nothing = np.empty(0)
    book = gamma_book(SPOT, *[nothing] * 6)
    assert net_gex_at(book, SPOT) == (0.0, 0.0)
    assert not net_gex_on_grid(book, -0.1, 0.01, 21).any()

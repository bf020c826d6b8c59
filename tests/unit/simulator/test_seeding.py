"""A chain file behind the market: kept, moved, and met."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import zerogex
from zerogex.app import read_chain
from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.errors import SettingsError
from zerogex.pricing.black_scholes import price
from zerogex.pricing.greeks import greeks
from zerogex.simulator import Market
from zerogex.simulator.noise import generator
from zerogex.simulator.surface import RATE

AS_OF = datetime(2026, 8, 18, 20, 15, tzinfo=UTC)  # after the close of a Tuesday
SPOT, CARRY = 640.0, 0.02
DATES = (date(2026, 8, 18), date(2026, 8, 19), date(2026, 8, 21), date(2026, 9, 18), date(2026, 12, 18))


def smile(strike: float, years: float) -> float:
    x = np.log(strike / SPOT) / np.sqrt(years)
    return float(0.16 + 0.2 * np.sqrt(0.02 + x * x) - 0.05 * x)


def file_chain(underlying: str = "SPY", root: str = "SPY") -> OptionChain:
    """A chain as a file brings it: quotes on a known smile and a known forward, invented positions."""
    contracts = [
        OptionContract(underlying, root, day, Decimal(strike), kind)
        for day in DATES for strike in range(560, 721, 5) for kind in (OptionKind.CALL, OptionKind.PUT)
    ]  # fmt: skip
    blank = build_chain(underlying, SPOT, AS_OF, contracts)
    years = np.maximum(blank.years, 0.0)
    iv = np.array([smile(k, t) if t > 0 else 0.0 for k, t in zip(blank.strike, years, strict=True)])
    mid = price(SPOT * np.exp(CARRY * years), blank.strike, years, RATE, iv, blank.is_call)
    random = generator("positions")
    return build_chain(
        underlying, SPOT, AS_OF, contracts, bid=np.maximum(mid - 0.01, 0.0), ask=mid + 0.01, iv=iv, last=mid,
        open_interest=random.integers(0, 5000, len(blank)), volume=random.integers(0, 900, len(blank)),
    )  # fmt: skip


CHAIN = file_chain()


def test_the_clock_starts_in_the_file_s_session_and_the_price_meets_its_spot() -> None:
    market = Market(7, None, [CHAIN])
    assert market.start_of([CHAIN]) == datetime(2026, 8, 18, 14, 0, tzinfo=UTC)
    assert market.price("SPY", market.seeds["SPY"].at) == SPOT
    assert market.seeds["SPY"].at == datetime(2026, 8, 18, 19, 59, 59, tzinfo=UTC)
    assert market.price("QQQ", AS_OF) == Market(7).price("QQQ", AS_OF)  # others are as they were


def test_positions_and_the_day_s_volume_are_the_file_s() -> None:
    market = Market(7, None, [CHAIN])
    book, second = market.book("SPY", AS_OF)
    quotes = book.quotes(second, np.arange(len(book.listed)))
    by_name = {name: row for row, name in enumerate(CHAIN.symbol.tolist())}
    rows = [by_name[name] for name in book.listed.names.tolist()]
    assert sorted(rows) == list(range(len(CHAIN)))
    np.testing.assert_array_equal(book.held, CHAIN.open_interest[rows])
    np.testing.assert_array_equal(quotes.volume, CHAIN.volume[rows])
    noon, second = market.book("SPY", datetime(2026, 8, 18, 16, 0, tzinfo=UTC))
    assert 0.2 < noon.quotes(second, np.arange(len(rows))).volume.sum() / CHAIN.volume.sum() < 0.6


def test_quotes_bracket_the_file_s_values_when_the_path_meets_it() -> None:
    market = Market(7, None, [CHAIN])
    book, second = market.book("SPY", market.seeds["SPY"].at)
    quotes = book.quotes(second, np.arange(len(book.listed)))
    by_name = {name: row for row, name in enumerate(CHAIN.symbol.tolist())}
    rows = np.array([by_name[name] for name in book.listed.names.tolist()])
    later = book.listed.of >= 2  # the file is a quarter of an hour later: nothing, except for the shortest
    np.testing.assert_allclose(quotes.fair.iv[later], CHAIN.iv[rows][later], rtol=0.02)
    np.testing.assert_allclose(quotes.fair.forward[later], (SPOT * np.exp(CARRY * CHAIN.years))[rows][later], rtol=2e-4)
    mid = 0.5 * (CHAIN.bid + CHAIN.ask)[rows]
    later &= book.listed.is_call == (book.listed.strike >= quotes.fair.forward)  # others: early exercise has a value
    assert np.abs((quotes.bid + quotes.ask) / 2 - mid)[later].max() < 0.15


def test_the_smile_moves_with_the_price() -> None:
    market = Market(7, None, [CHAIN])
    book, _ = market.book("SPY", market.seeds["SPY"].at)
    rows = np.arange(len(book.listed))
    epoch = np.full(len(rows), market.seeds["SPY"].at.timestamp())
    here = book.value(rows, np.full(len(rows), SPOT), epoch)
    lower = book.value(rows, np.full(len(rows), 0.97 * SPOT), epoch)
    monthly = (book.listed.of == 3) & (np.abs(book.listed.strike / SPOT - 1) < 0.02)
    assert (lower.iv[monthly] != here.iv[monthly]).all()
    at_money_before = here.iv[monthly & (book.listed.strike == 640)].mean()
    at_money_after = np.interp(0.97 * SPOT, book.listed.strike[book.listed.rows(3)], lower.iv[book.listed.rows(3)])
    assert at_money_after > at_money_before  # a falling market is a nervous one


def test_a_near_start_keeps_the_dates_and_drops_the_expired() -> None:
    market = Market(7, datetime(2026, 8, 20, 15, tzinfo=UTC), [CHAIN])
    assert [e.date for e in market.expiries("SPY", datetime(2026, 8, 20, 15, tzinfo=UTC))] == list(DATES[2:])
    book, _ = market.book("SPY", datetime(2026, 8, 20, 15, tzinfo=UTC))
    rows = np.isin(CHAIN.expiration.astype(object), DATES[2:])
    assert book.held.sum() == pytest.approx(CHAIN.open_interest[rows].sum(), rel=0.02)


def test_a_far_start_moves_the_file_by_whole_weeks() -> None:
    start = datetime(2026, 11, 24, 15, tzinfo=UTC)
    market = Market(7, start, [CHAIN])
    assert market.seeds["SPY"].day == date(2026, 11, 24) and market.seeds["SPY"].at.date() == date(2026, 11, 24)
    moved = [e.date for e in market.expiries("SPY", start)]
    holidays = [date(2026, 12, 24), date(2027, 3, 25)]  # the days before Christmas and before Good Friday
    assert moved == [day + timedelta(weeks=14) for day in DATES[:3]] + holidays
    assert market.price("SPY", market.seeds["SPY"].at) == SPOT


def test_when_the_file_is_used_up_the_built_in_listing_takes_over() -> None:
    market = Market(7, None, [CHAIN])
    after = datetime(2026, 12, 21, 15, tzinfo=UTC)
    assert market.expiries("SPY", after)[0].date == date(2026, 12, 21)
    book, _ = market.book("SPY", after)
    assert book.seeded is None and len(book.listed) > 5000


def test_the_same_rows_twice_are_one_contract() -> None:
    twice = CHAIN.select(np.r_[0 : len(CHAIN), 10:20])
    assert len(Market(7, None, [twice]).seeds["SPY"].listed) == len(CHAIN)


def test_an_unknown_underlying_or_a_start_outside_the_calendar_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="'XYZ'"):
        Market(7, None, [file_chain("XYZ", "XYZ")])
    with pytest.raises(SettingsError, match="2035-01-05"):
        Market(7, datetime(2035, 1, 5, 15, tzinfo=UTC))


REAL = Path(zerogex.__file__).resolve().parents[3] / "shared" / "data" / "chains"


@pytest.mark.parametrize(
    ("name", "net_billions", "within"),
    [("cboe_csv/SPX_2024-01-05", -11.4, 0.6), ("cboe_daily/SPY_2026-08-18", -5.2, 0.6)],
)
def test_a_real_file_keeps_its_gamma_exposure(name: str, net_billions: float, within: float) -> None:
    """Evidence: what conventions.md and the vendor's own gammas say of these files, expired contracts left out."""
    path = REAL / f"{name}.parquet"
    if not path.exists():
        pytest.skip("the shared chain files are not here")
    chain = read_chain(path).chain
    market = Market(7, None, [chain])
    book, second = market.book(chain.underlying, market.seeds[chain.underlying].at)
    quotes = book.quotes(second, np.flatnonzero(book.listed.settles[book.listed.of] > chain.as_of.timestamp()))
    listed, rows, fair = book.listed, quotes.rows, quotes.fair
    gamma = greeks(
        quotes.spot, fair.forward, listed.strike[rows], fair.years, RATE, fair.iv, listed.is_call[rows]
    ).gamma
    sign = np.where(listed.is_call[rows], 1.0, -1.0)
    net = (sign * np.nan_to_num(gamma) * book.held[rows]).sum() * 100 * quotes.spot**2 * 0.01
    assert net / 1e9 == pytest.approx(net_billions, abs=within)
    by_name = {symbol: row for row, symbol in enumerate(chain.symbol.tolist())}
    theirs = np.array([by_name[symbol] for symbol in listed.names[rows].tolist()])
    near = np.abs(listed.strike[rows] / quotes.spot - 1) < 0.05
    off = np.abs((quotes.bid + quotes.ask) / 2 - chain.mid[theirs])[near]
    spread = (chain.ask - chain.bid)[theirs][near]
    assert np.nanmedian(off) < 1.2 * np.nanmedian(spread)

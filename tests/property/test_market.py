"""The simulated market is a function of time, and what it shows is possible."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerogex.domain.calendar import next_session, previous_session, session_close, session_open, sessions
from zerogex.pricing.greeks import greeks
from zerogex.simulator.bars import intraday
from zerogex.simulator.book import Quotes, ticks
from zerogex.simulator.market import Market
from zerogex.simulator.path import DAY_SECONDS, OPEN_S, daily_walk, day_path, log_path
from zerogex.simulator.surface import RATE

DAYS = tuple(sessions(date(2026, 8, 3), date(2026, 12, 31)))
days = st.sampled_from([date(2026, 8, 21), date(2026, 9, 30), date(2026, 11, 2), date(2026, 11, 27)])  # 27th: half day
symbols = st.sampled_from(["SPY", "SPX", "TSLA", "QQQ"])
seconds = st.integers(OPEN_S, 32_399)  # half days too
few = settings(max_examples=4, deadline=None, derandomize=True)
MARKET = Market(7)


def at(day: date, second: int) -> datetime:
    return session_open(day) + timedelta(seconds=second - OPEN_S)


def whole_book(market: Market, symbol: str, instant: datetime) -> Quotes:
    book, second = market.book(symbol, instant)
    return book.quotes(second, np.arange(len(book.listed)))


@few
@given(symbols, days, seconds)
def test_the_same_question_has_the_same_answer_whatever_was_asked_before(symbol: str, day: date, second: int) -> None:
    instant = at(day, second)
    first = (MARKET.quote(symbol, instant), whole_book(MARKET, symbol, instant))
    for cache in (day_path, log_path, daily_walk):
        cache.cache_clear()
    again = Market(7, instant)
    again.quote(symbol, instant - timedelta(days=40))
    quotes = whole_book(again, symbol, instant)
    assert again.quote(symbol, instant) == first[0]
    for column in ("bid", "ask", "volume", "bid_size", "ask_size"):
        np.testing.assert_array_equal(getattr(quotes, column), getattr(first[1], column))
    np.testing.assert_array_equal(quotes.book.held, first[1].book.held)


@few
@given(symbols, days, seconds)
def test_another_seed_is_another_market(symbol: str, day: date, second: int) -> None:
    assert MARKET.quote(symbol, at(day, second)) != Market(8).quote(symbol, at(day, second))


@few
@given(symbols, days, st.integers(OPEN_S, DAY_SECONDS - 1), st.sampled_from([1, 5, 7, 30]))
def test_bars_say_what_the_seconds_did(symbol: str, day: date, second: int, minutes: int) -> None:
    path = MARKET.path(symbol, day)
    index = symbol == "SPX"
    for bar in intraday(path, minutes, (OPEN_S, path.close_s), second, index):
        last = int((bar.end - at(day, 0)).total_seconds())
        first = OPEN_S + (last - 1 - OPEN_S) // (60 * minutes) * 60 * minutes
        inside = path.price[first : min(last, second + 1)]
        assert (bar.open, bar.close) == (inside[0], inside[-1])
        assert (bar.high, bar.low) == (inside.max(), inside.min())
        assert bar.volume == path.volume[first : min(last, second + 1)].sum()
        assert 0 <= bar.up_volume <= bar.volume and 0 <= bar.up_ticks <= bar.ticks
        assert bar.closed == (second >= last)


@few
@given(symbols, days)
def test_minutes_add_up_to_the_day_and_days_to_the_week(symbol: str, day: date) -> None:
    evening = session_close(day) + timedelta(hours=1)
    minutes = MARKET.bars(symbol, "Minute", evening, first=session_open(day))
    (daily,) = MARKET.bars(symbol, "Daily", evening, count=1)
    assert len(minutes) == (session_close(day) - session_open(day)) // timedelta(minutes=1)
    assert sum(bar.volume for bar in minutes) == daily.volume
    assert (minutes[0].open, minutes[-1].close) == (daily.open, daily.close)
    assert max(bar.high for bar in minutes) == daily.high and min(bar.low for bar in minutes) == daily.low
    assert daily.closed and all(bar.closed for bar in minutes)
    (week,) = MARKET.bars(symbol, "Weekly", evening, count=1)
    assert week.high >= daily.high and week.low <= daily.low and week.close == daily.close


@few
@given(symbols, days, seconds)
def test_every_quote_is_on_its_tick_and_not_crossed(symbol: str, day: date, second: int) -> None:
    quotes = whole_book(MARKET, symbol, at(day, second))
    rule = quotes.book.options.ticks
    assert (quotes.bid <= quotes.ask).all() and (quotes.bid >= 0).all() and (quotes.ask > 0).all()
    assert ((quotes.bid == 0) == (quotes.bid_size == 0)).all()
    for column in (quotes.bid, quotes.ask):
        steps = column / ticks(rule, np.minimum(column, quotes.fair.value))
        assert np.abs(steps - np.rint(steps)).max() < 1e-6
    liquid = quotes.fair.value > 1.0
    assert np.median((quotes.ask - quotes.bid)[liquid] / quotes.fair.value[liquid]) < 0.05


@few
@given(st.sampled_from(["SPX", "SPY"]), days, seconds)
def test_no_arbitrage_beyond_the_spread(symbol: str, day: date, second: int) -> None:
    quotes = whole_book(MARKET, symbol, at(day, second))
    listed, fair = quotes.book.listed, quotes.fair
    call, put = slice(0, None, 2), slice(1, None, 2)  # every strike: call, then put
    assert listed.is_call[call].all() and not listed.is_call[put].any()
    parity = np.exp(-RATE * fair.years) * (fair.forward - listed.strike)
    early = (1 - np.exp(-RATE * fair.years)) * listed.strike * (symbol == "SPY")  # what early exercise may be worth
    gap, slack = parity[call], early[call] + 1e-6
    assert (quotes.bid[call] - quotes.ask[put] <= gap + slack).all()
    assert (quotes.ask[call] - quotes.bid[put] >= gap - slack).all()
    for number in range(len(listed.expiries)):
        rows = np.arange(listed.rows(number).start, listed.rows(number).stop)
        calls, puts = fair.value[rows[call]], fair.value[rows[put]]
        assert (np.diff(calls) <= 0.005).all() and (np.diff(puts) >= -0.005).all()
        if symbol == "SPX":  # convex in the strike: no butterfly costs less than nothing (to a tenth of a tick)
            slope = np.diff(calls) / np.diff(listed.strike[rows[call]])
            assert np.diff(slope).min() > -1e-4


@few
@given(symbols, days)
def test_volume_only_grows_within_a_day_and_starts_again_at_the_open(symbol: str, day: date) -> None:
    book, _ = MARKET.book(symbol, session_open(day))
    rows = np.arange(len(book.listed))
    previous = np.zeros(len(rows), np.int64)
    for minute in (0, 1, 30, 90, 200, 209):
        volume = book.quotes(OPEN_S + 60 * minute, rows).volume
        assert (volume >= previous).all()
        previous = volume
    before = whole_book(MARKET, symbol, session_open(day) - timedelta(seconds=1))
    assert before.volume.sum() > 100 * book.quotes(OPEN_S, rows).volume.sum() / 30
    evening = whole_book(MARKET, symbol, session_close(day) + timedelta(hours=2))
    assert (evening.volume >= previous).all() and evening.volume.sum() > 0


@few
@given(symbols, days, seconds)
def test_what_traded_did_so_inside_its_own_range(symbol: str, day: date, second: int) -> None:
    quotes = whole_book(MARKET, symbol, at(day, second))
    trades = quotes.book.trades(quotes)
    traded = quotes.volume > 0
    assert np.isnan(trades.last[~traded]).all() and np.isfinite(trades.last[traded]).all()
    for name in ("last", "open"):
        price = getattr(trades, name)[traded]
        assert (price <= trades.high[traded]).all() and (price >= trades.low[traded]).all() and (price > 0).all()
    assert (trades.last_epoch[traded] <= quotes.epoch).all()


@few
@given(symbols, st.sampled_from(DAYS[5:-5]))
def test_open_interest_changes_between_days_and_never_within_one(symbol: str, day: date) -> None:
    morning, _ = MARKET.book(symbol, session_open(day))
    evening, _ = MARKET.book(symbol, session_close(day))
    tomorrow, _ = MARKET.book(symbol, session_open(next_session(day)))
    np.testing.assert_array_equal(morning.held, evening.held)
    common, here, there = np.intersect1d(morning.listed.code, tomorrow.listed.code, return_indices=True)
    assert len(common) > 100 and (morning.held[here] != tomorrow.held[there]).mean() > 0.3
    assert np.corrcoef(morning.held[here], tomorrow.held[there])[0, 1] > 0.8


@few
@given(st.sampled_from(["SPY", "SPX", "QQQ"]), days)
def test_dealers_stand_somewhere_believable(symbol: str, day: date) -> None:
    """Net gamma is a modest share of gross, puts outnumber calls, and a re-priced flip lies near the price."""
    quotes = whole_book(MARKET, symbol, at(day, OPEN_S + 3600))
    listed, fair, held = quotes.book.listed, quotes.fair, quotes.book.held
    sign = np.where(listed.is_call, 1.0, -1.0)

    def net(factor: float) -> tuple[float, float]:
        moved = greeks(
            quotes.spot * factor, fair.forward * factor, listed.strike, fair.years, RATE, fair.iv, listed.is_call
        )
        gex = np.nan_to_num(moved.gamma) * held * 100 * (quotes.spot * factor) ** 2 * 0.01
        return float((sign * gex).sum()), float(gex.sum())

    now, gross = net(1.0)
    assert 0.0 < abs(now) < 0.8 * gross
    curve = [net(factor)[0] for factor in np.linspace(0.92, 1.08, 33)]
    assert any(a < 0 < b for a, b in itertools.pairwise(curve)), "no flip within 8 %"
    assert 1.1 < held[~listed.is_call].sum() / held[listed.is_call].sum() < 2.5
    assert (held == 0).mean() < 0.7


@pytest.mark.parametrize(
    "symbol", ["SPY", "QQQ", "IWM", "AAPL", "NVDA", "TSLA", "MSFT", "AMD", "SPX", "NDX", "RUT", "VIX"]
)
def test_every_underlying_is_complete_at_any_hour(symbol: str) -> None:
    for instant in (datetime(2026, 11, 21, 15, tzinfo=UTC), datetime(2026, 11, 27, 19, tzinfo=UTC),
                    datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 24, 3, tzinfo=UTC)):  # fmt: skip
        quote = MARKET.quote(symbol, instant)
        assert quote.low <= quote.close <= quote.high or quote.open == quote.last  # before the open: no range yet
        assert quote.bid <= quote.last <= quote.ask and quote.low_52 < quote.last < 2 * quote.high_52
        quotes = whole_book(MARKET, symbol, instant)
        assert len(quotes.bid) > 100 and np.isfinite(quotes.fair.iv).all() and (quotes.fair.iv > 0).all()


def test_nothing_happens_overnight_and_the_path_is_continuous_from_close_to_open() -> None:
    day = date(2026, 11, 24)
    night = datetime(2026, 11, 24, 5, tzinfo=UTC)
    assert MARKET.quote("SPY", night).last == MARKET.path("SPY", previous_session(day)).price[-1]
    assert abs(MARKET.path("SPY", day).price[0] / MARKET.path("SPY", previous_session(day)).price[-1] - 1) < 1e-4
    assert abs(MARKET.path("SPY", day).price[OPEN_S - 1] / MARKET.path("SPY", day).open - 1) < 2e-3


def test_spy_follows_spx() -> None:
    path, index = MARKET.path("SPY", DAYS[30]), MARKET.path("SPX", DAYS[30])
    ratio = path.price[OPEN_S : path.close_s] / index.price[OPEN_S : path.close_s]
    assert np.ptp(ratio) < 2e-5

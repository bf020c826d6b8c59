"""What a chain gets: forwards, volatilities by priority, Greeks, and reasons where it gets nothing."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind, underlying_of
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.errors import SettingsError
from zerogex.pipeline.enrich import EnrichConfig, enrich
from zerogex.pricing.black_scholes import price
from zerogex.pricing.greeks import greeks
from zerogex.pricing.implied_vol import IvLimits

AS_OF = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # a Monday, 10:00 in New York
SPOT, RATE, DIVIDEND = 600.0, 0.05, 0.013
NEAR, FAR = date(2026, 3, 6), date(2026, 3, 20)
SOLVED = (IvSource.MID, IvSource.LAST, IvSource.DEFAULT)
CONFIG = EnrichConfig(rate=RATE, priority=SOLVED)


def smile(strike: np.ndarray) -> np.ndarray:
    return 0.15 - 0.4 * np.log(strike / SPOT) + 0.5 * np.log(strike / SPOT) ** 2


def contracts_of(roots: tuple[str, ...] = ("SPY",), days: tuple[date, ...] = (NEAR, FAR)) -> list[OptionContract]:
    return [
        OptionContract(underlying_of(root), root, day, Decimal(strike), kind)
        for root in roots
        for day in days
        for strike in range(540, 661, 5)
        for kind in (OptionKind.CALL, OptionKind.PUT)
    ]


def market(contracts: list[OptionContract] | None = None, as_of: datetime = AS_OF) -> OptionChain:
    """A chain quoted around Black's prices on the true forward and one smile."""
    chain = build_chain("SPY", SPOT, as_of, contracts or contracts_of())
    years = np.maximum(chain.years, 0.0)
    forward = SPOT * np.exp((RATE - DIVIDEND) * years)
    mid = price(forward, chain.strike, years, RATE, smile(chain.strike), chain.is_call)
    return replace(chain, bid=mid * 0.999, ask=mid * 1.001, last=mid)


def test_the_quotes_own_forward_and_smile_are_found() -> None:
    found = enrich(market(), CONFIG)
    chain = found.chain
    assert [(p.root, p.expiration, p.source) for p in found.forwards] == [
        ("SPY", NEAR, "parity"),
        ("SPY", FAR, "parity"),
    ]
    assert chain.forward == pytest.approx(SPOT * np.exp((RATE - DIVIDEND) * chain.years), rel=1e-6)
    assert chain.iv == pytest.approx(smile(chain.strike), abs=2e-4)
    assert (chain.iv_source == IvSource.MID).all()
    assert (chain.iv_status == IvStatus.CONVERGED).all()
    assert (chain.rate == RATE).all()


def test_call_and_put_of_a_strike_share_volatility_gamma_and_vega() -> None:
    chain = enrich(market(), CONFIG).chain
    for name in ("iv", "gamma", "vega"):
        column = getattr(chain, name)
        assert (column[chain.is_call] == column[~chain.is_call]).all(), name


def test_a_row_recomputes_from_its_own_columns_in_market_units() -> None:
    chain = enrich(market(), CONFIG).chain
    again = greeks(chain.spot, chain.forward, chain.strike, chain.years, chain.rate, chain.iv, chain.is_call)
    assert (again.gamma == chain.gamma).all()
    assert (again.delta == chain.delta).all()
    assert chain.theta == pytest.approx(again.theta / 365, rel=1e-15)
    assert chain.vega == pytest.approx(again.vega / 100, rel=1e-15)


def test_the_out_of_the_money_side_speaks_for_the_strike() -> None:
    chain = market()
    rich = ~chain.is_call & (chain.strike > SPOT + 20)  # puts in the money, quoted absurdly wide
    wide = replace(
        chain, bid=np.where(rich, chain.bid * 0.7, chain.bid), ask=np.where(rich, chain.ask * 1.8, chain.ask)
    )
    assert enrich(wide, CONFIG).chain.iv == pytest.approx(enrich(chain, CONFIG).chain.iv, abs=2e-4)


def test_where_the_out_of_the_money_side_has_no_bid_the_strike_has_no_mid_volatility() -> None:
    chain = market()
    bare = chain.is_call & (chain.strike == 640) & (chain.expiration == np.datetime64(FAR))
    found = enrich(replace(chain, bid=np.where(bare, 0.0, chain.bid)), CONFIG).chain
    pair = (chain.strike == 640) & (chain.expiration == np.datetime64(FAR))
    assert not (found.iv_source[pair] == IvSource.MID).any()
    assert (found.iv_source[pair] == IvSource.LAST).all()


def test_the_vendors_volatility_comes_first_by_default_and_only_where_it_is_the_vendors() -> None:
    chain = market()
    vendor = np.zeros(len(chain), np.int8)
    vendor[:4] = IvSource.API
    given = replace(chain, iv=np.full(len(chain), 0.33), iv_source=vendor)
    found = enrich(given, EnrichConfig(rate=RATE)).chain
    assert (found.iv[:4] == 0.33).all()
    assert (found.iv_source[:4] == IvSource.API).all()
    assert (found.iv_status[:4] == IvStatus.NOT_TRIED).all()
    assert (found.iv_source[4:] == IvSource.MID).all()
    beyond = replace(given, iv=np.full(len(chain), 7.0))
    assert (enrich(beyond, EnrichConfig(rate=RATE)).chain.iv_source == IvSource.MID).all()


def test_the_order_of_the_sources_is_a_setting() -> None:
    chain = market()
    given = replace(chain, iv=np.full(len(chain), 0.33), iv_source=np.full(len(chain), IvSource.API, np.int8))
    order = (IvSource.LAST, IvSource.API)
    found = enrich(given, EnrichConfig(rate=RATE, priority=order)).chain
    assert (found.iv_source == IvSource.LAST).all()
    with pytest.raises(SettingsError, match="at most once"):
        EnrichConfig(priority=(IvSource.MID, IvSource.MID))


def test_without_a_quote_the_last_trade_is_used_and_then_the_flagged_default() -> None:
    chain = market()
    nan = np.full(len(chain), math.nan)
    last = chain.last.copy()
    last[::3] = math.nan
    config = replace(CONFIG, dividend=DIVIDEND)
    found = enrich(replace(chain, bid=nan, ask=nan, last=last), config).chain
    without = np.isnan(last)
    assert (found.iv_source[~without] == IvSource.LAST).all()
    assert (found.iv_source[without] == IvSource.DEFAULT).all()
    assert (found.iv[without] == 0.20).all()
    assert (found.iv_status[without] == IvStatus.NO_QUOTE).all()
    assert np.isfinite(found.gamma).all()
    off = enrich(replace(chain, bid=nan, ask=nan, last=last), replace(config, default_iv=None)).chain
    assert np.isnan(off.iv[without]).all()
    assert np.isnan(off.gamma[without]).all()
    assert (off.iv_source[without] == IvSource.NONE).all()


def test_a_last_trade_above_the_ask_is_history() -> None:
    chain = market()
    found = enrich(replace(chain, bid=np.zeros(len(chain)), last=chain.ask * 1.2), CONFIG).chain
    assert (found.iv_source == IvSource.DEFAULT).all()


def test_without_usable_pairs_the_spot_is_carried_forward() -> None:
    chain = market()
    one_sided = replace(chain, bid=np.where(chain.is_call, chain.bid, math.nan))
    found = enrich(one_sided, replace(CONFIG, dividend=DIVIDEND))
    assert {point.source for point in found.forwards} == {"carry"}
    assert found.chain.forward == pytest.approx(SPOT * np.exp((RATE - DIVIDEND) * chain.years), rel=1e-14)


def test_settled_contracts_have_no_greeks_and_say_expired() -> None:
    chain = market(as_of=datetime(2026, 3, 6, 21, 0, tzinfo=UTC))  # the instant of the near settlement
    found = enrich(chain, CONFIG)
    dead = chain.expiration == np.datetime64(NEAR)
    for name in ("iv", "delta", "gamma", "theta", "vega", "forward"):
        assert np.isnan(getattr(found.chain, name)[dead]).all(), name
        assert np.isfinite(getattr(found.chain, name)[~dead]).all(), name
    assert (found.chain.iv_status[dead] == IvStatus.EXPIRED).all()
    assert [point.expiration for point in found.forwards] == [FAR]


def test_morning_and_afternoon_roots_of_one_date_have_forwards_of_their_own() -> None:
    chain = market(contracts_of(("SPX", "SPXW"), (FAR,)))
    found = enrich(chain, CONFIG)
    assert [point.root for point in found.forwards] == ["SPX", "SPXW"]
    assert found.forwards[1].years - found.forwards[0].years == pytest.approx(6.5 / 24 / 365)
    assert found.chain.iv == pytest.approx(smile(chain.strike), abs=3e-4)


def test_adjusted_contracts_are_never_valued_on_spot() -> None:
    chain = market(contracts_of(("AMD", "AMD1"), (FAR,)))
    found = enrich(chain, CONFIG)
    adjusted = np.array([root == "AMD1" for root in chain.root])
    assert np.isnan(found.chain.gamma[adjusted]).all()
    assert (found.chain.iv_status[adjusted] == IvStatus.NOT_TRIED).all()
    assert np.isfinite(found.chain.gamma[~adjusted]).all()
    assert [point.root for point in found.forwards] == ["AMD"]


def test_switched_off_parts_leave_the_vendors_numbers() -> None:
    chain = market()
    given = replace(chain, gamma=np.full(len(chain), 0.5), iv=np.full(len(chain), 0.3))
    given = replace(given, iv_source=np.full(len(chain), IvSource.API, np.int8))
    kept = enrich(given, EnrichConfig(rate=RATE, greeks_enabled=False)).chain
    assert (kept.gamma == 0.5).all()
    unsolved = enrich(chain, replace(CONFIG, iv_enabled=False, default_iv=None)).chain
    assert np.isnan(unsolved.iv).all()
    assert (unsolved.iv_status == IvStatus.NOT_TRIED).all()


def test_the_limits_of_the_search_are_passed_on() -> None:
    found = enrich(market(), replace(CONFIG, limits=IvLimits(minimum=0.16), priority=(IvSource.MID,))).chain
    assert (found.iv_status[found.strike > SPOT + 10] == IvStatus.BELOW_IV_MIN).all()
    assert np.isnan(found.iv[found.strike > SPOT + 10]).all()


def test_enriching_twice_changes_nothing() -> None:
    chain = market()
    vendor = np.where(np.arange(len(chain)) % 5 == 0, IvSource.API, IvSource.NONE).astype(np.int8)
    bid = np.where(np.arange(len(chain)) % 7 == 0, math.nan, chain.bid)
    once = enrich(replace(chain, iv=np.full(len(chain), 0.3), iv_source=vendor, bid=bid), EnrichConfig(rate=RATE)).chain
    twice = enrich(once, EnrichConfig(rate=RATE)).chain
    for name in ("iv", "iv_source", "iv_status", "forward", "delta", "gamma", "theta", "vega"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name), name)


def test_an_unknown_spot_gives_no_numbers_and_no_error() -> None:
    found = enrich(replace(market(), spot=math.nan), replace(CONFIG, default_iv=None)).chain
    assert np.isnan(found.gamma).all()
    assert (found.iv_status == IvStatus.BAD_INPUT).all()


def test_an_empty_chain_stays_empty() -> None:
    found = enrich(build_chain("SPY", SPOT, AS_OF, []), CONFIG)
    assert len(found.chain) == 0
    assert found.forwards == ()

"""What an analysis counts, what it leaves out, and how it says so."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.domain.chain import COLUMNS, OptionChain
from zerogex.domain.exposure import TOTALS, DealerModel, ForwardPoint
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.pricing.greeks import carry_forward, greeks

THIRD_FRIDAY = date(2026, 1, 16)
FRIDAY, LATER = date(2026, 1, 9), date(2026, 2, 20)


@pytest.fixture
def chain(make_chain) -> OptionChain:
    return make_chain([
        ("C", 95, 900, {"volume": 10}), ("P", 95, 2500, {"volume": 40}),
        ("C", 100, 2000, {"volume": 200}), ("P", 100, 1800, {"volume": 90}),
        ("C", 105, 3000, {"volume": 70}), ("P", 105, 400, {"volume": 5}),
        ("C", 100, 700, {"expiration": LATER}), ("P", 90, 1200, {"expiration": LATER}),
    ])  # fmt: skip


@pytest.mark.parametrize("model", DealerModel)
def test_every_table_sums_to_the_totals_with_the_same_signs(chain: OptionChain, model: DealerModel) -> None:
    answer = analyze(chain, AnalysisConfig(dealer_model=model))
    for name in TOTALS:
        total = getattr(answer.totals, name)
        for table in (answer.by_strike, answer.by_expiration, answer.by_cell):
            assert table.totals[name].sum() == pytest.approx(total, rel=1e-12), name


def test_gex_and_shares_differ_by_spot_squared_everywhere(chain: OptionChain) -> None:
    answer = analyze(replace(chain, spot=250.0))
    for table in (answer.by_strike, answer.by_expiration, answer.by_cell):
        expected = table.totals["gex_shares_per_dollar"] * 250.0**2 * 0.01
        assert table.totals["net_gex"] == pytest.approx(expected, rel=1e-12)


def test_stored_greeks_recompute_the_headline(chain: OptionChain) -> None:
    gamma = greeks(chain.spot, chain.forward, chain.strike, chain.years, chain.rate, chain.iv, chain.is_call).gamma
    by_hand = float(np.sum(chain.sign * gamma * chain.open_interest * chain.multiplier) * chain.spot**2 * 0.01)
    assert analyze(chain).totals.net_gex == pytest.approx(by_hand, rel=1e-12)


def test_the_naive_model_has_calls_above_and_puts_below_zero(chain: OptionChain) -> None:
    totals = analyze(chain).totals
    assert totals.call_gex > 0 > totals.put_gex
    assert totals.net_gex == totals.call_gex + totals.put_gex
    assert totals.gross_gex == pytest.approx(totals.call_gex - totals.put_gex, rel=1e-12)


def test_volume_gex_weighs_by_volume_and_never_enters_net_gex(chain: OptionChain) -> None:
    quiet = analyze(replace(chain, volume=np.zeros(len(chain), np.int64)))
    assert quiet.totals.volume_gex == 0.0
    assert quiet.totals.net_gex == analyze(chain).totals.net_gex
    swapped = analyze(replace(chain, volume=chain.open_interest, open_interest=chain.volume))
    assert swapped.totals.volume_gex == pytest.approx(analyze(chain).totals.net_gex, rel=1e-12)


def test_without_dividends_call_and_put_charm_cancel(make_chain) -> None:
    """A spurious r·exp(-rT) in the put's charm would leave a remainder."""
    chain = make_chain([("C", 105, 1000, {"expiration": LATER}), ("P", 105, 1000, {"expiration": LATER})], rate=0.08)
    chain = replace(chain, forward=carry_forward(chain.spot, chain.years, 0.08, 0.0))
    totals = analyze(chain).totals
    one_side = analyze(chain.select(chain.is_call)).totals.charm_exposure
    assert abs(totals.charm_exposure) < 1e-9 * abs(one_side)


def test_both_roots_of_a_third_friday_keep_their_positions_apart(make_chain) -> None:
    rows = [("C", 100, 500, {"root": root, "expiration": THIRD_FRIDAY}) for root in ("SPX", "SPXW")]
    rows += [("P", 90, 100, {"root": root, "expiration": THIRD_FRIDAY}) for root in ("SPX", "SPXW")]
    chain = make_chain(rows)
    both, pm = analyze(chain), analyze(chain.select(chain.root == "SPXW"))
    assert both.totals.call_open_interest == 1000
    assert both.totals.call_gex > pm.totals.call_gex > 0
    assert [(each.root, each.expiration) for each in both.max_pain] == [("SPX", THIRD_FRIDAY), ("SPXW", THIRD_FRIDAY)]
    assert {(point.root, point.expiration) for point in both.forwards} == {
        ("SPX", THIRD_FRIDAY), ("SPXW", THIRD_FRIDAY)
    }  # fmt: skip


def test_am_settled_contracts_leave_at_the_open_of_their_last_day(make_chain) -> None:
    at_ten = datetime(2026, 1, 16, 15, 0, tzinfo=UTC)
    rows = [("C", 100, 500, {"root": root, "expiration": THIRD_FRIDAY}) for root in ("SPX", "SPXW")]
    answer = analyze(make_chain(rows, as_of=at_ten))
    assert answer.totals.call_open_interest == 500
    assert answer.coverage.live == 1
    assert [each.root for each in answer.max_pain] == ["SPXW"]
    assert any(note == "Settled contracts, left out: 1." for note in answer.notes)


def test_a_contract_minutes_from_settlement_is_valued_on_its_minutes(make_chain) -> None:
    """Time is never floored: a floor of an hour would give an eighth of this gamma."""
    near_close = datetime(2026, 1, 9, 20, 59, tzinfo=UTC)
    totals = analyze(make_chain([("C", 100, 1)], as_of=near_close)).totals
    width = 0.2 * np.sqrt(60 / (365 * 86400))
    assert totals.gex_shares_per_dollar == pytest.approx(100 * 0.3989423 / (100 * width), rel=1e-3)


def test_no_contract_of_a_large_chain_is_dropped(make_chain) -> None:
    rows = [(kind, 50 + 0.01 * k, 1) for k in range(10_000) for kind in "CP"]
    answer = analyze(make_chain(rows))
    assert answer.coverage.used == 20_000
    assert (answer.totals.call_open_interest, answer.totals.put_open_interest) == (10_000, 10_000)
    assert len(answer.by_strike) == 10_000


def test_a_row_without_iv_is_counted_but_never_poisons_the_sums(chain: OptionChain) -> None:
    iv, status = chain.iv.copy(), chain.iv_status.copy()
    iv[0], status[0] = np.nan, IvStatus.BELOW_INTRINSIC
    answer = analyze(replace(chain, iv=iv, iv_status=status))
    assert np.isfinite(answer.totals.net_gex)
    assert answer.totals.call_open_interest == analyze(chain).totals.call_open_interest
    assert answer.coverage.iv_failures == {"below_intrinsic": 1}
    assert answer.coverage.pct == pytest.approx(100 * (12_500 - 900) / 12_500)
    assert any("no usable gamma" in note for note in answer.notes)


def test_placeholder_volatilities_are_flagged_and_leave_by_choice(chain: OptionChain) -> None:
    source = chain.iv_source.copy()
    source[2] = IvSource.DEFAULT
    flagged = replace(chain, iv_source=source)
    kept, dropped = analyze(flagged), analyze(flagged, AnalysisConfig(include_default_iv=False))
    assert kept.coverage.iv_sources == {"mid": 7, "default": 1}
    assert kept.totals.net_gex == analyze(chain).totals.net_gex
    assert any("placeholder, taking part: 1" in note for note in kept.notes)
    assert dropped.totals.call_gex < kept.totals.call_gex
    assert any("placeholder, left out: 1" in note for note in dropped.notes)


def test_adjusted_contracts_are_never_valued_by_us(make_chain, chain: OptionChain) -> None:
    rows = [("C", 100, 500), ("P", 95, 400), ("C", 100, 9999, {"root": "SPY1"}), ("P", 20, 99999, {"root": "SPY1"})]
    answer, without = analyze(make_chain(rows)), analyze(make_chain(rows[:2]))
    assert answer.coverage.excluded_adjusted == 2
    assert answer.totals == without.totals
    assert answer.max_pain == without.max_pain
    assert any("SPY1" in note for note in answer.notes)


def test_vendor_sums_take_the_given_gamma_and_the_curve_says_it_differs(make_chain) -> None:
    rows = [("C", 100, 500, {"gamma": 0.05, "delta": 0.5}), ("P", 100, 300, {"gamma": 0.04, "delta": -0.5}),
            ("P", 90, 100, {"gamma": np.nan}),
            ("C", 110, 50, {"root": "SPY1", "gamma": 0.02, "delta": 0.1})]  # fmt: skip
    answer = analyze(make_chain(rows), AnalysisConfig(greeks="vendor"))
    assert answer.totals.call_gex == pytest.approx((0.05 * 500 + 0.02 * 50) * 100 * 100**2 * 0.01)
    assert answer.totals.put_gex == pytest.approx(-0.04 * 300 * 100 * 100**2 * 0.01)
    assert answer.totals.dex == pytest.approx((0.5 * 500 + 0.5 * 300 + 0.1 * 50) * 100 * 100)
    assert answer.coverage.used == 3
    assert answer.coverage.iv_sources == {"vendor": 4}
    assert answer.coverage.excluded_adjusted == 0
    assert any("profile and flip re-price" in note for note in answer.notes)
    assert any("never re-priced" in note for note in answer.notes)


def test_a_missing_forward_comes_from_the_given_points_or_else_from_carry(chain: OptionChain) -> None:
    unknown = np.full(len(chain), np.nan)
    bare = replace(chain, forward=unknown, rate=unknown)
    config = AnalysisConfig(rate=0.04, dividend=0.01)
    carried = analyze(bare, config)
    assert carried.totals.net_gex == pytest.approx(analyze(chain).totals.net_gex, rel=1e-12)
    assert {point.source for point in carried.forwards} == {"carry"}
    assert any("without a forward of their own" in note for note in carried.notes)
    point = ForwardPoint("SPY", FRIDAY, 0.0115, 101.0, 0.04, "parity", 12)
    pointed = analyze(bare, config, (point,))
    assert pointed.forwards == (point,)
    assert pointed.totals.net_gex != carried.totals.net_gex


def test_only_the_chosen_expirations_take_part(chain: OptionChain) -> None:
    answer = analyze(chain, AnalysisConfig(expirations=(LATER,)))
    assert answer.coverage.contracts == 2
    assert [row["expiration"] for row in answer.by_expiration.rows()] == [LATER.isoformat()]
    everything = analyze(chain).by_expiration
    assert answer.totals.net_gex == pytest.approx(everything.totals["net_gex"][1], rel=1e-12)


def test_an_old_spot_is_said(chain: OptionChain) -> None:
    old = replace(chain, spot_time=chain.as_of - timedelta(minutes=10))
    assert any("600 s older" in note for note in analyze(old).notes)
    assert not analyze(replace(chain, spot_time=chain.as_of)).notes


def test_the_order_of_rows_changes_nothing(chain: OptionChain) -> None:
    shuffled = chain.select(np.random.default_rng(3).permutation(len(chain)))
    one, other = analyze(chain), analyze(shuffled)
    assert other.totals.net_gex == pytest.approx(one.totals.net_gex, rel=1e-12)
    assert other.flip.price == pytest.approx(one.flip.price, rel=1e-12)
    assert (other.levels.call_wall, other.max_pain) == (one.levels.call_wall, one.max_pain)


@pytest.mark.parametrize(
    "wrong", [{"greeks": "mine"}, {"profile_range": 0.0}, {"profile_range": 1.0}, {"profile_points": 2}]
)
def test_a_config_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AnalysisConfig(**wrong)  # type: ignore[arg-type]


DEGENERATE = {
    "empty": [],
    "no open interest": [("C", 100, 0), ("P", 100, 0)],
    "no puts": [("C", 100, 10), ("C", 105, 10)],
    "no calls": [("P", 100, 10), ("P", 95, 10)],
    "one strike": [("C", 100, 10), ("P", 100, 20)],
    "calls and puts cancel": [("C", 100, 10), ("P", 100, 10)],
    "no volatility": [("C", 100, 10, {"iv": np.nan}), ("P", 95, 10, {"iv": 0.0})],
    "strikes far away": [("C", 1e6, 10), ("P", 0.01, 10)],
    "expired": [("C", 100, 10, {"expiration": date(2026, 1, 2)})],
    "only adjusted": [("C", 100, 10, {"root": "SPY1"})],
}


@pytest.mark.parametrize("greeks_of", ["own", "vendor"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_chain_is_answered_without_a_number_that_is_not_one(make_chain, name: str, greeks_of: str) -> None:
    answer = analyze(make_chain(DEGENERATE[name]), AnalysisConfig(greeks=greeks_of))
    assert answer.flip.price is None or answer.flip.price > 0
    assert answer.flip.price is not None or answer.flip.reason
    for wall in (answer.levels.call_wall, answer.levels.put_wall, answer.levels.max_gamma):
        assert wall is None or wall.gex != 0.0
    assert all(each.open_interest > 0 for each in answer.max_pain)
    assert all(np.isfinite(getattr(answer.totals, total)) for total in TOTALS)


def test_an_unknown_spot_values_nothing(chain: OptionChain) -> None:
    answer = analyze(replace(chain, spot=float("nan")))
    assert answer.flip.price is None
    assert answer.coverage.used == 0


def test_every_column_may_be_empty(chain: OptionChain) -> None:
    nothing = chain.select(np.zeros(len(chain), bool))
    assert all(len(getattr(nothing, name)) == 0 for name in COLUMNS)
    answer = analyze(nothing)
    assert answer.notes == ("The chain is empty.",)
    assert answer.put_call_ratio_oi is None
    assert answer.headline_max_pain is None
    assert answer.expected_move is None

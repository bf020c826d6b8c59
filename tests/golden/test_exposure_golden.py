"""The hand-computed example of docs/conventions.md.  Evidence: 40-digit arithmetic which shares no code with ours."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.analytics.max_pain import payouts
from zerogex.domain.chain import Floats, OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.exposure import Analysis, FlipStatus
from zerogex.pricing.greeks import carry_forward, greeks

SPOT, RATE, DIVIDEND = 100.0, 0.04, 0.01
AS_OF = datetime(2026, 1, 5, 21, 0, tzinfo=UTC)  # 16:00 in New York, so whole days remain
WEEK, MONTH = date(2026, 1, 12), date(2026, 2, 4)  # 7 and 30 days later
ROWS = (  # kind, strike, expiration, iv, open interest, volume
    ("C", 95, WEEK, 0.24, 1200, 300), ("C", 100, WEEK, 0.20, 3500, 5200), ("C", 105, WEEK, 0.18, 6000, 7400),
    ("P", 95, WEEK, 0.24, 5200, 6100), ("P", 100, WEEK, 0.20, 4100, 4800), ("P", 105, WEEK, 0.18, 800, 150),
    ("C", 95, MONTH, 0.23, 900, 100), ("C", 100, MONTH, 0.20, 2500, 900), ("C", 105, MONTH, 0.185, 4800, 1300),
    ("P", 95, MONTH, 0.23, 7000, 2100), ("P", 100, MONTH, 0.20, 3000, 1100), ("P", 105, MONTH, 0.185, 600, 60),
)  # fmt: skip
PRINTED = {  # all, 7 days, 30 days: every digit of the table
    "call_gex": (11600841.9936, 6967282.18087, 4633559.8127),
    "put_gex": (-13250186.3914, -7901893.75215, -5348292.63929),
    "net_gex": (-1649344.39787, -934611.571281, -714732.826585),
    "gex_shares_per_dollar": (-16493.4439787, -9346.11571281, -7147.32826585),
    "vanna_exposure": (1798196.83164, 650637.865012, 1147558.96663),
    "charm_exposure": (-1343655.06614, -954095.358675, -389559.707465),
    "vega_exposure": (-25963.0544158, -5149.95121449, -20813.1032013),
}
FLIPS = (100.654029632, 100.517749053, 101.054192172)
SCOPES = (None, (WEEK,), (MONTH,))


@pytest.fixture(scope="module")
def chain() -> OptionChain:
    kind, strike, expiration, iv, open_interest, volume = zip(*ROWS, strict=True)
    contracts = [
        OptionContract("SPY", "SPY", day, Decimal(k), OptionKind(which))
        for which, k, day in zip(kind, strike, expiration, strict=True)
    ]
    years = np.array([(day - AS_OF.date()).days / 365.0 for day in expiration])
    return build_chain(
        "SPY", SPOT, AS_OF, contracts, iv=iv, open_interest=open_interest, volume=volume,
        forward=carry_forward(SPOT, years, RATE, DIVIDEND), rate=np.full(len(ROWS), RATE),
    )  # fmt: skip


@pytest.fixture(scope="module", params=range(3), ids=["all", "7d", "30d"])
def scope(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def analysis(chain: OptionChain, scope: int) -> Analysis:
    return analyze(chain, AnalysisConfig(rate=RATE, expirations=SCOPES[scope]))


@pytest.mark.parametrize("name", PRINTED)
def test_every_printed_digit_of_the_sums_is_met(analysis: Analysis, scope: int, name: str) -> None:
    assert getattr(analysis.totals, name) == pytest.approx(PRINTED[name][scope], rel=1e-11)


def test_the_gamma_flip_is_the_zero_of_the_repriced_curve(analysis: Analysis, scope: int) -> None:
    assert analysis.flip.price == pytest.approx(FLIPS[scope], rel=1e-11)
    assert analysis.flip.status is FlipStatus.RESOLVED
    assert analysis.flip.crossings[0].slope > 0


def test_the_table_by_expiration_holds_the_same_numbers(chain: OptionChain) -> None:
    table = analyze(chain).by_expiration
    assert table.rows()[0]["expiration"] == WEEK.isoformat()
    for name, (_, week, month) in PRINTED.items():
        assert table.totals[name] == pytest.approx([week, month], rel=1e-11)


def test_net_gex_by_strike_sums_both_expirations(chain: OptionChain) -> None:
    table = analyze(chain).by_strike
    assert table.strike is not None
    assert table.strike.tolist() == [95, 100, 105]
    assert table.totals["net_gex"] == pytest.approx([-3957200.80259, -1210253.04289, 3518109.44762], rel=1e-11)


def test_the_profile_passes_through_the_headline_at_spot(analysis: Analysis) -> None:
    middle = len(analysis.profile.spots) // 2
    assert analysis.profile.spots[middle] == SPOT
    assert analysis.profile.net_gex[middle] == pytest.approx(analysis.totals.net_gex, rel=1e-12)


def test_max_pain_is_100_for_both_expirations(chain: OptionChain) -> None:
    week, month = analyze(chain).max_pain
    assert (week.expiration, week.strike, week.payout) == (WEEK, 100.0, 1_000_000.0)
    assert (month.expiration, month.strike, month.payout) == (MONTH, 100.0, 750_000.0)
    assert (week.open_interest, month.open_interest) == (20_800, 18_800)


@pytest.mark.parametrize(
    ("day", "expected"), [(WEEK, [2_850_000, 1_000_000, 2_950_000]), (MONTH, [2_100_000, 750_000, 2_150_000])]
)
def test_the_payout_at_each_listed_strike_is_exact(day: date, expected: list[int]) -> None:
    calls = np.array([100.0 * row[4] for row in ROWS if row[0] == "C" and row[2] == day])
    puts = np.array([100.0 * row[4] for row in ROWS if row[0] == "P" and row[2] == day])
    assert payouts(np.array([95.0, 100.0, 105.0]), calls, puts).tolist() == expected


def test_put_call_ratios_are_pooled_over_the_chain(chain: OptionChain) -> None:
    answer = analyze(chain)
    assert answer.put_call_ratio_oi == pytest.approx(1.0952380952, rel=1e-10)
    assert answer.put_call_ratio_volume == pytest.approx(0.9414473684, rel=1e-10)


def test_walls_stand_where_each_side_is_largest(chain: OptionChain) -> None:
    levels = analyze(chain).levels
    assert levels.call_wall is not None
    assert levels.put_wall is not None
    assert levels.max_gamma is not None
    assert (levels.call_wall.strike, levels.put_wall.strike, levels.max_gamma.strike) == (100.0, 100.0, 95.0)


def dealer_delta(chain: OptionChain, spot: float, days: float = 0.0, points: float = 0.0) -> float:
    """Dealers' delta in shares at another spot, time and volatility, carry kept: a full re-pricing."""
    years: Floats = chain.years - days / 365.0
    forward = carry_forward(spot, years, RATE, DIVIDEND)
    delta = greeks(spot, forward, chain.strike, years, RATE, chain.iv + 0.01 * points, chain.is_call).delta
    return float(np.sum(chain.sign * chain.open_interest * chain.multiplier * delta))


@pytest.mark.parametrize(
    ("spot", "days", "points", "hedge"),
    [
        (101.0, 0, 0, 3875.99380148), (99.0, 0, 0, -27710.2697279),
        (100.0, 1, 0, 13431.7838904), (100.0, 0, 1, -17808.5763793),
    ],
    ids=["spot +1 %", "spot -1 %", "one day", "one vol point"],
)  # fmt: skip
def test_the_dealers_hedge_by_full_repricing(
    chain: OptionChain, spot: float, days: float, points: float, hedge: float
) -> None:
    change = dealer_delta(chain, spot, days, points) - dealer_delta(chain, SPOT)
    assert -change == pytest.approx(hedge, rel=1e-9)


def test_the_exposures_are_the_first_order_of_that_hedge(chain: OptionChain) -> None:
    """In the limit of a small step each exposure is the change of dealer delta, in its own unit."""
    total, step = analyze(chain).totals, 1e-4
    at_spot = dealer_delta(chain, SPOT)
    per_percent = (dealer_delta(chain, SPOT + step) - dealer_delta(chain, SPOT - step)) / (2 * step) * SPOT**2 * 0.01
    per_point = (dealer_delta(chain, SPOT, points=step) - dealer_delta(chain, SPOT, points=-step)) / (2 * step)
    per_day = (dealer_delta(chain, SPOT, days=step) - dealer_delta(chain, SPOT, days=-step)) / (2 * step)
    assert per_percent == pytest.approx(total.net_gex, rel=1e-6)
    assert per_point * SPOT == pytest.approx(total.vanna_exposure, rel=1e-6)
    assert per_day * SPOT == pytest.approx(total.charm_exposure, rel=1e-6)
    assert at_spot * SPOT == pytest.approx(total.dex, rel=1e-12)

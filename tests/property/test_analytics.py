"""What must hold of every chain: scaling, splitting, signs, and one curve for headline and flip."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.analytics.document import document
from zerogex.domain.chain import COLUMNS, OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.exposure import TOTALS, Analysis, DealerModel, FlipStatus
from zerogex.pricing.greeks import carry_forward

AS_OF = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
RATE, DIVIDEND, SPOT = 0.045, 0.013, 400.0
EXPOSURES = tuple(name for name in TOTALS if name.endswith(("gex", "dex", "exposure", "dollar")))
quickly = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def chains(draw: st.DrawFn) -> OptionChain:
    """One to forty contracts, hours to a year from settlement, any open interest, some without volatility."""
    count = draw(st.integers(1, 40))

    def column(strategy: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(strategy, min_size=count, max_size=count))

    contracts = [
        OptionContract("SPY", "SPY", AS_OF.date() + timedelta(days=days), Decimal(strike), OptionKind(kind))
        for days, strike, kind in zip(
            column(st.sampled_from([0, 1, 4, 18, 109, 354])),
            column(st.integers(68, 92).map(lambda k: 5 * k)),
            column(st.sampled_from("CP")),
            strict=True,
        )
    ]
    chain = build_chain(
        "SPY", SPOT, AS_OF, contracts,
        open_interest=column(st.integers(0, 50_000)), volume=column(st.integers(0, 9_000)),
        iv=column(st.one_of(st.floats(0.05, 1.5), st.just(float("nan")))),
    )  # fmt: skip
    forward = carry_forward(SPOT, chain.years, RATE, DIVIDEND)
    return replace(chain, forward=forward, rate=np.full(count, RATE))


def strikes(analysis: Analysis) -> list[float | None]:
    """Where every level of an analysis stands."""
    levels = analysis.levels
    walls = [levels.call_wall, levels.put_wall, levels.max_gamma, *levels.variants.values()]
    return [wall.strike if wall else None for wall in walls] + [each.strike for each in analysis.max_pain]


@quickly
@given(chains())
def test_doubling_open_interest_doubles_exposure_and_moves_no_level(chain: OptionChain) -> None:
    one, two = analyze(chain), analyze(replace(chain, open_interest=2 * chain.open_interest))
    for name in EXPOSURES:
        factor = 1 if name == "volume_gex" else 2
        assert getattr(two.totals, name) == factor * getattr(one.totals, name)
    assert strikes(two) == strikes(one)
    assert two.flip.price == one.flip.price
    assert two.flip.status is one.flip.status
    assert two.put_call_ratio_oi == one.put_call_ratio_oi


@quickly
@given(chains(), st.integers(0, 10**6))
def test_a_position_split_over_two_rows_is_one_position(chain: OptionChain, seed: int) -> None:
    part = np.random.default_rng(seed).integers(0, chain.open_interest + 1)
    twice = {name: np.concatenate([getattr(chain, name)] * 2) for name in COLUMNS}
    twice["open_interest"] = np.concatenate([part, chain.open_interest - part])
    twice["volume"] = np.concatenate([chain.volume, 0 * chain.volume])
    one, two = analyze(chain), analyze(replace(chain, **twice))
    for name in TOTALS:
        scale = one.totals.gross_gex if name in ("net_gex", "volume_gex") else abs(getattr(one.totals, name))
        assert getattr(two.totals, name) == approx(getattr(one.totals, name), rel=1e-9, abs=1e-9 * scale + 1e-9)
    assert [row["strike"] for row in two.by_strike.rows()] == [row["strike"] for row in one.by_strike.rows()]
    assert two.max_pain == one.max_pain
    assert two.profile.net_gex == approx(one.profile.net_gex, rel=1e-6, abs=1e-9 * one.totals.gross_gex + 1e-12)


@quickly
@given(chains(), st.sampled_from([2.0**-6, 16.0, 1024.0]))
def test_a_dearer_underlying_scales_dollars_and_levels_alike(chain: OptionChain, factor: float) -> None:
    dearer = replace(
        chain, spot=factor * chain.spot, strike=factor * chain.strike, forward=factor * chain.forward
    )  # fmt: skip
    one, two = analyze(chain), analyze(dearer)
    assert two.totals.gross_gex == approx(factor * one.totals.gross_gex, rel=1e-9)
    assert two.flip.status is one.flip.status
    if one.flip.price is not None:
        assert two.flip.price == approx(factor * one.flip.price, rel=1e-7)
    assert [x and factor * x for x in strikes(one)] == strikes(two)


@quickly
@given(chains())
def test_dealer_models_are_signs_and_nothing_else(chain: OptionChain) -> None:
    by_model = {model: analyze(chain, AnalysisConfig(dealer_model=model)) for model in DealerModel}
    naive, inverse = by_model[DealerModel.NAIVE].totals, by_model[DealerModel.INVERSE].totals
    for name in EXPOSURES:
        sign = 1 if name == "gross_gex" else -1
        assert getattr(inverse, name) == sign * getattr(naive, name)
    long_all, short_all = by_model[DealerModel.LONG_ALL], by_model[DealerModel.SHORT_ALL]
    assert long_all.totals.net_gex == naive.call_gex - naive.put_gex == -short_all.totals.net_gex
    assert long_all.flip.status in (FlipStatus.NONE_POSITIVE, FlipStatus.LOW_COVERAGE)
    assert short_all.flip.status in (FlipStatus.NONE_NEGATIVE, FlipStatus.LOW_COVERAGE)
    inverted = by_model[DealerModel.INVERSE].flip
    assert inverted.price == by_model[DealerModel.NAIVE].flip.price
    assert [each.slope for each in inverted.crossings] == [
        -each.slope for each in by_model[DealerModel.NAIVE].flip.crossings
    ]


@quickly
@given(chains(), st.sampled_from(DealerModel))
def test_the_sign_of_net_gex_and_the_side_of_the_flip_agree(chain: OptionChain, model: DealerModel) -> None:
    """Above a rising flip gamma is positive, below it negative; without a flip the status says the sign."""
    answer = analyze(chain, AnalysisConfig(dealer_model=model))
    net, flip = answer.totals.net_gex, answer.flip
    if flip.status is FlipStatus.NONE_POSITIVE:
        assert net >= 0
    elif flip.status is FlipStatus.NONE_NEGATIVE:
        assert net <= 0
    elif flip.price is not None and net != 0.0:
        crossing = next(each for each in flip.crossings if each.price == flip.price)
        if crossing.slope != 0.0 and abs(crossing.price - answer.spot) > 1e-9 * answer.spot:
            above = (crossing.slope > 0) == (answer.spot > crossing.price)
            assert above == (net > 0)


@quickly
@given(chains())
def test_the_headline_is_the_curve_at_spot(chain: OptionChain) -> None:
    answer = analyze(chain)
    middle = len(answer.profile.spots) // 2
    assert answer.profile.spots[middle] == answer.spot
    assert answer.profile.net_gex[middle] == approx(answer.totals.net_gex, abs=1e-12 * answer.totals.gross_gex)


@quickly
@given(chains())
def test_a_flip_is_a_zero_of_the_curve_between_two_signs(chain: OptionChain) -> None:
    answer = analyze(chain)
    prices = [each.price for each in answer.flip.crossings]
    assert prices == sorted(prices)
    for one, two in zip(answer.flip.crossings, answer.flip.crossings[1:], strict=False):
        assert one.slope * two.slope <= 0
    assert answer.flip.price is None or answer.flip.price in prices


@quickly
@given(chains(), st.sampled_from(["own", "vendor"]))
def test_every_answer_is_plain_and_sums_agree(chain: OptionChain, greeks: str) -> None:
    answer = analyze(chain, AnalysisConfig(greeks=greeks))
    page = document(answer)
    assert all(isinstance(value, (str, int, float, bool, list, dict, type(None))) for value in page.values())
    for name in EXPOSURES:
        column = [row[name] for row in page["by_strike"]]
        assert sum(column) == approx(page[name], rel=1e-9, abs=1e-9 * sum(abs(x) for x in column))
    assert page["coverage"]["open_interest_used"] <= page["coverage"]["open_interest"]


@quickly
@given(chains())
def test_time_only_removes_contracts(chain: OptionChain) -> None:
    """After the last settlement nothing is left, and nothing is made up."""
    gone = replace(chain, as_of=datetime.combine(date(2027, 12, 31), AS_OF.time(), UTC))
    answer = analyze(gone)
    assert answer.coverage.live == 0
    assert answer.totals.net_gex == 0.0
    assert strikes(answer) == [None] * 9
    assert answer.notes == ("Every contract of the chain has settled.",)

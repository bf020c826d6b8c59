"""When a rule is crossed: once a crossing, however long it flutters, and nothing that lasts goes untold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from zerogex.alerts.crossing import judge
from zerogex.alerts.words import parse_rule, trouble_rules
from zerogex.domain.alert import AlertRule, Reading, Side, Standing

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
CROSSES = parse_rule("SPY spot crosses 500", "1", band="1", cooldown="60s")


def told(rule: AlertRule, values: Sequence[float], *, every_s: float = 100.0, band: float = 1.0) -> list[Side]:
    """The sides told of as a field goes through these values."""
    standing, sides = Standing(), []
    for i, value in enumerate(values):
        now = Reading(value, 500.0, band, START + timedelta(seconds=every_s * i))
        standing, side = judge(rule, standing, now)
        sides += [side] if side is not None else []
    assert standing.crossings == len(sides)
    return sides


def test_the_first_reading_is_a_place_and_no_crossing() -> None:
    assert told(CROSSES, [510.0, 511.0]) == []
    assert told(CROSSES, [500.0, 510.0]) == []  # unknown until it is beyond the band


def test_a_price_that_flutters_within_the_band_is_told_once() -> None:
    assert told(CROSSES, [498.0, 500.5, 499.5, 500.9, 501.5, 500.2, 499.3, 500.7, 501.2]) == [Side.ABOVE]


def test_both_ways_and_one_way() -> None:
    path = [490.0, 510.0, 490.0, 510.0]
    assert told(CROSSES, path) == [Side.ABOVE, Side.BELOW, Side.ABOVE]
    assert told(parse_rule("SPY spot above 500", "1", cooldown="60s"), path) == [Side.ABOVE, Side.ABOVE]
    assert told(parse_rule("SPY spot below 500", "1", cooldown="60s"), path) == [Side.BELOW]


def test_a_crossing_within_the_cooldown_is_told_when_it_lasts() -> None:
    assert told(CROSSES, [490.0, 510.0, 490.0, 510.0, 510.0], every_s=10.0) == [Side.ABOVE]  # back before it counted
    assert told(CROSSES, [490.0, 510.0, *[490.0] * 7], every_s=10.0) == [Side.ABOVE, Side.BELOW]


def test_a_market_that_begins_anew_owes_no_cooldown() -> None:
    before = Standing(Side.BELOW, 3, START + timedelta(days=2))
    assert judge(CROSSES, before, Reading(510.0, 500.0, 1.0, START))[1] is Side.ABOVE


def test_a_condition_is_news_from_the_start_and_its_end_is_told_at_once() -> None:
    (rule,) = trouble_rules(())
    standing, side = judge(rule, Standing(), Reading(1.0, 0.5, 0.0, START))
    assert side is Side.ABOVE
    assert judge(rule, standing, Reading(0.0, 0.5, 0.0, START + timedelta(seconds=1)))[1] is Side.BELOW
    assert judge(rule, Standing(), Reading(0.0, 0.5, 0.0, START))[1] is None


def test_a_condition_that_flaps_is_told_once_a_cooldown() -> None:
    (rule,) = trouble_rules(())
    standing, begun = Standing(), 0
    for second in range(0, 600, 5):
        value = float(second // 5 % 2 == 0)
        standing, side = judge(rule, standing, Reading(value, 0.5, 0.0, START + timedelta(seconds=second)))
        begun += side is Side.ABOVE
    assert begun == 2  # at the start, and after five minutes


@given(st.lists(st.floats(480.0, 520.0), min_size=2, max_size=80))
def test_sides_alternate_and_the_last_one_told_is_the_last_that_lasted(values: list[float]) -> None:
    rule = parse_rule("SPY spot crosses 500", "1", band="1", cooldown="0s")
    sides = told(rule, values)
    assert all(one is not other for one, other in itertools.pairwise(sides))
    beyond = [Side.ABOVE if value > 501 else Side.BELOW for value in values if abs(value - 500) > 1]
    changes = [side for before, side in itertools.pairwise(beyond) if side is not before]
    assert sides == changes


@given(st.lists(st.floats(480.0, 520.0), min_size=2, max_size=80), st.sampled_from([490.0, 510.0]), st.integers(1, 50))
def test_never_two_within_a_cooldown_and_where_it_ends_is_told(values: list[float], end: float, every_s: int) -> None:
    path = [*values, *[end] * 61]
    sides = told(CROSSES, path, every_s=float(every_s))
    assert len(sides) <= 1 + every_s * len(path) / 60
    beyond = [Side.ABOVE if value > 501 else Side.BELOW for value in path if abs(value - 500) > 1]
    assert (sides[-1] if sides else beyond[0]) is beyond[-1]

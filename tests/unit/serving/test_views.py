"""What the API says of an analysis, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from zerogex.analytics.staleness import is_spot_stale
from zerogex.clock import ManualClock, ScaledClock
from zerogex.serving import views
from zerogex.serving.views import Moment

NOON = datetime(2026, 2, 20, 17, 0, tzinfo=UTC)
SATURDAY = datetime(2026, 2, 21, 17, 0, tzinfo=UTC)
DOCUMENT = {
    "underlying": "SPY",
    "spot": 690.5,
    "data_timestamp": "2026-02-20T16:59:58Z",
    "computed_at": "2026-02-20T16:59:59Z",
    "net_gex": 1.5e9,
    "coverage": {"stale_s": 0.5},
    "by_strike": [{"strike": 690.0}],
    "profile": {"spots": [1.0], "net_gex": [2.0]},
}


def moment(now: datetime = NOON, *, simulated: bool = False, database: bool = True) -> Moment:
    return Moment.of(ManualClock(now, simulated=simulated), 30.0, database)


def test_the_age_counts_from_the_newest_quote() -> None:
    assert views.age_seconds(DOCUMENT, moment()) == 2.5


def test_a_clock_a_little_behind_the_data_gives_age_zero() -> None:
    assert views.age_seconds(DOCUMENT, moment(NOON - timedelta(seconds=5))) == 0.0
    fast = replace(moment(NOON - timedelta(minutes=4)), speed=60.0)
    assert views.age_seconds(DOCUMENT, fast) == 0.0


@pytest.mark.parametrize("now", [NOON - timedelta(minutes=5), NOON - timedelta(days=4), SATURDAY - timedelta(days=7)])
def test_data_from_the_future_has_no_age_and_is_stale_at_any_hour(now: datetime) -> None:
    face = views.clock_face(DOCUMENT | {"simulated": True}, moment(now, simulated=True))
    assert (face["state"], face["stale"], face["age_seconds"]) == ("stale", True, None)


@pytest.mark.parametrize(
    ("word", "now", "change", "simulated"),
    [
        ("live", NOON, {}, False),
        ("delayed", NOON, {"delayed": True}, False),
        ("simulated", NOON, {"simulated": True}, False),
        ("simulated", NOON, {}, True),
        ("replay", NOON, {"replay": True, "simulated": True}, False),
        ("stale", NOON + timedelta(seconds=40), {}, False),
        ("stale", NOON + timedelta(seconds=40), {"simulated": True}, True),
        ("stale", NOON, {"data_timestamp": None}, False),
        ("stale", NOON, {"coverage": {"stale_s": 0.5, "spot_age_s": 61.0}}, False),
        ("live", NOON, {"coverage": {"stale_s": 0.5, "spot_age_s": 59.0}}, False),
        ("closed", SATURDAY, {}, False),
        ("closed", SATURDAY, {"simulated": True}, True),
    ],
)
def test_the_state_is_one_word(word: str, now: datetime, change: dict, simulated: bool) -> None:
    assert views.state(DOCUMENT | change, moment(now, simulated=simulated)) == word


def test_patience_with_old_data_follows_the_speed_of_a_simulated_clock() -> None:
    fast = Moment.of(ScaledClock(NOON, datetime.now(UTC), speed=60.0), 30.0, True)
    assert fast.stale_after_s == 1800.0


def test_a_spot_that_stalls_is_told_with_its_age_and_a_fast_market_gets_two_real_seconds() -> None:
    stalled = DOCUMENT | {"coverage": {"stale_s": 0.5, "spot_age_s": 130.0}}
    face = views.clock_face(stalled, moment(NOON + timedelta(seconds=5)))
    assert (face["state"], face["stale"], face["spot_stale"], face["spot_age_seconds"]) == ("stale", True, True, 137.0)
    face = views.clock_face(DOCUMENT, moment(NOON))
    assert (face["spot_stale"], face["spot_age_seconds"]) == (False, 2.0)
    assert not views.is_spot_stale(stalled, replace(moment(NOON), speed=120.0))


@pytest.mark.parametrize(
    ("hour", "age_s", "stale"),
    [(13, 299.0, False), (13, 301.0, True), (15, 61.0, True), (22, 299.0, False), (22, 301.0, True), (3, 1e6, False)],
)
def test_how_old_a_spot_may_be_follows_the_session(hour: int, age_s: float, stale: bool) -> None:
    assert is_spot_stale(age_s, NOON.replace(hour=hour)) is stale


def test_numbers_without_a_database_are_stale_whatever_their_state() -> None:
    head = views.head(DOCUMENT, moment(database=False))
    assert (head["state"], head["stale"], head["database"]) == ("live", True, "down")


def test_the_summary_has_every_number_and_no_rows() -> None:
    summary = views.summary(DOCUMENT, moment())
    assert summary["net_gex"] == 1.5e9
    assert not views.BULK & summary.keys()


@pytest.mark.parametrize("view", views.VIEWS)
def test_every_view_begins_with_the_same_head(view: str) -> None:
    said = views.VIEWS[view](DOCUMENT, moment())
    for name in ("data_timestamp", "computed_at", "age_seconds", "session", "coverage", "simulated", "state"):
        assert name in said


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (datetime(2026, 2, 20, 12, 0, tzinfo=UTC), datetime(2026, 2, 20, 14, 30, tzinfo=UTC)),
        (datetime(2026, 2, 20, 22, 0, tzinfo=UTC), datetime(2026, 2, 23, 14, 30, tzinfo=UTC)),
        (SATURDAY, datetime(2026, 2, 23, 14, 30, tzinfo=UTC)),
        (datetime(2026, 3, 7, 12, 0, tzinfo=UTC), datetime(2026, 3, 9, 13, 30, tzinfo=UTC)),  # summer time began
    ],
)
def test_a_closed_market_says_when_it_opens(now: datetime, opens: datetime) -> None:
    assert moment(now).next_open == opens


def test_an_open_market_does_not_say_when_it_opens() -> None:
    assert moment(NOON).next_open is None

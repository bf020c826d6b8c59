"""What a rule reads of an analysis, and when it does not believe it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zerogex.alerts.fields import Unit
from zerogex.alerts.readings import Outlook, reading
from zerogex.alerts.sentences import alert_of, amount
from zerogex.alerts.words import parse_rule, trouble_rules
from zerogex.domain.alert import Side

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # Monday, 12:00 in New York
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def document(**changed: Any) -> dict[str, Any]:
    """An analysis as the database has it."""
    coverage = {"pct": 95.0, "stale_s": 0.0, "spot_age_s": 0.0} | changed.pop("coverage", {})
    whole = {
        "underlying": "SPY", "spot": 502.5, "gamma_flip": 500.0, "net_gex": 1.2e9, "gross_gex": 4e9, "put_wall": None,
        "data_timestamp": NOON.isoformat(), "simulated": False, "delayed": False, "coverage": coverage,
    }  # fmt: skip
    return whole | changed


def outlook(now: datetime = NOON, since: datetime = OPEN, **changed: Any) -> Outlook:
    """The world as the watch sees it."""
    return Outlook(now, since, documents={"SPY": document(**changed)})


def test_a_field_is_read_against_another_or_a_number() -> None:
    found = reading(parse_rule("SPY spot crosses gamma_flip", "1"), outlook())
    assert found is not None
    assert (found.value, found.threshold, found.at) == (502.5, 500.0, NOON)
    assert found.band == pytest.approx(0.1)  # 0.02 % of 500
    exposure = reading(parse_rule("SPY net_gex below 0", "1"), outlook())
    assert exposure is not None
    assert exposure.band == pytest.approx(8e7)  # 2 % of gross GEX: a percentage of zero would be none


@pytest.mark.parametrize(
    "changed",
    [
        {"gamma_flip": None},
        {"spot": float("nan")},
        {"coverage": {"pct": 49.0}},
        {"coverage": {"spot_age_s": 61.0}},
        {"coverage": {"stale_s": 61.0}},
        {"data_timestamp": (NOON - timedelta(seconds=61)).isoformat()},
    ],
)
def test_what_is_missing_old_or_half_is_no_reading(changed: dict[str, Any]) -> None:
    assert reading(parse_rule("SPY spot crosses gamma_flip", "1"), outlook(**changed)) is None


def test_an_underlying_that_nobody_analyses_has_no_reading() -> None:
    assert reading(parse_rule("QQQ spot above 3", "1"), outlook()) is None


def test_a_rule_of_a_newer_program_is_passed_over() -> None:
    rule = replace(parse_rule("SPY spot above gamma_flip", "1"), field="skew")
    assert reading(rule, outlook()) is None
    assert reading(replace(rule, field="spot", threshold="skew"), outlook()) is None


@pytest.mark.parametrize(
    ("now", "age_s", "since", "stale"),
    [
        (NOON, 61, OPEN, 1.0),
        (NOON, 30, OPEN, 0.0),
        (NOON, 3600, NOON - timedelta(seconds=20), 0.0),  # we only began to look
        (OPEN + timedelta(seconds=5), 60_000, OPEN - timedelta(days=1), 0.0),  # the market only opened
        (OPEN + timedelta(seconds=65), 60_000, OPEN - timedelta(days=1), 1.0),
        (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), 7200, OPEN, None),  # after hours
        (datetime(2026, 11, 26, 17, 0, tzinfo=UTC), 90_000, OPEN, None),  # Thanksgiving
        (datetime(2026, 11, 27, 18, 30, tzinfo=UTC), 1800, OPEN, None),  # 13:30 of the half day after it
        (datetime(2026, 11, 29, 17, 0, tzinfo=UTC), 200_000, OPEN, None),  # Sunday
    ],
)
def test_data_are_old_only_while_the_market_is_open(
    now: datetime, age_s: float, since: datetime, stale: float | None
) -> None:
    rule = trouble_rules(("SPY",))[1]
    found = reading(rule, outlook(now, since, data_timestamp=(now - timedelta(seconds=age_s)).isoformat()))
    assert (None if found is None else found.value) == stale


def test_a_fast_simulated_market_gets_real_seconds() -> None:
    old = {"SPY": document(data_timestamp=(NOON - timedelta(seconds=600)).isoformat())}
    rule = trouble_rules(("SPY",))[1]
    found = reading(rule, Outlook(NOON, OPEN, speed=60.0, documents=old))
    assert found is not None
    assert found.value == 0.0


def test_a_refused_feed_is_read_with_the_vendors_words() -> None:
    rule = trouble_rules(())[0]
    found = reading(rule, Outlook(NOON, OPEN, feed_trouble="invalid_grant"))
    assert found is not None
    assert (found.value, found.words) == (1.0, "invalid_grant")
    alert = alert_of(rule, 1, Side.ABOVE, found)
    assert (alert.alert_id, alert.title) == ("feed_refused#1", "The feed is refused")
    assert "invalid_grant" in alert.text


def test_an_alert_says_what_where_when_and_what_kind_of_number_it_is() -> None:
    rule = parse_rule("SPY spot crosses gamma_flip", "7")
    found = reading(rule, outlook(simulated=True, delayed=True))
    assert found is not None
    alert = alert_of(rule, 3, Side.ABOVE, found)
    assert alert.alert_id == "7#3"
    assert alert.title == "SIMULATED DELAYED SPY spot rose above the gamma flip"
    assert alert.text == "Spot 502.50, the gamma flip 500.00 (Mon 12:00:00 ET)"


def test_amounts() -> None:
    assert [amount(value, Unit.EXPOSURE) for value in (-1.387e9, 2.5e6, -900.0, 0.0)] == [
        "-$1.39 bn", "$2.50 M", "-$900", "$0",
    ]  # fmt: skip
    assert amount(1234.5, Unit.PRICE) == "1,234.50"

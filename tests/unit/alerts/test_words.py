"""Rules as people write them, and what is said of those that are none."""

from __future__ import annotations

import pytest

from zerogex.alerts.fields import FIELDS
from zerogex.alerts.words import parse_band, parse_rule, parse_seconds, spelled, trouble_rules
from zerogex.domain.alert import Band, Direction
from zerogex.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "underlying", "field", "direction", "threshold"),
    [
        ("SPY spot crosses gamma_flip", "SPY", "spot", Direction.CROSSES, "gamma_flip"),
        ("spx NET-GEX Below 0", "SPX", "net_gex", Direction.BELOW, 0.0),
        ("SPX net_gex below -1.5bn", "SPX", "net_gex", Direction.BELOW, -1.5e9),
        ("BRK.B spot above 1,234.5", "BRK.B", "spot", Direction.ABOVE, 1234.5),
        ("QQQ put_gex below -250M", "QQQ", "put_gex", Direction.BELOW, -2.5e8),
        ("SPY put_call_ratio_oi above 1.2", "SPY", "put_call_ratio_oi", Direction.ABOVE, 1.2),
        ("SPY spot above call-wall", "SPY", "spot", Direction.ABOVE, "call_wall"),
    ],
)
def test_a_rule_is_read(text: str, underlying: str, field: str, direction: Direction, threshold: float | str) -> None:
    rule = parse_rule(text, "1")
    assert (rule.underlying, rule.field, rule.direction, rule.threshold) == (underlying, field, direction, threshold)


@pytest.mark.parametrize("text", ["SPY spot crosses gamma_flip", "SPX net_gex below -1.5bn", "SPY spot above 5,000.25"])
def test_what_is_spelled_is_read_again(text: str) -> None:
    rule = parse_rule(text, "1")
    assert parse_rule(spelled(rule), "1") == rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SPY spot", "is not a rule; expected UNDERLYING FIELD"),
        ("", "is not a rule"),
        ("SPY spott above 3", "did you mean spot?"),
        ("SPY spot over 3", "'over' is not a direction"),
        ("SPY spot above lots", "'lots' is not a number or a field"),
        ("SPY spot above nan", "'nan' is not a number or a field"),
        ("SPY spot above spot", "cannot compare spot with itself"),
        ("SPY spot above net_gex", "they cannot be compared"),
        ("'; spot above 3", "is not a symbol"),
        ("SPY net_gex below 1e400", "'1e400' is larger than net_gex can be"),
        ("SPY net_gex below -1e300bn", "'-1e300bn' is larger than net_gex can be; expected up to 1e+15"),
    ],
)
def test_what_is_no_rule_is_said_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_rule(text, "1")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_bands_and_times() -> None:
    assert parse_band("0.5") == Band(0.5)
    assert parse_band("0.05%") == Band(0.05, percent=True)
    assert [parse_seconds(text) for text in ("90", "30s", "15m", "2h", "0")] == [90, 30, 900, 7200, 0]
    for wrong in ("x", "-1", "60%", ""):
        with pytest.raises(SettingsError, match="band is"):
            parse_band(wrong)
    for wrong in ("x", "3d", "25h", "-5m"):
        with pytest.raises(SettingsError, match="cooldown is"):
            parse_seconds(wrong)


def test_every_field_has_a_band_of_its_own_unit() -> None:
    for name in FIELDS:
        assert parse_rule(f"SPY {name} above 1", "1").band.amount > 0


def test_trouble_is_watched_of_each_underlying_and_of_the_feed() -> None:
    assert [spelled(rule) for rule in trouble_rules(("SPY", "SPX"))] == [
        "feed_refused", "SPY data_stale", "SPX data_stale",
    ]  # fmt: skip

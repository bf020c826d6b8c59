"""Rules as people write them: `SPY spot crosses gamma_flip`, `SPX net_gex below 0`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from zerogex.alerts.fields import DEFAULT_BANDS, FIELDS
from zerogex.domain.alert import AlertRule, Band, Direction
from zerogex.errors import WrongUsage

EXAMPLE = "SPY spot crosses gamma_flip"
_UNDERLYING = re.compile(r"[A-Z][A-Z0-9.]{0,9}")
_FACTORS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "BN": 1e9}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(k|m|bn?|)", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|)")
_LARGEST = 1e15  # dollars; more is a slip of the hand
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_rule(text: str, rule_id: str, *, band: str | None = None, cooldown: str = "5m") -> AlertRule:
    """A rule from its words.

    Raises WrongUsage naming the word that is not understood, what was expected, and an example.
    """
    words = text.split()
    if len(words) != 4:
        raise WrongUsage(
            f"{text!r} is not a rule; expected UNDERLYING FIELD above|below|crosses NUMBER-OR-FIELD "
            f"(example: {EXAMPLE!r})"
        )
    underlying, name, direction, limit = words
    if not _UNDERLYING.fullmatch(underlying.upper()):
        raise WrongUsage(f"{underlying!r} is not a symbol (example: {EXAMPLE!r})")
    field = FIELDS[_known(name, tuple(FIELDS), "a field")]
    way = Direction(_known(direction, ("above", "below", "crosses"), "a direction"))
    threshold = _threshold(limit, field.name)
    width = DEFAULT_BANDS[field.unit] if band is None else parse_band(band)
    return AlertRule(rule_id, underlying.upper(), field.name, way, threshold, width, parse_seconds(cooldown))


def spelled(rule: AlertRule) -> str:
    """A rule's words."""
    who = f"{rule.underlying} " if rule.underlying else ""
    if rule.direction is Direction.HOLDS:
        return f"{who}{rule.field}"
    limit = f"{rule.threshold:,.12g}" if isinstance(rule.threshold, float) else rule.threshold
    return f"{who}{rule.field} {rule.direction.value} {limit}"


def trouble_rules(underlyings: Sequence[str]) -> list[AlertRule]:
    """What is watched without being asked for: the feed, and each underlying's data."""
    rules = [AlertRule(f"{who}:data_stale", who, "data_stale", Direction.HOLDS) for who in underlyings]
    return [AlertRule("feed_refused", "", "feed_refused", Direction.HOLDS), *rules]


def parse_band(text: str) -> Band:
    """`0.5` (in the field's unit) or `0.05%`; raises WrongUsage."""
    percent = text.strip().endswith("%")
    try:
        amount = _number(text.strip().removesuffix("%"))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < _LARGEST or (percent and amount > 50):
        raise WrongUsage(f"band is {text!r}; expected a number such as 0.5, or up to 50 percent such as 0.05%")
    return Band(amount, percent)


def parse_seconds(text: str) -> float:
    """`90`, `90s`, `15m` or `2h` in seconds; raises WrongUsage."""
    match = _TIME.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if not 0 <= seconds <= 86400:
        raise WrongUsage(f"cooldown is {text!r}; expected a time up to a day such as 30s, 15m or 2h")
    return seconds


def _threshold(text: str, field: str) -> float | str:
    try:
        value = _number(text)
    except ValueError:
        return _other_field(text, field)
    if not abs(value) <= _LARGEST:
        raise WrongUsage(f"{text!r} is larger than {field} can be; expected up to {_LARGEST:g} either way")
    return value


def _other_field(text: str, field: str) -> str:
    name = _known(text, tuple(FIELDS), "a number or a field")
    if name == field:
        raise WrongUsage(f"a rule cannot compare {field} with itself (example: {EXAMPLE!r})")
    if FIELDS[name].unit is not FIELDS[field].unit:
        raise WrongUsage(
            f"{field} is in {FIELDS[field].unit.value}, {name} in {FIELDS[name].unit.value}: they cannot be compared"
        )
    return name


def _number(text: str) -> float:
    """A number with thousands separators and k, M, bn; raises ValueError."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return float(match[1].replace(",", "").replace("_", "")) * _FACTORS[match[2].upper()]


def _known(word: str, known: tuple[str, ...], what: str) -> str:
    found = word.lower().replace("-", "_")
    if found in known:
        return found
    close = get_close_matches(found, known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    raise WrongUsage(f"{word!r} is not {what}{meant}; expected {', '.join(known)} (example: {EXAMPLE!r})")

"""An alert in words: short enough for a phone, and honest about what the numbers are."""

from __future__ import annotations

from zerogex.alerts.fields import FIELDS, Unit
from zerogex.domain.alert import Alert, AlertRule, Direction, Reading, Side
from zerogex.domain.calendar import NEW_YORK

_SCALES = ((1e12, "tn"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))


def alert_of(rule: AlertRule, number: int, side: Side, reading: Reading) -> Alert:
    """The rule's alert of that number."""
    title, text = _condition(rule, side, reading) if rule.direction is Direction.HOLDS else _level(rule, side, reading)
    marks = [word for word, so in (("SIMULATED", reading.simulated), ("DELAYED", reading.delayed)) if so]
    return Alert(
        f"{rule.rule_id}#{number}", rule.rule_id, rule.underlying, reading.at, side,
        " ".join((*marks, title)), f"{text} ({reading.at.astimezone(NEW_YORK):%a %H:%M:%S} ET)",
        reading.value, reading.threshold, reading.simulated,
    )  # fmt: skip


def amount(value: float, unit: Unit) -> str:
    """A number as people of the field write it: 502.00, -$1.39 bn, 0.85."""
    if unit is not Unit.EXPOSURE:
        return f"{value:,.2f}"
    sign, size = "-" if value < 0 else "", abs(value)
    for scale, letter in _SCALES:
        if size >= scale:
            return f"{sign}${size / scale:.2f} {letter}"
    return f"{sign}${size:.0f}"


def _level(rule: AlertRule, side: Side, reading: Reading) -> tuple[str, str]:
    field = FIELDS[rule.field]
    limit = amount(reading.threshold, field.unit)
    named = FIELDS[rule.threshold].words if isinstance(rule.threshold, str) else limit
    verb = "rose above" if side is Side.ABOVE else "fell below"
    against = f", {FIELDS[rule.threshold].words} {limit}" if isinstance(rule.threshold, str) else ""
    text = f"{field.words} {amount(reading.value, field.unit)}{against}"
    return f"{rule.underlying} {field.words} {verb} {named}", text[0].upper() + text[1:]


def _condition(rule: AlertRule, side: Side, reading: Reading) -> tuple[str, str]:
    if rule.field == "feed_refused":
        if side is Side.ABOVE:
            return "The feed is refused", reading.words
        return "The feed is accepted again", "The vendor accepts our credentials."
    if side is Side.ABOVE:
        return f"{rule.underlying} data are old", f"The market is open, and {reading.words}"
    return f"{rule.underlying} data are fresh again", f"{reading.words[0].upper()}{reading.words[1:]}"

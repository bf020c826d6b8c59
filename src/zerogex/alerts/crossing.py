"""When a rule is crossed: a state machine of two sides, with hysteresis and a cooldown.

A reading changes sides when it is beyond the threshold by more than the band; one inside the band leaves the side as
it was, so that a price that flutters around a level is told once.  A change within the cooldown of the last alert
is postponed: the side stays, and whoever is still on the other side when the cooldown is over crosses then.  Nothing
that lasts goes untold.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from zerogex.domain.alert import AlertRule, Direction, Reading, Side, Standing


def judge(rule: AlertRule, standing: Standing, reading: Reading) -> tuple[Standing, Side | None]:
    """Where the rule stands after a reading, and the side to tell of (None: nothing to tell).

    The first reading of a level only finds its side: that is where it is, not a crossing.  Of a condition it is news
    that it holds.
    """
    side = _side(rule, standing, reading)
    if side is standing.side:
        return standing, None
    if standing.side is None and not (rule.direction is Direction.HOLDS and side is Side.ABOVE):
        return replace(standing, side=side), None
    if not _is_told(rule, side):
        return replace(standing, side=side), None
    if _cools_down(rule, standing, reading, side):
        return standing, None
    return Standing(side, standing.crossings + 1, reading.at), side


def _side(rule: AlertRule, standing: Standing, reading: Reading) -> Side | None:
    beyond = reading.value - reading.threshold
    if abs(beyond) <= reading.band or beyond == 0.0:
        if standing.side is None and rule.direction is Direction.HOLDS:
            return Side.BELOW
        return standing.side
    return Side.ABOVE if beyond > 0 else Side.BELOW


def _is_told(rule: AlertRule, side: Side | None) -> bool:
    if rule.direction is Direction.ABOVE:
        return side is Side.ABOVE
    return side is Side.BELOW if rule.direction is Direction.BELOW else True


def _cools_down(rule: AlertRule, standing: Standing, reading: Reading, side: Side | None) -> bool:
    """Whether it is too early to tell: never for the end of a condition; a market begun anew forgets."""
    if standing.told_at is None or (rule.direction is Direction.HOLDS and side is Side.BELOW):
        return False
    return timedelta(0) <= reading.at - standing.told_at < timedelta(seconds=rule.cooldown_s)

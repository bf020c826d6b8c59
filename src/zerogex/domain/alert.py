"""Alerts: what to watch for, how it stands, and what was told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Direction(StrEnum):
    """Which change of a reading is worth telling."""

    ABOVE = "above"  # from below the threshold to above it
    BELOW = "below"
    CROSSES = "crosses"  # either way
    HOLDS = "holds"  # a condition begins, and ends


class Side(IntEnum):
    """Where a reading is: of a condition, whether it holds."""

    BELOW = -1
    ABOVE = 1


@dataclass(frozen=True, slots=True)
class Band:
    """How far beyond the threshold a reading must be before it has crossed: hysteresis."""

    amount: float  # in the field's unit, or percent
    percent: bool = False  # of the threshold's absolute value, or of gross GEX where the field says so

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.percent else f"{self.amount:g}"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One thing to watch for.  `threshold` is a number, or the name of another field of the same analysis."""

    rule_id: str
    underlying: str  # empty: the platform itself
    field: str
    direction: Direction
    threshold: float | str | None = None  # None: a condition
    band: Band = Band(0.0)
    cooldown_s: float = 300.0  # market seconds between two alerts of the rule
    created_at: datetime | None = None  # by the database's clock; None: built in


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rule was when it was last looked at."""

    side: Side | None = None  # None: never known
    crossings: int = 0  # how many were told
    told_at: datetime | None = None  # market time of the last one


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule's field was, and against what."""

    value: float
    threshold: float
    band: float  # absolute, in the field's unit
    at: datetime  # market time
    simulated: bool = False
    delayed: bool = False
    words: str = ""  # of a condition: what is so


@dataclass(frozen=True, slots=True)
class Alert:
    """One crossing of one rule, worded for people."""

    alert_id: str  # rule and running number: the same crossing never has two
    rule_id: str
    underlying: str
    at: datetime  # market time
    side: Side
    title: str
    text: str
    value: float
    threshold: float
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert on its way to one channel."""

    alert: Alert
    channel: str
    attempts: int  # this one included
    age_s: float  # since it was raised, by the database's clock


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What became of the alerts for one channel; times are the database's."""

    channel: str
    place: str  # its host: never the address, which may hold a secret
    checked_at: datetime  # when the process that delivers was last seen
    pending: int = 0
    oldest_pending_at: datetime | None = None
    last_delivered_at: datetime | None = None
    failing_since: datetime | None = None
    last_error: str | None = None
    age_s: float = 0.0  # since checked_at, by the database's clock

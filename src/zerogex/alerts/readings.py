"""What a rule's field is now, where that can be trusted.

A number that is old, or that rests on half a chain, is no reading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from zerogex.alerts.fields import FIELDS, band_base
from zerogex.domain.alert import AlertRule, Reading
from zerogex.domain.calendar import Session, session_at, session_open, trading_date

STALE_AFTER_S = 60.0  # of quotes and of spot, market seconds; a fast simulated market gets as many real ones
COVERAGE_PCT = 50.0  # of open interest, below which exposures and levels are not judged

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the world when rules are judged."""

    now: datetime  # market time
    since: datetime  # market time at which watching began: silence before it was nobody's
    speed: float = 1.0
    documents: Mapping[str, Document] = field(default_factory=dict)  # newest analysis by underlying
    feed_trouble: str | None = None
    simulated: bool = False


def reading(rule: AlertRule, outlook: Outlook) -> Reading | None:
    """The rule's reading, or None where nothing can be said now."""
    if rule.field == "feed_refused":
        refused = outlook.feed_trouble is not None
        return Reading(float(refused), 0.5, 0.0, outlook.now, outlook.simulated, words=outlook.feed_trouble or "")
    document = outlook.documents.get(rule.underlying)
    if document is None:
        return None
    if rule.field == "data_stale":
        return _staleness(document, outlook)
    if rule.field not in FIELDS or (isinstance(rule.threshold, str) and rule.threshold not in FIELDS):
        return None  # a rule of a newer program
    return _level(rule, document, outlook)


def age_s(document: Document, now: datetime) -> float:
    """Market seconds since the newest quote of an analysis."""
    before = float((document.get("coverage") or {}).get("stale_s") or 0.0)
    return max((now - datetime.fromisoformat(document["data_timestamp"])).total_seconds() + before, 0.0)


def _staleness(document: Document, outlook: Outlook) -> Reading | None:
    """Whether data are old while the market is open; outside the regular session silence says nothing."""
    if session_at(outlook.now) is not Session.REGULAR:
        return None
    old = age_s(document, outlook.now)
    opened = session_open(trading_date(outlook.now))
    waited = min(old, *((outlook.now - start).total_seconds() for start in (opened, outlook.since)))
    stale = waited > STALE_AFTER_S * max(outlook.speed, 1.0)
    words = f"the newest quote is {old:.0f} s old"
    return Reading(float(stale), 0.5, 0.0, outlook.now, bool(document.get("simulated")), words=words)


def _level(rule: AlertRule, document: Document, outlook: Outlook) -> Reading | None:
    unit = FIELDS[rule.field].unit
    value = _number(document, rule.field)
    threshold = _number(document, rule.threshold) if isinstance(rule.threshold, str) else rule.threshold
    if value is None or threshold is None or not _is_trusted(document, outlook):
        return None
    if rule.band.percent:
        band = rule.band.amount / 100 * band_base(unit, threshold, float(document.get("gross_gex") or 0.0))
    else:
        band = rule.band.amount
    at = datetime.fromisoformat(document["data_timestamp"])
    return Reading(value, threshold, band, at, bool(document.get("simulated")), bool(document.get("delayed")))


def _is_trusted(document: Document, outlook: Outlook) -> bool:
    coverage = document.get("coverage") or {}
    limit_s = STALE_AFTER_S * max(outlook.speed, 1.0)
    if max(age_s(document, outlook.now), float(coverage.get("spot_age_s") or 0.0)) > limit_s:
        return False
    return float(coverage.get("pct") or 0.0) >= COVERAGE_PCT


def _number(document: Document, name: str) -> float | None:
    value = document.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

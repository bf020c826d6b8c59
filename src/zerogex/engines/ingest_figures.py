"""Ingest in figures: what its underlyings say of themselves when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from zerogex.engines.feed_trouble import FeedTrouble
from zerogex.engines.follow import StreamBudget
from zerogex.engines.ingest_underlying import UnderlyingIngest
from zerogex.metrics import Labels


def figures(
    followed: Sequence[UnderlyingIngest], budget: StreamBudget, now: datetime, trouble: FeedTrouble
) -> Iterator[tuple[str, float, Labels]]:
    """(metric, value, labels) of all underlyings, by the names of `zerogex.metrics.TABLE`; `now` is market time."""
    yield "streams_open", budget.used, ()
    yield "feed_authorized", not trouble.now, ()
    for one in followed:
        yield from _of(one, now)


def _of(one: UnderlyingIngest, now: datetime) -> Iterator[tuple[str, float, Labels]]:
    name, counts = one.underlying, one.builder.counts
    for buffer, size in one.buffers().items():
        yield "buffer_size", size, (name, buffer)
    if one.heard_at is not None:
        yield "feed_age_seconds", (now - one.heard_at).total_seconds(), (name,)
    if one.outbox.stored_until is not None:
        yield "minute_lag_seconds", (now - one.outbox.stored_until).total_seconds(), (name,)
    yield "contracts_followed", len(one.live), (name,)
    yield "messages_merged_total", counts.quotes - counts.unknown, (name, "quotes")
    yield "messages_merged_total", counts.bars, (name, "bars")
    yield "silent_contracts_total", one.audit.watch.found, (name,)
    yield "late_events_total", counts.late, (name, "merged")
    yield "late_events_total", counts.too_late, (name, "too_late")
    yield "minutes_missed_total", counts.gaps, (name,)
    for reason, count in one.validator.rejected.copy().items():
        yield "messages_rejected_total", count, (name, reason.value)

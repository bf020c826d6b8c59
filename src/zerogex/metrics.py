"""What the platform counts and measures: one table, and a meter that holds the values.

Every metric is a row of `TABLE` with its kind, unit, labels and help; docs/metrics.md is made from
it, and a meter refuses what is not in it.  The meter knows no monitoring system: serving/metrics.py
shows it to Prometheus, and where METRICS_ENABLED is false nobody looks.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What may happen to a value."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"  # goes up and down
    HISTOGRAM = "histogram"  # seconds, counted in buckets


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    who: str  # which engines say it
    help: str


def _rows(*rows: tuple[str, Kind, str, str, str, str]) -> dict[str, Metric]:
    return {name: Metric(name, kind, unit, tuple(labels.split()), who, help)
            for name, kind, unit, labels, who, help in rows}  # fmt: skip


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_ALL, _IN, _AN, _SE = "ingest analyze serve", "ingest", "analyze", "serve"

TABLE = _rows(
    ("bars_stored_total", _C, "rows", "underlying", _IN, "Rows of underlying_quotes written."),
    ("options_stored_total", _C, "rows", "underlying", _IN, "Rows of option_chains written."),
    ("minutes_stored_total", _C, "minutes", "underlying", _IN, "Minutes made durable in database or spool."),
    ("greeks_calculated_total", _C, "contracts", "underlying", _IN, "Contracts whose Greeks were computed."),
    ("iv_calculated_total", _C, "contracts", "underlying source", _IN, "IVs solved from a price: mid or last."),
    ("api_requests_total", _C, "requests", "endpoint outcome", _IN, "Requests to the vendor; outcome: ok or an error."),
    ("api_latency_seconds", _H, "s", "endpoint", _IN, "Time until the vendor's whole answer is there."),
    ("errors_total", _C, "errors", "type", _ALL, "Errors of vendor, database and page, by class."),
    ("buffer_size", _G, "items", "underlying buffer", _IN,
     "Waiting: network reads (inbox), minutes not yet durable (outbox), changed contracts (latest)."),
    ("feed_age_seconds", _G, "s", "underlying", _IN, "Market time since the feed last spoke of the underlying."),
    ("minute_lag_seconds", _G, "s", "underlying", _IN, "Market time since the end of the newest durable minute."),
    ("contracts_followed", _G, "contracts", "underlying", _IN, "Option contracts in the live chain."),
    ("silent_contracts_total", _C, "contracts", "underlying", _IN,
     "Contracts that their stream forgot while it went on: declared as gaps, and the stream opened anew."),
    ("streams_open", _G, "streams", "", _IN, "Streams held, of those the vendor grants the account."),
    ("feed_authorized", _G, "0 or 1", "", _IN, "Whether the vendor accepts our credentials."),
    ("clock_skew_seconds", _G, "s", "", _IN, "The vendor's clock minus ours, by its last answer."),
    ("feed_events_total", _C, "events", "kind", _IN,
     "connected, reconnecting, goaway, dual_logon, symbol_error, silent, rate_limited, polling, bad_payload, "
     "not_authorized, authorized, clock_skew."),
    ("feed_messages_total", _C, "messages", "kind", _IN, "What the streams brought, heartbeats included."),
    ("messages_merged_total", _C, "messages", "underlying kind", _IN,
     "Messages taken into the minute they belong to: quotes (of options followed) and bars."),
    ("late_events_total", _C, "events", "underlying fate", _IN,
     "Events after their minute closed: merged, or too late for history."),
    ("messages_rejected_total", _C, "messages", "underlying reason", _IN, "Messages that cannot be true, by reason."),
    ("minutes_missed_total", _C, "minutes", "underlying", _IN, "Minutes in which neither feed nor clock was heard."),
    ("spool_bytes", _G, "bytes", "underlying", _IN, "Minutes on disk that the database does not have yet."),
    ("store_seconds", _H, "s", "call", _ALL, "Time one call of the database takes."),
    ("analyses_total", _C, "analyses", "underlying kind", _AN, "Analyses written: live, or minute (history)."),
    ("analysis_seconds", _H, "s", "kind", _AN, "Time from reading a chain to its analysis being written."),
    ("analysis_age_seconds", _G, "s", "underlying", _AN, "Market time since the data of the newest analysis."),
    ("alerts_raised_total", _C, "alerts", "underlying", _AN, "Rules crossed (underlying is empty: of the feed)."),
    ("alerts_delivered_total", _C, "alerts", "channel", _AN, "Alerts that arrived at a channel."),
    ("alert_failures_total", _C, "tries", "channel", _AN, "Tries to deliver an alert that failed."),
    ("alert_channel_failing", _G, "0 or 1", "channel", _AN, "Whether the last try to deliver failed."),
    ("http_requests_total", _C, "requests", "route status", _SE, "Requests to the page and the API."),
    ("http_latency_seconds", _H, "s", "route", _SE, "Time until an answer is sent."),
    ("websocket_clients", _G, "clients", "", _SE, "WebSockets that are open."),
    ("database_up", _G, "0 or 1", "", _SE, "Whether the page reaches its database."),
    ("zerogex_build_info", _G, "1", "version engine", _ALL, "Always 1; the labels say what runs."),
)  # fmt: skip

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[str, ...]
Look = Callable[[], Iterable[tuple[str, float, Labels]]]  # (metric, value, label values), when somebody asks


@dataclass(slots=True)
class Distribution:
    """A histogram's state: how many in each bucket (the last: beyond all bounds), and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def copy(self) -> Distribution:
        """As it is now."""
        return Distribution(list(self.counts), self.total_s)


class Meter:
    """The values of one process; safe from several threads.

    Label values come in the order of the table.  Raises KeyError for a metric that is not in it,
    ValueError for a wrong number of labels.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {}
        self._durations: dict[str, dict[Labels, Distribution]] = {}
        self._looks: list[Look] = []

    def add(self, name: str, amount: float = 1, *labels: str) -> None:
        """Let a counter grow."""
        self._check(name, labels)
        with self._lock:
            values = self._values.setdefault(name, {})
            values[labels] = values.get(labels, 0) + amount

    def put(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._check(name, labels)
        with self._lock:
            self._values.setdefault(name, {})[labels] = value

    def took(self, name: str, seconds: float, *labels: str) -> None:
        """Count a duration."""
        self._check(name, labels)
        with self._lock:
            self._durations.setdefault(name, {}).setdefault(labels, Distribution()).add(seconds)

    @contextmanager
    def timed(self, name: str, *labels: str) -> Iterator[None]:
        """Count how long a block takes, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.took(name, time.perf_counter() - began, *labels)

    def watch(self, look: Look) -> None:
        """Ask for these values each time somebody reads: they cost nothing in between."""
        self._looks.append(look)

    def values(self) -> dict[str, dict[Labels, float]]:
        """Counters and gauges as they are now; a look that fails is left out."""
        with self._lock:
            found = {name: dict(values) for name, values in self._values.items()}
        for look in self._looks:
            with suppress(RuntimeError, OSError):  # an engine that is starting or ending under our eyes
                for name, value, labels in look():
                    self._check(name, labels)
                    found.setdefault(name, {})[labels] = value
        return found

    def durations(self) -> dict[str, dict[Labels, Distribution]]:
        """Histograms as they are now."""
        with self._lock:
            return {
                name: {labels: one.copy() for labels, one in known.items()} for name, known in self._durations.items()
            }

    def _check(self, name: str, labels: Labels) -> None:
        if len(labels) != len(TABLE[name].labels):
            raise ValueError(f"{name} has the labels {TABLE[name].labels}, not {len(labels)} values")

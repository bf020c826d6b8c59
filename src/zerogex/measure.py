"""Metrics wired up: the meter of a process, the store as seen through it, and the port it is read on.

METRICS_PORT is ingest's.  Analyze and serve take the next two, so that all engines of one machine can
share one `.env`.  A port that is taken costs the metrics, never the data: the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import numpy as np

from zerogex import __version__
from zerogex.domain.chain import OptionChain
from zerogex.domain.iv import IvSource
from zerogex.metrics import Labels, Meter
from zerogex.ports import MarketData, MinuteBatch, Store

if TYPE_CHECKING:
    from zerogex.settings import Settings

log = logging.getLogger(__name__)

PLACES = {"ingest": 0, "analyze": 1, "serve": 2}  # added to METRICS_PORT


@contextmanager
def meter_of(settings: Settings, engine: str) -> Iterator[Meter]:
    """The meter of an engine's process; readable at /metrics while the block lasts, if METRICS_ENABLED."""
    meter = Meter()
    meter.put("zerogex_build_info", 1, __version__, engine)
    with ExitStack() as stack:
        if settings.metrics_enabled:
            _serve(stack, meter, settings, engine)
        yield meter


def _serve(stack: ExitStack, meter: Meter, settings: Settings, engine: str) -> None:
    from zerogex.serving.metrics import metrics_server

    host, port = settings.metrics_host, settings.metrics_port + PLACES[engine]
    try:
        stack.enter_context(metrics_server(meter, host, port, engine))
    except OSError as error:
        log.error("metrics not served", extra={"host": host, "port": port, "error": str(error)})
    else:
        log.info("metrics served", extra={"url": f"http://{host}:{port}/metrics"})


def measured_store(store: Store, meter: Meter, spool: Path | None = None) -> Store:
    """The same store, every call of it timed and its errors counted; `spool` is watched for minutes that wait."""
    if spool is not None:
        meter.watch(lambda: _spooled(spool))
    return cast(Store, _MeasuredStore(store, meter))


def watch_vendor(market: MarketData, meter: Meter) -> None:
    """Count a vendor client's requests and what its streams bring, where it tells."""
    rest, streams = getattr(market, "rest", None), getattr(market, "streams", None)
    if hasattr(market, "clock_skew_s"):
        meter.watch(lambda: [("clock_skew_seconds", market.clock_skew_s, ())])
    if rest is not None:

        def requested(endpoint: str, outcome: str, seconds: float) -> None:
            meter.add("api_requests_total", 1, endpoint, outcome)
            meter.took("api_latency_seconds", seconds, endpoint)
            if outcome not in ("ok", "CancelledError"):
                meter.add("errors_total", 1, outcome)

        rest.on_request = requested
    if streams is not None:
        meter.watch(lambda: [("feed_messages_total", count, (kind,)) for kind, count in streams.counts.items()])


def _spooled(folder: Path) -> list[tuple[str, float, Labels]]:
    """Bytes in each underlying's spool file."""
    return [("spool_bytes", file.stat().st_size, (unquote(file.stem),)) for file in folder.glob("*.spool")]


class _MeasuredStore:
    """A store that tells a meter what passes through it."""

    def __init__(self, store: Store, meter: Meter) -> None:
        self._store = store
        self._meter = meter

    def keep_minute(self, batch: MinuteBatch) -> None:
        """See `Store`."""
        self._timed("keep_minute", self._store.keep_minute)(batch)
        self._count_minute(batch)

    def write_minute(self, batch: MinuteBatch) -> None:
        """See `Store`."""
        self._timed("write_minute", self._store.write_minute)(batch)
        self._count_minute(batch)

    def _count_minute(self, batch: MinuteBatch) -> None:
        self._meter.add("minutes_stored_total", 1, batch.underlying)
        if batch.bars:
            self._meter.add("bars_stored_total", len(batch.bars), batch.underlying)
        if batch.chain is not None:
            self._meter.add("options_stored_total", len(batch.chain), batch.underlying)
            self._count_computed(batch.chain)

    def write_bars(self, bars: Any) -> None:
        """See `Store`."""
        self._timed("write_bars", self._store.write_bars)(bars)
        for bar in bars:
            self._meter.add("bars_stored_total", 1, bar.symbol)

    def write_latest(self, chain: OptionChain, changed: Any) -> None:
        """See `Store`."""
        self._timed("write_latest", self._store.write_latest)(chain, changed)
        self._count_computed(chain)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._store, name)
        return self._timed(name, member) if callable(member) else member

    def _count_computed(self, chain: OptionChain) -> None:
        self._meter.add("greeks_calculated_total", int(np.isfinite(chain.gamma).sum()), chain.underlying)
        for source in (IvSource.MID, IvSource.LAST):
            solved = int((np.isfinite(chain.iv) & (chain.iv_source == source)).sum())
            self._meter.add("iv_calculated_total", solved, chain.underlying, source.name.lower())

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._meter.timed("store_seconds", name):
                try:
                    return call(*args, **kwargs)
                except Exception as error:
                    self._meter.add("errors_total", 1, type(error).__name__)
                    raise

        return timed

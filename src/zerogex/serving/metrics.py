"""A meter shown to Prometheus: `/metrics` on a port of its own, and the count of our own answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zerogex.metrics import BUCKETS_S, TABLE, Kind, Meter

_BOUNDS = [*map(str, BUCKETS_S), "+Inf"]


class MeterCollector(Collector):
    """Every row of the table that this meter has a value for, and the names of those its engine may say later."""

    def __init__(self, meter: Meter, engine: str = "") -> None:
        self._meter = meter
        self._engine = engine

    def collect(self) -> Iterable[Family]:
        """The values at this moment."""
        values, durations = self._meter.values(), self._meter.durations()
        for name, metric in TABLE.items():
            family: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
            if metric.kind is Kind.HISTOGRAM:
                family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
                for labels, one in durations.get(name, {}).items():
                    buckets = zip(_BOUNDS, map(float, accumulate(one.counts)), strict=True)
                    family.add_metric(labels, list(buckets), one.total_s)
            else:
                family = (CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily)(
                    name, metric.help, labels=metric.labels
                )
                for labels, value in values.get(name, {}).items():
                    family.add_metric(labels, value)
            if family.samples or self._engine in metric.who.split():
                yield family


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 10  # seconds a scraper may keep its connection silent

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is not worth a line."""


@contextmanager
def metrics_server(meter: Meter, host: str, port: int, engine: str = "") -> Iterator[int]:
    """Answer GET /metrics from a thread while the block lasts; gives the port.  Raises OSError where it is taken."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MeterCollector(meter, engine))
    ProcessCollector(registry=registry)
    page = make_wsgi_app(registry)

    def app(request: dict, start_response):  # type: ignore[no-untyped-def, type-arg]
        if request["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"metrics are at /metrics\n"]
        return page(request, start_response)

    with make_server(host, port, app, server_class=_Server, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class RequestMeter:
    """ASGI middleware: counts and times every answer by its route, so that symbols make no new series."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self.app = app
        self.meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            self.meter.add("errors_total", 1, type(error).__name__)
            raise
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.meter.add("http_requests_total", 1, route, str(status))
            self.meter.took("http_latency_seconds", time.perf_counter() - began, route)

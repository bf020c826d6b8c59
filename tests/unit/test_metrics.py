"""The meter, what is measured at the store's door, and the files that read the metrics."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from zerogex import measure
from zerogex.domain.bar import MinuteBar
from zerogex.errors import StoreUnavailable
from zerogex.metrics import BUCKETS_S, TABLE, Kind, Meter
from zerogex.ports import MinuteBatch
from zerogex.serving.metrics import RequestMeter, metrics_server
from zerogex.store.postgres import PostgresStore

DEPLOY = Path(__file__).parents[2] / "deploy"


def read(meter: Meter) -> str:
    with (
        metrics_server(meter, "127.0.0.1", 0) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer,
    ):
        return answer.read().decode()


def test_values_are_shown_with_their_labels_and_help() -> None:
    meter = Meter()
    meter.add("bars_stored_total", 2, "SPY")
    meter.add("bars_stored_total", 3, "SPY")
    meter.put("streams_open", 4)
    meter.watch(lambda: [("buffer_size", 7, ("SPY", "inbox"))])
    lines = read(meter).splitlines()
    assert 'bars_stored_total{underlying="SPY"} 5.0' in lines
    assert "streams_open 4.0" in lines
    assert 'buffer_size{buffer="inbox",underlying="SPY"} 7.0' in lines
    assert f"# HELP bars_stored_total {TABLE['bars_stored_total'].help}" in lines
    assert not any(line.startswith("options_stored_total") for line in lines)


def test_durations_fall_into_cumulative_buckets() -> None:
    meter = Meter()
    for seconds in (0.0004, 0.003, 99.0):
        meter.took("store_seconds", seconds, "write_minute")
    text = read(meter)
    counts = [int(float(n)) for n in re.findall(r'store_seconds_bucket\{call="write_minute",le="[^"]+"\} (\S+)', text)]
    assert counts[:3] == [1, 1, 2]
    assert counts[-2:] == [2, 3]
    assert len(counts) == len(BUCKETS_S) + 1
    assert re.search(r'store_seconds_sum\{call="write_minute"\} 99\.0034', text)


def test_only_the_metrics_of_the_table_are_taken_with_all_their_labels() -> None:
    with pytest.raises(KeyError):
        Meter().add("bars_total", 1)
    with pytest.raises(ValueError, match="underlying"):
        Meter().add("bars_stored_total", 1)


def test_a_look_that_fails_costs_no_other_value() -> None:
    def gone():
        raise OSError("the folder is gone")

    meter = Meter()
    meter.watch(gone)
    meter.put("streams_open", 1)
    assert meter.values() == {"streams_open": {(): 1}}


def test_metrics_are_on_one_path_only() -> None:
    with metrics_server(Meter(), "127.0.0.1", 0) as port, pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    assert refused.value.code == 404
    refused.value.close()


def test_counters_are_named_as_counters() -> None:
    for name, metric in TABLE.items():
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert name.endswith("_seconds") <= (metric.unit == "s")


class Away:
    """A store that is away."""

    def write_live(self, analysis, payload):
        raise StoreUnavailable("away")

    def underlyings(self):
        return ["SPY"]


def test_a_measured_store_is_the_store_and_counts_its_calls_and_errors(tmp_path: Path) -> None:
    (tmp_path / "BRK%2FB.spool").write_bytes(b"1234")
    meter = Meter()
    store = measure.measured_store(Away(), meter, tmp_path)  # type: ignore[arg-type]
    assert store.underlyings() == ["SPY"]
    with pytest.raises(StoreUnavailable):
        store.write_live(None, b"")  # type: ignore[arg-type]
    assert meter.values()["errors_total"] == {("StoreUnavailable",): 1}
    assert meter.values()["spool_bytes"] == {("BRK/B",): 4}
    assert set(meter.durations()["store_seconds"]) == {("underlyings",), ("write_live",)}


def test_a_minute_is_counted_when_it_is_kept_and_not_again_when_it_is_drained(store: PostgresStore) -> None:
    meter = Meter()
    measured = measure.measured_store(store, meter)
    start = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
    bar = MinuteBar("SPX", start, 1.0, 2.0, 0.5, 1.5, 10, 20)
    measured.keep_minute(MinuteBatch(UUID(int=7), "SPX", start, None, (bar,)))
    assert measured.drain("SPX") == 1
    values = meter.values()
    assert values["minutes_stored_total"] == values["bars_stored_total"] == {("SPX",): 1}
    assert set(meter.durations()["store_seconds"]) == {("keep_minute",), ("drain",)}


def test_requests_are_counted_by_route_not_by_symbol() -> None:
    app, meter = FastAPI(), Meter()

    @app.get("/api/v1/{symbol}/summary")
    def summary(symbol: str) -> dict[str, str]:
        return {"symbol": symbol}

    app.add_middleware(RequestMeter, meter=meter)
    client = TestClient(app)
    for path in ("/api/v1/SPY/summary", "/api/v1/QQQ/summary", "/nothing/here"):
        client.get(path)
    assert meter.values()["http_requests_total"] == {("/api/v1/{symbol}/summary", "200"): 2, ("other", "404"): 1}


def expressions() -> list[str]:
    rules = (DEPLOY / "prometheus/zerogex.rules.yml").read_text()
    dashboard = json.loads((DEPLOY / "grafana/zerogex.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return re.findall(r"expr: (.+)", rules) + shown


def test_rules_and_dashboard_ask_for_metrics_that_exist() -> None:
    known = set(TABLE)
    known |= {f"{name}_{part}" for name, metric in TABLE.items() if metric.kind is Kind.HISTOGRAM
              for part in ("bucket", "count", "sum")}  # fmt: skip
    for expression in expressions():
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on)\s*\([^)]*\)", "", expression)
        names = set(re.findall(r"[a-z]+(?:_[a-z0-9]+)+", bare))
        assert names - {"histogram_quantile", "day_of_week", "process_resident_memory_bytes"} <= known, expression


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian package prometheus) is not installed")
def test_prometheus_accepts_its_files() -> None:
    subprocess.run(["promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml")], check=True)

"""`zerogex bench` and its guard: every row comes, whatever its figure."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from zerogex.cli.benchmarks import flows, market
from zerogex.cli.benchmarks.measure import Row, against, row
from zerogex.cli.main import app
from zerogex.cli.process import say_if_compiling
from zerogex.pricing import fused

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def guard() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guard", ROOT / "bench" / "guard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(**ratio: float) -> dict[str, Any]:
    return {"rows": [{"name": name.replace("__", "."), "ratio": value} for name, value in ratio.items()]}


def test_kernels_are_measured_as_json_with_machine_and_date() -> None:
    result = CliRunner().invoke(app, ["bench", "kernels", "latency", "-n", "1", "-o", "json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) == {"version", "date", "machine", "rows"}
    rows = {one["name"]: one for one in found["rows"]}
    assert {"kernel.iv_and_greeks", "kernel.exact_search_and_greeks", "latency.message_to_live_row"} <= set(rows)
    for one in rows.values():
        assert 0.0 < one["best"] <= one["median"] <= one["p99"]
        assert one["ratio"] > 0.0


def test_a_part_nobody_knows_is_refused_with_the_list_of_parts() -> None:
    result = CliRunner().invoke(app, ["bench", "kernel"])
    assert result.exit_code == 2
    assert "'kernel' is not one of kernels, analysis, feed, latency, store" in result.output


def test_every_message_of_the_feed_benchmark_arrives_in_the_chain() -> None:
    listed = market.contracts(500)
    assert len(listed) == 500
    messages = market.chain_messages(listed, 2)
    assert flows.to_live_chain(messages, listed) == 1000
    assert flows.to_live_chain(messages, listed, 1000, 3) == 1000


def test_rates_are_better_when_larger_and_times_when_smaller() -> None:
    spent = np.array([0.1, 0.2, 0.4])
    rate = row("feed", "1/s", spent, each=10.0, target=50.0)
    assert (rate.best, rate.median, rate.reached) == (100.0, 50.0, True)
    time = row("flush", "ms", spent, target=300.0, judged="p99")
    assert (time.best, time.median, time.reached) == (100.0, 200.0, False)
    assert row("other", "ms", spent).reached is None


def test_ratios_do_not_depend_on_the_unit_and_keep_those_of_peers() -> None:
    spent = np.array([0.1])
    rows = against([row("a", "ms", spent), row("b", "1/s", spent), row("c", "ns", spent, ratio=7.0)], 0.01)
    assert [one.ratio for one in rows] == pytest.approx([10.0, 10.0, 7.0])
    assert isinstance(rows[0], Row)


def test_the_guard_names_what_became_slower_and_what_is_gone(guard: ModuleType) -> None:
    old = document(kernel=1.0, feed=2.0, store=3.0, peer__x=1.0)
    assert guard.slower(old, old) == []
    assert guard.slower(old, document(kernel=1.4, feed=1.0, store=3.0)) == []
    assert guard.slower(old, document(kernel=2.0, feed=2.0)) == [
        "kernel is 2.00 times as slow as before, allowed are 1.5",
        "store is no longer measured",
    ]


def test_the_guard_exits_with_one_for_a_slow_down(
    guard: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(document(kernel=1.0)), encoding="utf-8")
    new.write_text(json.dumps(document(kernel=1.8)), encoding="utf-8")
    assert guard.main([str(old), str(old)]) == 0
    assert guard.main([str(old), str(new)]) == 1
    assert guard.main([str(old), str(new), "--allowance", "2"]) == 0
    assert "1.80 times as slow" in capsys.readouterr().out


def test_only_the_first_process_says_that_it_compiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fused.implied_greeks(2.0, 100.0, 100.0, 105.0, 0.25, 0.0, True)
    with caplog.at_level("INFO"):
        say_if_compiling()
        assert not caplog.records
        monkeypatch.setattr(fused, "is_compiled", lambda: False)
        say_if_compiling()
    assert [record.message for record in caplog.records] == ["compiling kernels"]

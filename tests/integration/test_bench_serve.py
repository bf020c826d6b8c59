"""The load script measures what it says: every change counted by every client, stalled ones let go, JSON out."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

from served import serving, until
from zerogex.store.postgres import PostgresStore

SCRIPT = Path(__file__).parents[2] / "bench" / "serve.py"


def test_both_measurements_are_printed_as_json(store: PostgresStore) -> None:
    with serving(store, symbols=("SPY",)) as served:
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        done = threading.Event()

        def move() -> None:
            spot = 690.0
            while not done.wait(0.2):
                spot += 0.25
                served.publish(spot)

        mover = threading.Thread(target=move)
        mover.start()
        try:
            options = ["--rate", "20", "--clients", "12", "--stalled", "2", "--seconds", "1"]
            command = [sys.executable, str(SCRIPT), served.address, *options, "--pid", str(os.getpid())]
            run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        finally:
            done.set()
            mover.join()
    said = json.loads(run.stdout)
    summary, websockets = said["rows"]
    assert summary["samples"] == 20
    assert websockets["samples"] >= 20
    assert websockets["clients_lost"] == 0
    for row in said["rows"]:
        assert 0 <= row["p50_ms"] <= row["p99_ms"] <= row["worst_ms"]
        assert math.isfinite(row["server_cpu_ms_each"])
    assert run.returncode == (0 if all(row["reached"] for row in said["rows"]) else 1)

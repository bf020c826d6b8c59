"""One module configures the log; lines are phrases with fields."""

import json
import logging
import sys
from pathlib import Path

import pytest

from zerogex import logs
from zerogex.settings import Settings


@pytest.fixture
def restored():
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    yield
    for handler in root.handlers:
        handler.close()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def say(settings: Settings) -> None:
    logs.configure(settings, service="ingest")
    log = logging.getLogger("zerogex.test")
    log.info("minute stored", extra={"underlying": "SPY", "contracts": 412})
    try:
        raise ValueError("inner cause")
    except ValueError:
        log.exception("flush failed")


def test_json_lines_carry_phrase_level_fields_and_traceback(restored, capsys: pytest.CaptureFixture[str]) -> None:
    say(Settings(log_format="json"))
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["event"] == "minute stored"
    assert (first["level"], first["underlying"], first["contracts"]) == ("info", "SPY", 412)
    assert first["timestamp"].endswith("Z")
    assert "inner cause" in second["exception"]


def test_text_lines_read_like_a_diary(restored, capsys: pytest.CaptureFixture[str]) -> None:
    say(Settings(log_format="text"))
    line = capsys.readouterr().err.splitlines()[0]
    assert "minute stored" in line
    assert "contracts=412" in line
    assert "\x1b" not in line or sys.stderr.isatty()


def test_a_log_folder_gets_all_lines_and_the_errors_apart(restored, tmp_path: Path, capsys) -> None:
    say(Settings(log_format="json", log_dir=tmp_path / "logs"))
    everything = (tmp_path / "logs/main_engine.log").read_text().splitlines()
    errors = (tmp_path / "logs/errors.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in everything] == ["minute stored", "flush failed"]
    assert [json.loads(line)["event"] for line in errors] == ["flush failed"]
    assert json.loads(errors[0])["service"] == "ingest"


def test_the_level_holds(restored, capsys: pytest.CaptureFixture[str]) -> None:
    say(Settings(log_format="json", log_level="ERROR"))
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["flush failed"]

"""One module configures the log; lines are phrases with fields."""

import json
import logging
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from zerogex import logs
from zerogex.domain.calendar import NEW_YORK
from zerogex.errors import SettingsError
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


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_has_the_lines_of_the_program_and_not_its_variables(restored, capsys, form: str) -> None:
    def fail(text: str) -> None:
        raise ValueError("inner cause")

    logs.configure(Settings(log_format=form), service="serve")
    try:
        fail("-".join(("secret", "5f1d")))
    except ValueError:
        logging.getLogger("zerogex.test").exception("request failed")
    said = capsys.readouterr().err
    assert "inner cause" in said
    assert "in fail" in said
    assert "secret-5f1d" not in said
    assert len(said.splitlines()) < 12


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


def test_fields_are_plain_numbers_and_instants_and_leave_the_logs_own_time_alone(restored, capsys) -> None:
    logs.configure(Settings(log_format="json"), service="ingest")
    fields = {"delta": np.float64(0.99), "contracts": np.int64(3), "minute": datetime(2026, 2, 20, 14, 31, tzinfo=UTC)}
    logging.getLogger("zerogex.test").info("minute stored", extra=fields)
    line = json.loads(capsys.readouterr().err)
    assert {name: line[name] for name in fields} == {"delta": 0.99, "contracts": 3, "minute": "2026-02-20T14:31:00Z"}
    assert line["timestamp"] > "2026-02-20T14:31:00Z"
    logs.configure(Settings(log_format="text"), service="ingest")
    logging.getLogger("zerogex.test").info("minute stored", extra=fields)
    line = capsys.readouterr().err
    assert "delta=0.99 minute='2026-02-20 09:31:00 ET'" in line  # as a trader's clock shows it
    hour, minute = map(int, line[:5].split(":"))
    shown, now = hour * 60 + minute, datetime.now(NEW_YORK)
    assert (now.hour * 60 + now.minute - shown) % 1440 <= 1


def test_the_journal_is_told_each_lines_priority(restored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        status = (tmp_path / "journal").stat()
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(sys, "stderr", journal)
        say(Settings(log_format="json"))
    lines = (tmp_path / "journal").read_text().splitlines()
    assert [line[:4] for line in lines] == ["<6>{", "<3>{"]


def test_engines_that_share_a_log_file_rotate_it_once_and_lose_no_line(restored, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logs, "_ROTATE_BYTES", 2000)
    opened: list[logging.Handler] = []
    for name in ("ingest", "analyze", "serve"):
        logs.configure(Settings(log_format="json", log_dir=tmp_path), service=name)
        opened += logging.getLogger().handlers
    engines = opened[1::3]
    for _ in range(60):
        for handler in engines:
            handler.handle(logging.LogRecord("zerogex.test", logging.INFO, "", 0, "line", (), None))
    for handler in opened:
        handler.close()
    files = [file for file in tmp_path.glob("main_engine.log*") if file.suffix != ".lock"]
    assert sum(len(file.read_text().splitlines()) for file in files) == 180
    assert all(1500 < file.stat().st_size <= 2000 for file in files if file.suffix != ".log")


def test_a_log_folder_that_cannot_be_written_is_one_sentence(restored, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"LOG_DIR is .*, where no log can be written"):
        logs.configure(Settings(log_dir=tmp_path / "file" / "logs"), service="ingest")


def test_a_date_among_the_fields_is_written_as_one(restored, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"), service="ingest")
    logging.getLogger("zerogex.test").info("gap filled", extra={"day": date(2026, 11, 20)})
    assert json.loads(capsys.readouterr().err)["day"] == "2026-11-20"

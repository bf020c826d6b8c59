"""Without a journal the log targets read the files of LOG_DIR, as the engines wrote and rotated them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zerogex import logs, settings
from zerogex.cli import log_files, service

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log folder of two engines, rotated at 2,000 bytes, on a machine that systemd does not run."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ZEROGEX_ENV_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(service, "BOOTED", tmp_path / "nowhere")
    monkeypatch.setattr(logs, "_ROTATE_BYTES", 2000)
    write("ingest", *(f"minute stored {number}" for number in range(40)))
    write("serve", "store unavailable", level=logging.ERROR)
    return tmp_path / "logs"


def write(engine: str, *phrases: str, level: int = logging.INFO) -> None:
    """An engine that starts, says something and ends."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure(settings.load().settings, service=engine)
    for phrase in phrases:
        logging.getLogger("zerogex.test").log(level, phrase, extra={"contracts": 7})
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def said(*words: str) -> list[str]:
    result = runner.invoke(service.app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_lines_come_in_order_through_every_rotated_file(folder: Path) -> None:
    assert len(log_files.rotated(folder, log_files.MAIN)) >= 2
    lines = said("logs-tail", "ingestion", "-n", "40")
    assert [line.split("stored ")[1] for line in lines] == [f"{number}  contracts=7" for number in range(40)]
    assert all(" ET  info     ingest   minute stored" in line for line in lines)
    assert [line.split("stored ")[1].split()[0] for line in said("logs-tail", "ingestion", "-n", "2")] == ["38", "39"]


def test_errors_are_those_of_the_service_asked_for(folder: Path) -> None:
    (line,) = said("logs-errors", "api")
    assert "error    serve    store unavailable" in line
    result = runner.invoke(service.app, ["logs-errors", "ingestion"])
    assert (result.exit_code, result.stderr) == (0, "zerogex: no error is in the log\n")


def test_a_pattern_is_searched_and_never_run(folder: Path, tmp_path: Path) -> None:
    assert len(said("logs-grep", r"minute stored \d$|STORED 3\d".lower())) == 10
    for pattern, code in ((f"$(touch {tmp_path}/owned)", 1), ("[unclosed", 2), ("", 2)):
        result = runner.invoke(service.app, ["logs-grep", "--", pattern])
        assert result.exit_code == code, result.output
    assert not (tmp_path / "owned").exists()


def test_new_lines_are_followed_over_a_rotation(folder: Path) -> None:
    followed = log_files.follow(folder, {"ingest"}, 1)
    assert "minute stored 39" in next(followed)
    before = len(log_files.rotated(folder, log_files.MAIN))
    write("ingest", *(f"minute stored {number}" for number in range(40, 50)))
    assert len(log_files.rotated(folder, log_files.MAIN)) == before + 1
    assert [next(followed).split("stored ")[1].split()[0] for _ in range(10)] == [str(n) for n in range(40, 50)]
    followed.close()


def test_clearing_asks_and_leaves_what_is_written_now(folder: Path) -> None:
    assert runner.invoke(service.app, ["logs-clear"], input="n\n").exit_code == 1
    assert log_files.rotated(folder, log_files.MAIN)
    assert "removed" in runner.invoke(service.app, ["logs-clear", "--yes"]).stderr
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == ["errors.log", "main_engine.log"]
    assert "store unavailable" in said("logs-tail", "-n", "1")[0]


def test_nobody_else_reads_the_files(folder: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.log*") if path.suffix != ".lock"} == {0o640}


def test_what_a_terminal_would_obey_is_shown_as_text() -> None:
    assert log_files.readable("a\x1b[31mb\n") == "a?[31mb"
    line = '{"timestamp": "2026-02-20T15:31:02Z", "level": "info", "event": "x", "symbol": "\\u001b[2J\\u202e"}'
    assert log_files.readable(line) == "2026-02-20 10:31:02 ET  info     -        x  symbol=?[2J?"


def test_a_folder_without_a_log_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "empty"))
    result = runner.invoke(service.app, ["logs"])
    assert isinstance(result.exception, service.ServiceManagerMissing)
    assert "no engine has written a log yet" in str(result.exception)

"""Unit files that systemd accepts, and actions that reach the right units.

systemd is not process 1 in a test container, so the calls go to a recording stand-in on PATH;
the unit files themselves are checked by the real systemd-analyze where it is installed.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import zerogex
from zerogex.cli import service
from zerogex.errors import SettingsError

runner = CliRunner()
ROOT = Path(zerogex.__file__).parents[2]
ZEROGEX = ".venv/bin/zerogex"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZEROGEX_HOME", str(tmp_path / "home"))
    result = runner.invoke(service.app, ["install", "--folder", str(tmp_path / "units"), "--user", "root"])
    assert result.exit_code == 0, result.output
    return tmp_path / "units"


def test_install_writes_one_unit_an_engine(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    engines = {"zerogex-oa-ingestion.service", "zerogex-analytics.service", "zerogex-api.service"}
    assert names == engines | {"zerogex-alert@.service"}
    assert all("OnFailure=zerogex-alert@%p.service" in (installed / name).read_text() for name in engines)
    text = (installed / "zerogex-oa-ingestion.service").read_text()
    for line in ("WatchdogSec=60", "Restart=on-failure", "NoNewPrivileges=yes", "Type=notify", "ProtectSystem=strict"):
        assert line in text.splitlines()
    assert "{" not in text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_to_say_about_the_units(installed: Path) -> None:
    for path in installed.iterdir():
        text = path.read_text().splitlines()
        executable = next(line for line in text if line.startswith("ExecStart="))
        path.write_text("\n".join("ExecStart=/bin/true" if line == executable else line for line in text) + "\n")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    calls = tmp_path / "calls"
    for program in ("systemctl", "journalctl"):
        script = tmp_path / "bin" / program
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho "{program} $*" >> "{calls}"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(service, "BOOTED", tmp_path)
    return calls


@pytest.mark.parametrize("action", ["start", "stop", "restart", "status", "enable", "disable"])
def test_an_action_without_a_name_reaches_all_three(recorded: Path, action: str) -> None:
    assert runner.invoke(service.app, [action]).exit_code == 0
    units = "zerogex-oa-ingestion.service zerogex-analytics.service zerogex-api.service"
    assert recorded.read_text() == f"systemctl --no-pager {action} {units}\n"


def test_an_action_with_a_name_reaches_that_one(recorded: Path) -> None:
    assert runner.invoke(service.app, ["restart", "analytics"]).exit_code == 0
    assert recorded.read_text() == "systemctl --no-pager restart zerogex-analytics.service\n"


def test_a_pattern_is_one_argument_whatever_it_contains(recorded: Path, tmp_path: Path) -> None:
    pattern = f"Greek'; touch {tmp_path}/owned; $(touch {tmp_path}/owned) `id`"
    runner.invoke(service.app, ["logs-grep", pattern])
    assert f"--grep={pattern}" in recorded.read_text()
    assert not (tmp_path / "owned").exists()


def test_clearing_logs_asks_first(recorded: Path) -> None:
    assert runner.invoke(service.app, ["logs-clear"], input="n\n").exit_code == 1
    assert not recorded.exists()
    assert runner.invoke(service.app, ["logs-clear", "--yes"]).exit_code == 0
    assert "--vacuum-time" in recorded.read_text()


def test_an_unknown_name_is_a_usage_error(recorded: Path) -> None:
    result = runner.invoke(service.app, ["start", "engine"])
    assert result.exit_code == 2
    assert "ingestion, analytics, api" in result.output


def test_without_systemd_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(service, "BOOTED", tmp_path / "nowhere")
    for action in ("start", "status", "health", "logs", "logs-tail"):
        result = runner.invoke(service.app, [action])
        assert isinstance(result.exception, service.ServiceManagerMissing)
        assert "zerogex up" in str(result.exception)
        assert result.exception.exit_code == 69


def test_health_names_state_and_fails_when_a_service_is_down(recorded: Path) -> None:
    result = runner.invoke(service.app, ["health", "api"])
    assert result.exit_code == 1
    assert "api" in result.output
    assert "errors" in result.output


def test_health_shows_the_phrases_of_recent_errors(recorded: Path, tmp_path: Path) -> None:
    line = {"MESSAGE": json.dumps({"event": "spool not writable", "level": "error", "file": "/x"})}
    (tmp_path / "bin/journalctl").write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(line)}\nEND\n")
    assert "    spool not writable file=/x" in runner.invoke(service.app, ["health", "api"]).output.splitlines()


def test_install_opens_the_log_folder_and_says_what_is_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZEROGEX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("ZEROGEX_ENV_FILE", str(tmp_path / "none"))
    result = runner.invoke(service.app, ["install", "--folder", str(tmp_path / "units")])
    text = (tmp_path / "units/zerogex-api.service").read_text()
    assert f"ReadWritePaths={tmp_path}/home {tmp_path}/logs" in text.splitlines()
    assert (tmp_path / "home").is_dir() and (tmp_path / "logs").is_dir()
    assert "no database is configured" in result.output
    assert f"there is no {tmp_path}/none; the services would start with the defaults alone" in result.stderr


def test_install_names_the_settings_that_are_elsewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZEROGEX_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").touch()
    (tmp_path / "desk.env").touch()
    for given, line in (("desk.env", f"Environment=ZEROGEX_ENV_FILE={tmp_path}/desk.env"), (None, None)):
        monkeypatch.setenv("ZEROGEX_ENV_FILE", given) if given else monkeypatch.delenv("ZEROGEX_ENV_FILE")
        result = runner.invoke(service.app, ["install", "--folder", str(tmp_path / "units")])
        assert (result.exit_code, "there is no" in result.stderr) == (0, False)
        for unit in (*service.UNITS.values(), service.TELLER):
            lines = (tmp_path / "units" / unit.unit).read_text().splitlines()
            assert [each for each in lines if "ENV_FILE" in each] == ([line] if line else [])


@pytest.mark.parametrize("below", ["", "/units"])
def test_a_folder_for_units_that_is_a_file_needs_no_sudo(tmp_path: Path, monkeypatch, below: str) -> None:
    monkeypatch.setenv("ZEROGEX_HOME", str(tmp_path / "home"))
    (tmp_path / "file").touch()
    result = runner.invoke(service.app, ["install", "--folder", f"{tmp_path}/file{below}"])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception) == f"{tmp_path}/file{below} is a file, or within one; name a folder with --folder"


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("name", service.UNITS)
def test_every_service_has_its_targets_and_each_only_forwards(name: str) -> None:
    for action in (
        "start",
        "stop",
        "restart",
        "status",
        "enable",
        "disable",
        "health",
        "logs",
        "logs-tail",
        "logs-errors",
    ):
        assert make("-n", f"{name}-{action}").splitlines()[-1].split()[1:] == [ZEROGEX, "service", action, name]


def test_short_forms_reach_all_services_and_help_lists_every_target() -> None:
    help = make("help")
    assert "Services under systemd" in help.splitlines()
    for action in ("start", "stop", "restart", "status", "health", "logs", "logs-tail", "logs-errors"):
        assert make("-n", action).splitlines()[-1].split()[1:] == [ZEROGEX, "service", action]
        assert f"api-{action}" in help.split()
        assert action in help.split()
    assert {"logs-grep", "logs-clear", "service-install"} <= set(help.split())


def test_a_pattern_reaches_the_program_as_typed(tmp_path: Path) -> None:
    pattern = (
        f"a b; touch {tmp_path}/owned; $(shell touch {tmp_path}/owned) `touch {tmp_path}/owned` 'q' \"d\" $HOME end$"
    )
    program = tmp_path / "zerogex"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    said = make("--no-print-directory", "logs-grep", f"ZEROGEX={program}", "READY=Makefile", f"PATTERN={pattern}")
    assert said.splitlines()[-1] == pattern
    assert not (tmp_path / "owned").exists()


def test_every_log_phrase_of_the_services_page_is_said_by_the_program() -> None:
    page = (ROOT / "docs/services.md").read_text().split("## Logs")[1].split("## Metrics")[0]
    phrases = {phrase for row in re.findall(r"^\| (`.+?) \|", page, re.M) for phrase in re.findall(r"`([^`]+)`", row)}
    source = "\n".join(path.read_text() for path in (ROOT / "src/zerogex").rglob("*.py"))
    assert len(phrases) > 15
    assert not {phrase for phrase in phrases if f'"{phrase}"' not in source}

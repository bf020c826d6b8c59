"""The table of settings says values as `.env` would have them; programs get numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zerogex.cli import main
from zerogex.settings import Settings

runner = CliRunner()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ZEROGEX_ENV_FILE", str(tmp_path / "env"))
    (tmp_path / "env").write_text("DB_PASSWORD=canary\nAPI_REQUEST_TIMEOUT=2.5\n")


def test_people_read_what_they_would_write() -> None:
    lines = [line.split() for line in runner.invoke(main.app, ["config"]).stdout.splitlines()[1:]]
    said = {name: (value, origin) for name, value, origin in lines}
    assert said["DB_PORT"] == ("5432", "default")
    assert said["IV_TOLERANCE"] == ("0.00001", "default")
    assert said["WEBSOCKET_ENABLED"] == ("true", "default")
    assert said["API_REQUEST_TIMEOUT"] == ("2.5", ".env")
    assert said["DB_PASSWORD"] == ("********", ".env")


def test_programs_get_numbers() -> None:
    rows = json.loads(runner.invoke(main.app, ["config", "-o", "json"]).stdout)
    values = {row["setting"]: row["value"] for row in rows}
    assert (values["DB_PORT"], values["IV_TOLERANCE"], values["METRICS_ENABLED"]) == (5432, 0.00001, False)
    assert "canary" not in str(rows)


@pytest.mark.parametrize("group", [[], ["db"], ["service"], ["keys"], ["auth"]])
def test_the_list_of_commands_is_not_cut_off_in_eighty_columns(group: list[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = runner.invoke(main.app, [*group, "--help"], terminal_width=80).stdout
    assert [line for line in said.splitlines()[1:] if line.endswith("...")] == []

"""Settings as an operator writes them, commands as an operator types them, and a scripted vendor on a real socket."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from zerogex import settings
from zerogex.cli import main
from zerogex.errors import ZerogexError
from zerogex.settings import Loaded
from zerogex.store.config import DatabaseConfig


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loaded]:
    """A function that loads settings from a `.env` of these values alone."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def load(**values: object) -> Loaded:
        file = tmp_path / "env"
        file.write_text(
            "".join(f"{name}={value}  # set\n" for name, value in {"ZEROGEX_HOME": tmp_path, **values}.items())
        )
        return settings.load(file)

    return load


@pytest.fixture
async def vendor() -> AsyncIterator[Any]:
    """A server that answers as a test scripts it."""
    path = Path(__file__).parents[1] / "unit/providers/tradestation/scripted.py"
    spec = importlib.util.spec_from_file_location("scripted_vendor", path)
    assert spec is not None and spec.loader is not None
    scripted = sys.modules["scripted_vendor"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scripted)
    async with scripted.ScriptedServer() as server:
        yield server


@pytest.fixture
def environment(database: DatabaseConfig, tmp_path: Path) -> dict[str, str]:
    """What an operator's shell has: a configured database, a home of its own, a small terminal."""
    return {
        "DB_HOST": database.host, "DB_PORT": str(database.port), "DB_NAME": database.dbname, "DB_USER": database.user,
        "ZEROGEX_HOME": str(tmp_path / "home"), "ZEROGEX_ENV_FILE": str(tmp_path / "none.env"), "COLUMNS": "80",
    }  # fmt: skip


@pytest.fixture
def zerogex(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command; a ZerogexError becomes its sentence and exit code, as `main` makes it."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*words: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(main.app, list(words), input=typed)
        if isinstance(result.exception, ZerogexError):
            result.exit_code = result.exception.exit_code
            result.stderr_bytes = f"zerogex: {result.exception}\n".encode()
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run

"""Settings as an operator writes them, and a scripted vendor on a real socket."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from zerogex import settings
from zerogex.settings import Loaded


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

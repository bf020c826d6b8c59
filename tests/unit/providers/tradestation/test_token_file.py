import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zerogex.errors import SettingsError
from zerogex.providers.tradestation.token_file import TokenFile


def test_what_is_written_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    kept = TokenFile(tmp_path / "home" / "token.json", "configured")
    assert kept.read() is None
    kept.write("rotated-1")
    kept.write("rotated-2")
    assert kept.read() == "rotated-2"
    assert stat.S_IMODE((tmp_path / "home" / "token.json").stat().st_mode) == 0o600
    assert "configured" not in (tmp_path / "home" / "token.json").read_text()
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["token.json"]


def test_a_newly_configured_token_puts_the_file_aside(tmp_path: Path) -> None:
    TokenFile(tmp_path / "token.json", "configured").write("rotated")
    assert TokenFile(tmp_path / "token.json", "another").read() is None


@pytest.mark.parametrize("content", ["", "{", "\x00" * 20])
def test_a_file_that_is_no_token_file_is_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"token\.json cannot be read"):
        TokenFile(path, "configured").read()


@pytest.mark.parametrize("name", ["open", "write", "fsync", "close", "replace"])
@pytest.mark.parametrize("failing_call", [1, 2, 3])
def test_whatever_call_fails_the_file_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, failing_call: int
) -> None:
    path = tmp_path / "token.json"
    kept = TokenFile(path, "configured")
    kept.write("old")
    calls = 0
    real: Callable[..., Any] = getattr(os, name)

    def flaky(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            if name == "close":
                real(*args, **kwargs)
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, flaky)
    try:
        kept.write("new")
        written = True
    except OSError:
        written = False
    monkeypatch.undo()
    assert kept.read() in ({"new"} if written else {"old", "new"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept.write("newer")
    assert kept.read() == "newer"

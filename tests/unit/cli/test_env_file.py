"""One value of `.env` changes; everything else stays."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from zerogex.cli.env_file import set_value, with_value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "T=new\n"),
        ("A=1", "A=1\nT=new\n"),
        ("T=old  # why\nA=1\n", "T=new  # why\nA=1\n"),
        ("export T='o # d' # why\n", "export T=new # why\n"),
        ("# T=example\nA=1\n", "# T=example\nT=new\nA=1\n"),
        ("T=1\r\nA=2\r\n", "T=new\r\nA=2\r\n"),
        ("T=first\nT=last\n", "T=first\nT=new\n"),
        ("TT=1\nXT=2\n", "TT=1\nXT=2\nT=new\n"),
    ],
)
def test_only_the_value_changes(before: str, after: str) -> None:
    assert with_value(before, "T", "new") == after


@pytest.mark.parametrize("value", ["plain-token_1.2", "has space", "has # hash", "it's", 'say "hi"', "a\\b", "$HOME"])
def test_what_is_written_is_what_is_read(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    set_value(path, "T", value)
    assert dotenv_values(path, interpolate=False) == {"T": value}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("A=1\n")
    (tmp_path / ".env").symlink_to(tmp_path / "real")
    set_value(tmp_path / ".env", "T", "x")
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "real").read_text() == "A=1\nT=x\n"

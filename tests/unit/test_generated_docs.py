"""Pages made from the program say what the program does."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import typer
from dotenv import dotenv_values

from zerogex.cli import main
from zerogex.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def make_docs():
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools/make_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_docs"] = module
    spec.loader.exec_module(module)
    return module


def test_every_generated_page_is_up_to_date(make_docs) -> None:
    stale = [path for path, page in make_docs.PAGES.items() if (ROOT / path).read_text() != page()]
    assert not stale, f"run python tools/make_docs.py: {stale} differ"


def test_the_env_example_sets_nothing_until_uncommented(tmp_path: Path) -> None:
    assert not dotenv_values(ROOT / ".env.example")


def test_the_env_example_uncommented_is_accepted(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    text = "\n".join(line.removeprefix("# ") for line in lines if line[2:3].isupper() and "=" in line.split(" ")[1])
    (tmp_path / "env").write_text(text)
    names = {name.lower() for name in dotenv_values(tmp_path / "env")}
    assert names == set(Settings.model_fields)
    Settings(_env_file=tmp_path / "env")  # type: ignore[call-arg]


def test_the_readme_fits_a_short_front_door() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert text.index("make run") < text.index("make test")


def test_the_page_of_views_lists_options_that_show_has() -> None:
    command = typer.main.get_command(main.app).commands["show"]  # type: ignore[attr-defined]
    accepted = {option for parameter in command.params for option in parameter.opts}
    listed = set(re.findall(r"^- `(-[^`]+)`:", (ROOT / "docs/views.md").read_text(), re.M))
    assert listed == {"-u", "-n", "--minutes", "--day"}
    assert listed <= accepted

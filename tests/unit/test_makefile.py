"""The Makefile only forwards: no SQL in it, and people's values reach the program as they were typed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NAMES = """
    stats latest today check-streaming
    underlying underlying-latest underlying-today underlying-volume
    options options-latest options-today options-strikes options-raw options-fields
    greeks greeks-summary gex-summary gex-strikes gex-preview
    flow-by-type flow-by-strike flow-by-expiration flow-smart-money flow-buying-pressure flow-live
    gaps gaps-today quality clear-data clear-options clear-underlying vacuum size refresh-views psql query
"""
TARGETS = _NAMES.split()

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not on this machine")


def make(folder: Path, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make with a stand-in for the program, which says what it was given."""
    ready, program = folder / "ready", folder / "zerogex"
    ready.touch()
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\nprintf "%s" "$SQL"\n[ "$SQL" ] || cat\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("SQL", "MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--no-print-directory", f"READY={ready}", f"ZEROGEX={program}", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, input=text or "", capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_forwards_to_the_program_and_shows_no_sql(target: str, tmp_path: Path) -> None:
    shown = make(tmp_path, "-n", target).stdout.strip()
    assert re.fullmatch(rf"exec {re.escape(str(tmp_path / 'zerogex'))} [a-z0-9 -]+", shown), shown
    assert not re.search(r"\b(SELECT|FROM|DELETE|TRUNCATE)\b", shown, re.IGNORECASE)


def test_help_lists_every_target_once(tmp_path: Path) -> None:
    listed = re.findall(r"^  ([a-z0-9-]+) ", make(tmp_path, "help").stdout, re.MULTILINE)
    assert set(TARGETS) <= set(listed)
    assert len(listed) == len(set(listed))


def test_the_walk_expects_something_of_every_target(tmp_path: Path) -> None:
    listed = set(re.findall(r"^  ([a-z0-9-]+) ", make(tmp_path, "help").stdout, re.MULTILINE))
    table = tomllib.loads((ROOT / "tools/walk_targets.toml").read_text())
    services = {target for target in listed if re.fullmatch(table["service"]["targets"], target)}
    assert listed - services == set(table["target"])
    assert all(row.get("says", "") or row.get("left_out") for name, row in table["target"].items() if name != "setup")


def test_help_fits_eighty_columns(tmp_path: Path) -> None:
    lines = make(tmp_path, "help").stdout.splitlines()
    assert [line for line in lines if len(line) > 80] == []


HARD = ["SELECT $1, $$x$$, $(id), ${HOME}", "SELECT 'it''s' || \"a b\"", "SELECT `id` -- ; rm -rf $HOME", "a\\nb % # *"]


@pytest.mark.parametrize("text", HARD)
def test_sql_reaches_the_program_as_typed(text: str, tmp_path: Path) -> None:
    assert make(tmp_path, "query", f"SQL={text}").stdout == f"query|{text}"
    assert text not in make(tmp_path, "-n", "query", f"SQL={text}").stdout


def test_without_sql_the_question_comes_by_standard_input(tmp_path: Path) -> None:
    assert make(tmp_path, "query", text="SELECT 1").stdout == "query|SELECT 1"


def test_args_are_added_to_the_command(tmp_path: Path) -> None:
    assert make(tmp_path, "flow-live", "ARGS=--watch 10 -u SPY").stdout == "flow|--watch|10|-u|SPY|"

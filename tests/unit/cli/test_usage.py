"""Wrong words on the command line: the value that came, and what was expected."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from zerogex.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "stats", "-n", "0"], "'0' came; expected at least 1"),
        (["show", "stats", "-n", "many"], "'many' came; expected a whole number"),
        (["iv", "-p", "lots"], "'lots' came; expected a number"),
        (["iv", "-p", "nan"], "nan is not a price of an option (from 0 to 1e+09 dollars)"),
        (["backfill", "--lookback-days", "9999"], "'9999' came; expected at most 3650"),
        (["keys", "create", "--name", "x", "--requests-per-minute", "0"], "'0' came; expected at least 1"),
        (["show", "stats", "--day", "tomorrow"], "'tomorrow' does not match a date such as 2026-11-24"),
        (["show", "stats", "-o", "xml"], "'xml' is not one of 'table', 'json', 'csv', 'ndjson'"),
        (["probe", "quote", "-s", ""], "'' is not a symbol; expected one such as SPY"),
        (["gex", "-", "--rate", "500%"], "expected less than 100 %, such as 5.35%"),
    ],
)
def test_a_refusal_names_what_came(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main.app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: Invalid value") and last.endswith(said)

"""`make audit` says what was found, and that an audit of nothing is no verdict."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    path = Path(__file__).parents[2] / "tools/audit.py"
    spec = importlib.util.spec_from_file_location("audit", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OURS = {"name": "zerogex", "skip_reason": "distribution marked as editable"}
CLEAN = {"name": "numpy", "version": "2.1", "vulns": []}
HOLED = {"name": "flask", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "numba", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([OURS, CLEAN], 0, "no known vulnerability in 1 packages"),
        ([OURS, CLEAN, HOLED, UNKNOWN], 1, "flask 1.0: PYSEC-1, mended in 1.1"),
        ([OURS, CLEAN, UNKNOWN], 69, "no verdict: 1 of 2 packages could not be looked up"),
    ],
)
def test_a_report_becomes_a_verdict(audit: ModuleType, packages: list[dict[str, Any]], code: int, said: str) -> None:
    found, lines = audit.verdict({"dependencies": packages})
    assert found == code
    assert lines[0].startswith(said)

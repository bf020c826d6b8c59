"""What pydantic's errors mean to an operator: which value came, and what was expected instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "enum": "{expected}",
}


def expected(problem: Mapping[str, Any]) -> str:
    """The words after "expected" for one of `ValidationError.errors()`."""
    known = {key: f"{value:g}" if isinstance(value, float) else value for key, value in problem.get("ctx", {}).items()}
    said = _EXPECTED.get(problem["type"])
    wanted = problem["msg"] if said is None else said.format_map(known)
    return str(wanted).removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("expected ")

"""SQL files are read as named statements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zerogex.store
from zerogex.store.sql import parse, queries, statements

PACKAGE = Path(zerogex.store.__file__).parent


def test_a_statement_has_a_name_a_description_and_its_parameters_in_order() -> None:
    found = parse(
        "-- two --\n-- Adds up.\n-- b: the second; a: the first\n-- limit: rows\n"
        "SELECT %(b)s + %(a)s -- not a comment above\nLIMIT %(limit)s\n\n-- one --\n-- Counts.\nSELECT 1\n"
    )
    assert list(found) == ["two", "one"]
    assert found["two"].description == "Adds up."
    assert found["two"].parameters == {"b": "the second", "a": "the first", "limit": "rows"}
    assert found["two"].text == "SELECT %(b)s + %(a)s -- not a comment above\nLIMIT %(limit)s"
    assert found["one"].parameters == {}


def test_a_name_given_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="the statement one is defined twice"):
        parse("-- one --\n-- A.\nSELECT 1\n-- one --\n-- B.\nSELECT 2\n")


def test_every_statement_is_described() -> None:
    for found in (statements("statements.sql"), queries()):
        assert [name for name, each in found.items() if not each.description.endswith(".")] == []


def test_every_parameter_of_a_question_is_explained() -> None:
    assert [(q.name, p) for q in queries().values() for p, meaning in q.parameters.items() if not meaning] == []


def test_every_statement_is_used_and_every_used_statement_exists() -> None:
    source = "".join(path.read_text() for path in PACKAGE.glob("*.py"))
    named = set(re.findall(r'statement\("(\w+)"\)', source)) | set(re.findall(r'"(copy_\w+_out)"', source))
    named |= set(re.findall(r'_rows\("(\w+)"', source))
    named |= {
        name for steps in re.findall(r"for step in \(([^)]*)\)", source) for name in re.findall(r'"(\w+)"', steps)
    }
    assert named == set(statements("statements.sql"))


def test_no_sql_stands_in_python() -> None:
    words = re.compile(r'(?<!")"\s*(SELECT|INSERT|UPDATE|DELETE|ALTER|DROP|COPY|LISTEN|SET)\s', re.IGNORECASE)
    found = {path.name: words.findall(path.read_text()) for path in PACKAGE.glob("*.py")}
    assert {name: hits for name, hits in found.items() if hits} == {}

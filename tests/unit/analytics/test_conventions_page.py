"""The page on conventions names every field, and what it points to exists."""

import importlib
import re
from pathlib import Path

import pytest

import zerogex
from zerogex.analytics.analysis import analyze
from zerogex.analytics.document import document
from zerogex.domain.exposure import DealerModel, FlipStatus

SOURCE = Path(zerogex.__file__).parent
PAGE = (SOURCE.parents[1] / "docs" / "conventions.md").read_text()
ANSWERS = re.findall(r"`(\w+/\w+\.py)`(?: · ((?:`\w+`(?:, )?)+))?", PAGE.replace("·\n", "· "))


def test_every_field_of_the_document_is_explained(make_chain) -> None:
    fields = document(analyze(make_chain([("C", 100, 1)])))
    assert [name for name in fields if f"`{name}`" not in PAGE] == []


def test_every_variant_of_a_level_status_and_model_is_named(make_chain) -> None:
    assert [each.value for each in (*FlipStatus, *DealerModel) if f"`{each.value}`" not in PAGE] == []


@pytest.mark.parametrize(("path", "names"), ANSWERS, ids=lambda value: str(value)[:40])
def test_every_place_it_points_to_exists(path: str, names: str) -> None:
    module = importlib.import_module("zerogex." + path.removesuffix(".py").replace("/", "."))
    assert [name for name in re.findall(r"\w+", names) if not hasattr(module, name)] == []


def test_the_page_points_to_most_modules_of_analytics() -> None:
    modules = {path.name for path in (SOURCE / "analytics").glob("*.py")} - {"__init__.py"}
    assert modules == {Path(path).name for path, _ in ANSWERS if path.startswith("analytics/")}

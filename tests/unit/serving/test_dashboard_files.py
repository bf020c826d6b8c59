"""The page's files: what they weigh, what they name, and what they must never do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zerogex
from zerogex.domain.exposure import TOTALS
from zerogex.serving.page import DASHBOARD, assets

ROOT = Path(zerogex.__file__).parents[2]
OURS = [path for path in sorted(DASHBOARD.rglob("*.*")) if path.match("*.[jch]*") and path.parent.name != "vendor"]
SCRIPTS = [path for path in OURS if path.suffix == ".js"]
MARKUP = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|setAttribute\(\"style"


def luminance(color: str) -> float:
    """WCAG 2 relative luminance of #rrggbb."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colors(selector: str) -> dict[str, str]:
    block = (DASHBOARD / "style.css").read_text().partition(f"{selector} {{")[2].partition("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def name(path: Path) -> str:
    return path.relative_to(DASHBOARD).as_posix()


def test_the_page_weighs_less_than_1600_kilobytes() -> None:
    assert sum(path.stat().st_size for path in DASHBOARD.rglob("*") if path.suffix not in (".txt",)) < 1_600_000


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_no_script_makes_markup_from_text(path: Path) -> None:
    assert not re.search(MARKUP, path.read_text())


@pytest.mark.parametrize("path", OURS, ids=name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"(?:src=|url\(|import\(?|fetch\()\s*[\"'`]?(?:https?:)?//[^\s\"'`]+", text)


def test_the_document_has_no_inline_script_or_style() -> None:
    html = (DASHBOARD / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_every_file_the_document_names_is_served() -> None:
    html = (DASHBOARD / "index.html").read_text()
    named = re.findall(r"(?:src|href)=\"/assets/([^\"]+)\"", html)
    assert named
    assert set(named) <= assets().keys()


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_import_names_a_file(path: Path) -> None:
    for target in re.findall(r"from \"(\.[^\"]+)\"", path.read_text()):
        assert (path.parent / target).resolve().is_file(), target


def test_every_explanation_names_the_module_that_computes_the_number() -> None:
    sources = re.findall(r"source: \"([^\"]+)\"", (DASHBOARD / "definitions.js").read_text())
    assert sources
    for source in sources:
        assert (ROOT / source).is_file(), source


def test_every_measure_by_strike_is_a_column_of_the_exposure_table() -> None:
    measures = (DASHBOARD / "definitions.js").read_text().partition("MEASURES")[2]
    columns = re.findall(r"(?:call|put|net): \"(\w+)\"", measures)
    assert columns
    assert set(columns) <= set(TOTALS)


@pytest.mark.parametrize("library", ["echarts", "lightweight-charts"])
def test_a_vendored_library_keeps_its_licence(library: str) -> None:
    licence = DASHBOARD / "vendor" / f"{library}-LICENSE.txt"
    assert "Apache License" in licence.read_text()
    assert (DASHBOARD / "vendor" / f"{library}-NOTICE.txt").read_text().strip()
    assert library in (DASHBOARD / "vendor" / "README.txt").read_text()


def test_the_attribution_is_on_the_page() -> None:
    html = (DASHBOARD / "index.html").read_text()
    assert "https://www.tradingview.com/" in html
    assert "Apache ECharts" in html


@pytest.mark.parametrize("theme", [":root", ':root[data-theme="light"]'])
def test_every_text_colour_stands_out_from_every_ground(theme: str) -> None:
    palette = colors(theme)
    for text in ("ink", "soft", "faint", "call", "put", "flip", "spot", "pain"):
        for ground in ("ground", "panel", "raised"):
            light, dark = sorted((luminance(palette[text]), luminance(palette[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)

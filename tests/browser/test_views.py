"""The nine views of the page over a server with history: choices, time, permalinks, keys, downloads, accessibility."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from served import NOON, Served, market_chain, minute, serving, until
from zerogex.analytics.analysis import analyze
from zerogex.analytics.document import document, iso
from zerogex.ports import MinuteBatch
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

pytestmark = pytest.mark.browser

MINUTES = 12
VIEWS = ("overview", "strikes", "profile", "heatmap", "volatility", "flow", "history", "quality", "levels")
CHARTS = {
    "overview": ("price", "strikes", "profile", "expirations"),
    "strikes": ("strikes", "expirations"),
    "profile": ("profile",),
    "heatmap": ("cells", "drift"),
    "volatility": ("smile", "term"),
    "flow": ("flow-type", "pressure", "flow-strike", "flow-expiration"),
    "history": ("history-gex", "history-levels"),
}
AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((found) => ["serious", "critical"].includes(found.impact))
  .map((found) => `${found.id}: ${found.nodes.map((node) => node.target).slice(0, 4).join(" ")}`)"""


def stamp(number: int) -> datetime:
    """The end of the n-th stored minute."""
    return NOON - timedelta(minutes=MINUTES - 1 - number)


@pytest.fixture(scope="module")
def market(new_database: Callable[[], DatabaseConfig]) -> Iterator[Served]:
    """A served market of two underlyings with a dozen stored minutes; no test of this file changes it."""
    store = PostgresStore(new_database())
    for symbol, base in (("SPY", 690.5), ("QQQ", 610.25)):
        for number in range(MINUTES):
            end = stamp(number)
            chain = market_chain(base + 0.25 * (number - MINUTES + 1), end, symbol, round(base))
            grown = chain.volume + np.where(chain.open_interest % 3 == 0, 700, 5) * number
            chain = replace(chain, volume=grown, last=np.full(len(chain), 1.08))
            label = end - timedelta(minutes=1)
            analysis = analyze(chain)
            store.write_minute(MinuteBatch(uuid4(), symbol, label, chain, (minute(symbol, label, base),)))
            store.write_analysis(analysis, label)
        store.write_latest(chain, np.ones(len(chain), bool))
        row = document(analysis) | {"computed_at": iso(end), "code_version": "test"}
        store.write_live(analysis, msgspec.json.encode(row))
    with serving(store, symbols=("SPY", "QQQ"), heartbeat_s=0.2) as served:
        until(lambda: all(served.app.state.hub.board.known[name].document for name in ("SPY", "QQQ")))
        yield served
    store.close()


def api(market: Served, path: str) -> dict[str, Any]:
    return httpx2.get(f"{market.address}/api/v1/{path}").json()


def spot(page: Page) -> Locator:
    return page.locator("#tile-spot .value")


def drawn(page: Page, view: str) -> None:
    """Every chart of a view has something on it."""
    for name in CHARTS.get(view, ()):
        expect(page.locator(f"#chart-{name} canvas").first).to_be_visible()
        expect(page.locator(f"#chart-{name} > .blank")).to_have_count(0)


@pytest.mark.parametrize(
    ("width", "theme", "views"),
    [
        (360, "dark", (0, 1, 5)),
        (360, "light", (3, 6, 8)),
        (768, "dark", (2, 4, 7)),
        (768, "light", (0, 5, 8)),
        (1440, "dark", (3, 6, 7)),
        (1440, "light", (0, 1, 2, 4)),
    ],
)
def test_views_fit_stand_still_and_are_accessible(
    market: Served, visit: Callable[..., Any], width: int, theme: str, views: tuple[int, ...]
) -> None:
    visited = visit(f"{market.address}/?theme={theme}", width)
    page = visited.page
    expect(spot(page)).to_have_text("690.50")
    drawn(page, "overview")
    assert page.evaluate("window.shifts") < 0.02
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    cut_off = page.evaluate(
        "[...document.querySelectorAll('.tile .value, .tile .name')]"
        ".filter((node) => node.scrollWidth > node.clientWidth).map((node) => node.textContent)"
    )
    assert cut_off == []
    page.evaluate(AXE.read_text())
    for number in views:
        page.keyboard.press(str(number + 1))
        drawn(page, VIEWS[number])
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), VIEWS[number]
        assert page.evaluate(RUN_AXE) == [], VIEWS[number]
    assert visited.complaints == []


def test_every_number_explains_itself(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(market.address).page
    expect(spot(page)).to_have_text("690.50")
    for each in page.locator(".tile").all():
        each.click()
        dialog = page.locator("#dialog")
        expect(dialog).to_be_visible()
        terms = dialog.locator("dt").all_inner_texts()
        assert {"What it is", "Unit", "Formula", "Inputs", "API", "Computed in"} <= set(terms)
        address = dialog.locator("a").get_attribute("href")
        assert each.get_attribute("data-field") in httpx2.get(market.address + address).json()
        inputs = dialog.locator("dd li").all_inner_texts()
        for word in ("live contracts", "of open interest", "data ", "Forward ", "Rate "):
            assert any(word in line for line in inputs), word
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_each_digit_shows_its_view_and_each_view_has_a_permalink(market: Served, visit: Callable[..., Any]) -> None:
    visited = visit(market.address)
    page = visited.page
    expect(spot(page)).to_have_text("690.50")
    for number, view in enumerate(VIEWS, start=1):
        page.keyboard.press(str(number))
        expect(page.locator("#views a[aria-current]")).to_have_text(re.compile(str(number)))
        expect(page.locator("html")).to_have_attribute("data-view", view)
        drawn(page, view)
    address = page.locator("#view-heatmap").get_attribute("href") or ""
    page.goto(f"{market.address}/{address}")
    expect(page.locator("#panel-cells")).to_be_visible()
    expect(page.locator("#panel-price")).to_be_hidden()
    drawn(page, "heatmap")
    assert visited.complaints == []


def test_the_arrow_keys_turn_the_whole_page_back_and_l_makes_it_live(market: Served, visit: Callable[..., Any]) -> None:
    visited = visit(market.address)
    page = visited.page
    expect(spot(page)).to_have_text("690.50")
    expect(page.locator("#time-slider")).to_be_enabled()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(spot(page)).to_have_text("690.00")
    expect(page.locator("#time-shown")).to_have_text("Fri, Feb 20 11:58")
    expect(page).to_have_url(re.compile(r"time=2026-02-20T16:58:00"))
    said = api(market, f"SPY/summary?as_of={iso(stamp(MINUTES - 3))}")
    assert json.loads(page.locator("#tile-net_gex").get_attribute("data-raw") or "") == said["net_gex"]
    expect(page.locator("#state")).to_contain_text("replay")
    page.keyboard.press("ArrowRight")
    expect(spot(page)).to_have_text("690.25")
    page.reload()
    expect(spot(page)).to_have_text("690.25")
    page.locator("#tile-net_gex").click()
    address = page.locator("#dialog a").get_attribute("href") or ""
    shown = json.loads(page.locator("#tile-net_gex").get_attribute("data-raw") or "")
    assert httpx2.get(market.address + address).json()["net_gex"] == shown
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    expect(spot(page)).to_have_text("690.50")
    expect(page).not_to_have_url(re.compile("time="))
    expect(page.locator("#time-live")).to_have_attribute("aria-pressed", "true")
    assert visited.complaints == []


def test_a_time_before_all_data_says_so(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(f"{market.address}/?time=2026-02-19T15:00:00Z").page
    expect(page.locator("#notice")).to_contain_text("No chain of SPY is stored")
    expect(page.locator("#notice")).to_contain_text("for live")
    page.keyboard.press("l")
    expect(spot(page)).to_have_text("690.50")
    expect(page.locator("#notice")).to_be_hidden()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#notice")).to_contain_text("by 2026-02-19T17:00:00Z")
    page.keyboard.press("Shift+ArrowRight")
    expect(spot(page)).to_have_text("690.50")


def rows_shown(page: Page, panel: str) -> list[dict[str, str]]:
    """What a panel draws, as its CSV says it."""
    with page.expect_download() as download:
        page.locator(f"#panel-{panel} button", has_text="CSV").click()
    return list(csv.DictReader(io.StringIO(download.value.path().read_text())))


def test_expirations_measure_and_dealers_are_chosen_and_kept_in_the_address(
    market: Served, visit: Callable[..., Any]
) -> None:
    visited = visit(f"{market.address}/?view=strikes&measure=charm&expirations=0dte")
    page = visited.page
    expect(page.locator("#measure")).to_have_value("charm")
    expect(page.locator("#chips button[aria-pressed=true]")).to_have_text(["0DTE", "Feb 20"])
    page.locator("#chips button", has_text="Mar 20").click()
    expect(page).to_have_url(re.compile(r"expirations=2026-02-20,2026-03-20"))
    page.locator("#model").select_option("short_all")
    page.keyboard.press("Escape")
    page.locator("#measure").select_option("gex")
    wanted = api(market, "SPY/strikes?expirations=2026-02-20,2026-03-20&dealer_model=short_all")["by_strike"]
    expect(page.locator("#chart-strikes")).to_have_attribute("aria-label", re.compile(f"^GEX.*{len(wanted)} strikes"))
    page.wait_for_function("document.querySelector('#rows-strike-table').innerText.includes('−')")
    until(lambda: float(rows_shown(page, "strikes")[40]["call_gex"]) == pytest.approx(wanted[40]["call_gex"]))
    assert wanted[40]["call_gex"] < 0
    page.reload()
    expect(page.locator("#model")).to_have_value("short_all")
    expect(page.locator("#chips button[aria-pressed=true]")).to_have_text(["Feb 20", "Mar 20"])
    page.locator("#chips button", has_text="All").click()
    expect(page).not_to_have_url(re.compile("expirations"))
    page.locator("#view-strikes").focus()
    page.keyboard.press("m")
    expect(page.locator("#measure")).to_have_value("volume_gex")
    assert visited.complaints == []


def test_keys_of_theme_help_and_symbol(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(market.address).page
    expect(spot(page)).to_have_text("690.50")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page).to_have_url(re.compile("theme=light"))
    page.keyboard.press("?")
    expect(page.locator("#dialog")).to_contain_text("live again")
    page.keyboard.press("2")
    expect(page.locator("html")).to_have_attribute("data-view", "overview")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#symbol")).to_be_focused()
    page.locator("#symbol").select_option("QQQ")
    expect(spot(page)).to_have_text("610.25")
    expect(page).to_have_url(re.compile("symbol=QQQ"))


def test_charts_are_taken_away_as_images_and_tables_as_text(market: Served, visit: Callable[..., Any]) -> None:
    visited = visit(f"{market.address}/?view=levels")
    page = visited.page
    expect(page.locator("#rows-levels tbody tr")).to_have_count(2)
    expect(page.locator("#rows-levels")).to_contain_text("QQQ")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    said = api(market, "SPY/summary")
    for name, first in (("tradingview", "//@version=6"), ("thinkorswim", "# ZeroGEX SPY"), ("csv", "underlying,level")):
        page.locator(f"#copy-{name}").click()
        expect(page.locator("#said")).to_contain_text("copied")
        text = page.evaluate("navigator.clipboard.readText()")
        assert text.startswith(first)
        assert f"{said['call_wall']:g}" in text
    page.keyboard.press("1")
    drawn(page, "overview")
    for name in ("price", "profile"):
        with page.expect_download() as download:
            page.locator(f"#panel-{name} button", has_text="PNG").click()
        assert download.value.path().read_bytes()[:4] == b"\x89PNG"
        assert download.value.suggested_filename == f"zerogex-SPY-{name}.png"
    assert visited.complaints == []


def test_the_heat_maps_show_the_cells_of_the_api(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(f"{market.address}/?view=heatmap&measure=vanna").page
    drawn(page, "heatmap")
    said = api(market, "SPY/heatmap?measures=vanna_exposure")
    shown = {
        (row["expiration"], float(row["strike"])): float(row["vanna_exposure"]) for row in rows_shown(page, "cells")
    }
    assert len(shown) > 200
    for (day, strike), value in shown.items():
        i, j = said["expirations"].index(day), said["strikes"].index(strike)
        assert value == said["vanna_exposure"][i][j]
    through = api(market, "SPY/heatmap?by=time&measures=vanna_exposure")
    assert {row["timestamp"] for row in rows_shown(page, "drift")} == set(through["times"])


def test_the_heat_maps_honour_the_choice_of_expirations(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(f"{market.address}/?view=heatmap").page
    drawn(page, "heatmap")
    page.locator("#chips button", has_text="Next").click()
    expect(page.locator("#note-cells")).to_have_text("next expiration only")
    expect(page.locator("#chart-cells")).to_have_attribute("aria-label", re.compile(": 1 columns"))
    assert {row["expiration"] for row in rows_shown(page, "cells")} == {"2026-02-27"}
    through = api(market, "SPY/heatmap?by=time&measures=net_gex&expirations=2026-02-27")
    wanted = {
        (time, strike): value
        for time, line in zip(through["times"], through["net_gex"], strict=True)
        for strike, value in zip(through["strikes"], line, strict=True)
        if value is not None
    }

    def the_same() -> bool:
        shown = rows_shown(page, "drift")
        return {(row["timestamp"], float(row["strike"])): float(row["net_gex"]) for row in shown} == wanted

    until(the_same)


def test_no_cell_of_a_file_is_a_formula(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(market.address).page
    cells = ["=1+1", "+cmd", "-2", "@x", "\tx", 'a"b', "a,b", -2.5, None]
    written = page.evaluate("async (cells) => (await import('/assets/download.js')).csv([{...cells}])", cells)
    assert written == '0,1,2,3,4,5,6,7,8\r\n\'=1+1,\'+cmd,\'-2,\'@x,\'\tx,"a""b","a,b",-2.5,\r\n'


def test_flow_says_that_its_sides_are_inferred(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(f"{market.address}/?view=flow").page
    expect(page.locator("#note-pressure")).to_contain_text("inferred")
    expect(page.locator("#note-smart-money")).to_contain_text("inferred")


def test_a_past_that_the_address_cannot_mean_is_left_out(market: Served, visit: Callable[..., Any]) -> None:
    visited = visit(f"{market.address}/?time=<b>&expirations=<i>&measure=x&model=x&range=x&view=x&symbol=x")
    expect(spot(visited.page)).to_have_text("690.50")
    assert "%3C" not in visited.page.url.replace("time=%3Cb%3E", "")
    assert visited.complaints == []


def test_what_is_drawn_is_neither_more_nor_less_than_there_is_to_see(market: Served, visit: Callable[..., Any]) -> None:
    page = visit(market.address).page
    ask = "async ([file, name, values]) => (await import(`/assets/${file}`))[name](...values)"
    for value, text in (
        (5e9, "$5 bn"),
        (-2.5e6, "−$2.5 m"),
        (0, "$0"),
        (1e3, "$1 k"),
        (1.05e9, "$1.05 bn"),
        (100, "$100"),
    ):
        assert page.evaluate(ask, ["format.js", "tick", [value]]) == text
    for left, right in (
        ([-3.0, 0.15], [-2.0, 5.0]),
        ([1.0, 2.0], [3.0]),
        ([-1.0], [-2.0]),
        ([-1.0], [2.0]),
        ([0.0], [1.0]),
    ):
        ranges = page.evaluate(ask, ["pieces/flow.js", "sharedZero", [left, right]])
        heights = [-each["min"] / (each["max"] - each["min"]) for each in ranges]
        assert heights[0] == pytest.approx(heights[1])
        for each, values in zip(ranges, (left, right), strict=True):
            assert each["min"] <= min(values) <= max(values) <= each["max"]
    rows = [{"call_premium": premium, "put_premium": 0} for premium in (1, 0, 400, 300, 300, 2)]
    assert page.evaluate(ask, ["pieces/flow.js", "busy", [rows]]) == rows[2:5]
    spots = list(range(50, 151))
    curve = [max(0, 20 - abs(spot - 100)) for spot in spots]
    low, high = page.evaluate(ask, ["charts/profile.js", "worthDrawing", [spots, curve, [100, 140]]])
    assert 70 < low < 82
    assert 140 <= high < 150
    assert page.evaluate(ask, ["charts/profile.js", "worthDrawing", [spots, [0] * len(spots), [100]]]) == [50, 150]

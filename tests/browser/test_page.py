"""The page in a real browser, over a real server and a real PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from playwright.sync_api import Page, expect

from served import NOON, Served, cut_off, serving, until
from zerogex.domain.alert import Alert, Side, Standing
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def served(store: PostgresStore) -> Iterator[Served]:
    with serving(store, symbols=("SPY",), heartbeat_s=0.2) as served:
        yield served


@pytest.fixture
def full(served: Served) -> Served:
    """A server with an analysis and an hour of minutes."""
    served.publish_bars(60)
    served.publish()
    until(lambda: served.app.state.hub.board.known["SPY"].document and served.app.state.hub.board.known["SPY"].bars)
    return served


def tile(page: Page, name: str) -> Any:
    return page.locator(f"#tile-{name}")


def summary(served: Served, symbol: str = "SPY") -> dict[str, Any]:
    return httpx2.get(f"{served.address}/api/v1/{quote(symbol, safe='')}/summary").json()


def test_every_number_on_the_page_is_the_number_of_the_api(full: Served, visit: Callable[..., Any]) -> None:
    page = visit(full.address).page
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")
    said = summary(full)
    for each in page.locator("[data-field]").all():
        shown = json.loads(each.get_attribute("data-raw") or "null")
        assert shown == said[each.get_attribute("data-field") or ""]
    for name, digits in (("gamma_flip", 2), ("call_wall", 0), ("put_wall", 0), ("max_pain", 0)):
        assert tile(page, name).locator(".value").inner_text() == f"{said[name]:,.{digits}f}"
    shown = tile(page, "net_gex").locator(".value").inner_text()
    size, unit = re.fullmatch(r"([+−]\$[\d.]+) (bn|m)", shown).groups()
    value = float(size.replace("$", "").replace("−", "-")) * {"bn": 1e9, "m": 1e6}[unit]
    assert value == pytest.approx(said["net_gex"], rel=0.005)
    assert page.locator("#simulated").inner_text() == "SIMULATED"
    assert "dealers long calls, short puts" in page.locator("#assumption").inner_text()


def test_a_new_analysis_appears_by_itself_without_moving_the_page(full: Served, visit: Callable[..., Any]) -> None:
    visited = visit(full.address)
    spot = tile(visited.page, "spot").locator(".value")
    expect(spot).to_have_text("690.50")
    for value in (690.75, 691.25, 700.0):
        full.clock.advance(1.0)
        full.publish(spot=value)
        expect(spot).to_have_text(f"{value:.2f}")
    assert visited.page.evaluate("window.shifts") < 0.02
    assert visited.complaints == []


def test_another_underlying_is_one_choice_away(full: Served, visit: Callable[..., Any]) -> None:
    full.publish(spot=100.25, symbol="QQQ")
    until(lambda: "QQQ" in full.app.state.hub.board.known)
    page = visit(full.address).page
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")
    page.locator("#symbol").select_option("QQQ")
    expect(tile(page, "spot").locator(".value")).to_have_text("100.25")
    expect(page).to_have_url(re.compile("symbol=QQQ"))
    page.reload()
    expect(tile(page, "spot").locator(".value")).to_have_text("100.25")


def test_text_from_upstream_stays_text(full: Served, visit: Callable[..., Any]) -> None:
    full.publish(spot=123.0, symbol=EVIL, notes=[EVIL], gamma_flip_reason=EVIL, dealer_model=EVIL)
    until(lambda: EVIL in full.app.state.hub.board.known)
    visited = visit(f"{full.address}/?symbol={quote(EVIL)}")
    page = visited.page
    expect(tile(page, "spot").locator(".value")).to_have_text("123.00")
    tile(page, "gamma_flip").click()
    expect(page.locator("#dialog")).to_contain_text(EVIL)
    assert EVIL in page.locator("footer").inner_text()
    assert page.locator("img:not([alt=''])").count() == 0
    assert visited.complaints == []


def test_without_a_websocket_the_page_asks_instead(full: Served, visit: Callable[..., Any]) -> None:
    page = visit("").page
    page.route_web_socket("**/ws", lambda socket: socket.close())
    page.goto(full.address)
    spot = tile(page, "spot").locator(".value")
    expect(spot).to_have_text("690.50")
    expect(page.locator("#notice")).to_contain_text("Live updates are cut")
    full.publish(spot=695.0)
    expect(spot).to_have_text("695.00")


def notice(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.locator("#notice")).to_contain_text(text)


def test_waiting_for_the_first_analysis_is_said(served: Served, visit: Callable[..., Any]) -> None:
    visited = visit(served.address)
    page = visited.page
    notice(page, "No analysis of SPY has been computed yet", "zerogex analyze")
    expect(tile(page, "net_gex").locator(".value")).to_have_text("–")
    served.publish()
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")
    expect(page.locator("#notice")).to_be_hidden()
    assert visited.complaints == []


def test_that_alerting_fails_is_said_until_it_works_again(full: Served, visit: Callable[..., Any]) -> None:
    full.store.alerts.note_channel("ntfy", "ntfy.sh", tried=True, error="ntfy.sh answered 500")
    alert = Alert("1#1", "1", "SPY", NOON, Side.ABOVE, EVIL, "Spot 505.00", 505.0, 500.0, True)
    assert full.store.alerts.stand("1", Standing(), Standing(Side.ABOVE, 1, NOON), alert, ["ntfy"])
    visited = visit(f"{full.address}/?view=levels")
    page = visited.page
    notice(page, "Alerting is failing", "ntfy.sh answered 500", "1 alert waits")
    rows = page.locator("#rows-alerts tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(EVIL)  # as text
    expect(rows).to_contain_text("ntfy waits")
    full.store.alerts.note_channel("ntfy", "ntfy.sh", tried=True)
    delivery = full.store.alerts.claim("ntfy", 60.0)
    assert delivery is not None
    full.store.alerts.settle(delivery)
    expect(page.locator("#notice")).to_be_hidden()
    expect(rows).to_contain_text("ntfy ✓")
    assert visited.complaints == []


def test_an_empty_database_is_said(store: PostgresStore, visit: Callable[..., Any]) -> None:
    with serving(store, symbols=()) as served:
        notice(visit(served.address).page, "No data yet", "zerogex up")


def test_a_closed_market_is_said(full: Served, visit: Callable[..., Any]) -> None:
    full.clock.advance(86_400)
    page = visit(full.address).page
    notice(page, "The market is closed", "Mon, Feb 23, 09:30 ET")
    expect(page.locator("#state")).to_contain_text("closed")
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")


def test_old_data_in_an_open_market_is_said(full: Served, visit: Callable[..., Any]) -> None:
    page = visit(full.address).page
    expect(page.locator("#state")).to_contain_text("simulated")
    full.clock.advance(timedelta(minutes=5).total_seconds())
    expect(page.locator("#state")).to_contain_text("stale")
    notice(page, "5 min old", "zerogex ingest")


def test_a_lost_server_is_said_and_found_again(full: Served, visit: Callable[..., Any]) -> None:
    page = visit(full.address).page
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")
    full.stop()
    notice(page, "Connection to the server lost", "zerogex serve")
    expect(page.locator("#state")).to_contain_text("disconnected")
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")


def test_a_lost_database_is_said_with_the_last_known(
    full: Served, visit: Callable[..., Any], database: DatabaseConfig
) -> None:
    page = visit(full.address).page
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")
    cut_off(database)
    notice(page, "The database cannot be reached", "last known", "zerogex config")
    expect(tile(page, "spot").locator(".value")).to_have_text("690.50")
    assert summary(full)["stale"] is True
    assert NOON.isoformat().startswith(summary(full)["data_timestamp"][:19])

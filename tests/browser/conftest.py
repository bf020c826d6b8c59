"""A real Chromium, shared by all tests of the page, and what each page complained of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-component-update", "--disable-sync"]
ARGUMENTS += ["--disable-background-networking"]
PATIENCE_MS = 30_000  # a busy machine may take long; what is waited for comes by itself
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifts += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
"""


def chromium() -> str | None:
    """The browser to drive: the one named in ZEROGEX_TEST_BROWSER, or one found on this machine."""
    named = os.environ.get("ZEROGEX_TEST_BROWSER")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a file."""
    with sync_playwright() as playwright:
        path = chromium() or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium here: install chromium, or name a browser in ZEROGEX_TEST_BROWSER")
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A page, and everything it complained of."""

    def __init__(self, browser: Browser, width: int = 1440) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
        self.complaints: list[str] = []
        self.page.add_init_script(SHIFTS)
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self._heard("error", str(error)))
        self.page.on("dialog", lambda dialog: (self._heard("error", "dialog"), dialog.dismiss()))
        self.page.set_default_timeout(PATIENCE_MS)

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """A function that opens an address in a new page, closed after the test."""
    made: list[Visit] = []

    def make(address: str, width: int = 1440) -> Visit:
        made.append(Visit(browser, width))
        if address:
            made[-1].page.goto(address)
        return made[-1]

    yield make
    for each in made:
        each.page.close()

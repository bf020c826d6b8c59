"""The one thread that reads the store for the page: waits on its notices, hands news to the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from zerogex.domain.bar import MinuteBar
from zerogex.errors import StoreError, StoreUnavailable
from zerogex.ports import Store
from zerogex.serving.responses import encode, fingerprint

log = logging.getLogger(__name__)

RESCAN_S = 5.0  # a lost notice costs at most this long
RETRY_S = 1.0
NOTICE_WAIT_S = 0.25  # also how long stopping may take
FIRST_BARS = timedelta(hours=30)  # the last session and the one before it
FLOW_MINUTES = 30  # of the topic `flow`
OVERLAP = timedelta(minutes=3)  # re-read, because late ticks may still change the last minutes


class Audience(Protocol):
    """Who wants the news; called in the event loop."""

    def on_symbols(self, symbols: Sequence[str]) -> None:
        """These underlyings have data; the database has been read whole."""

    def on_analysis(self, symbol: str, document: dict[str, Any], version: str) -> None:
        """A newer analysis of an underlying."""

    def on_bars(self, symbol: str, rows: Sequence[MinuteBar]) -> None:
        """New or changed minutes, ascending."""

    def on_flow(self, symbol: str, rows: Sequence[dict[str, Any]]) -> None:
        """Calls against puts of the newest minutes, newest first."""

    def on_feed(self, trouble: str | None) -> None:
        """Why the feed cannot be heard, where only the operator can mend it."""

    def on_database(self, up: bool) -> None:
        """The database can be reached, or no longer."""


class Watcher:
    """Follows the store until stopped; survives its absence, and reads everything again when it is back."""

    def __init__(self, store: Store, audience: Audience, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._audience = audience
        self._loop = loop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zerogex-serving-watcher", daemon=True)
        self._newest: dict[str, MinuteBar] = {}
        self._raw: dict[str, bytes] = {}

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; blocks until it has ended or `timeout_s` has passed."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        up: bool | None = None
        while not self._stop.is_set():
            try:
                self._listen()
                self._rescan()
                if up is not True:
                    log.info("store reached", extra={"symbols": sorted(self._newest)})
                up = True
                self._tell(self._audience.on_database, True)
                self._follow()
            except StoreError as error:
                if up is not False:
                    log.warning("store lost; serving the last known", extra={"error": type(error).__name__})
                up = False
                self._tell(self._audience.on_database, False)
                self._stop.wait(RETRY_S)
            except Exception:
                log.exception("watcher failed; trying again")
                self._stop.wait(RETRY_S)

    def _listen(self) -> None:
        """Open the session that hears notices before reading: what is written meanwhile is heard after."""
        for _ in self._store.notices(0.001):
            break

    def _rescan(self) -> None:
        symbols = list(self._store.underlyings())
        state = self._store.feed_state()
        self._tell(self._audience.on_feed, None if state is None else state.trouble)
        for symbol in symbols:
            self._read_analysis(symbol)
            self._read_bars(symbol)
            self._read_flow(symbol)
        self._tell(self._audience.on_symbols, symbols)

    def _follow(self) -> None:
        """Act on notices until it is time to read everything again; raises StoreError soon after the store is lost."""
        until = time.monotonic() + RESCAN_S
        while time.monotonic() < until and not self._stop.is_set():
            quiet = True
            for notice in self._store.notices(NOTICE_WAIT_S):
                quiet = False
                if notice.channel == "gex":
                    self._read_analysis(notice.underlying)
                elif notice.channel == "minute":
                    self._read_bars(notice.underlying)
                    self._read_flow(notice.underlying)
                if self._stop.is_set() or time.monotonic() >= until:
                    break
            if quiet:
                self._store.underlyings()  # silence may be a quiet market, or a database that is gone

    def _read_analysis(self, symbol: str) -> None:
        raw = self._store.live(symbol)
        if raw is None or raw == self._raw.get(symbol):
            return
        self._raw[symbol] = raw
        document = msgspec.json.decode(raw)
        version = fingerprint(encode({name: value for name, value in document.items() if name != "computed_at"}))
        self._tell(self._audience.on_analysis, symbol, document, version)

    def _read_bars(self, symbol: str) -> None:
        last = self._store.last_bar(symbol)
        if last is None or last == self._newest.get(symbol):
            return
        known = self._newest.get(symbol)
        begin = last.timestamp - FIRST_BARS if known is None else min(known.timestamp, last.timestamp) - OVERLAP
        rows = self._store.bars(symbol, begin, last.timestamp + timedelta(minutes=1))
        self._newest[symbol] = last
        self._tell(self._audience.on_bars, symbol, rows)

    def _read_flow(self, symbol: str) -> None:
        try:
            columns, rows = self._store.query("flow_by_type", symbol=symbol, minutes=FLOW_MINUTES)
        except StoreUnavailable:
            raise
        except StoreError as error:  # the page does without flow rather than without everything
            log.warning("flow not read", extra={"underlying": symbol, "error": type(error).__name__})
            return
        self._tell(self._audience.on_flow, symbol, [dict(zip(columns, row, strict=True)) for row in rows])

    def _tell(self, hear: Callable[..., None], *news: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(hear, *news)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stop.set()

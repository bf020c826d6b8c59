"""What this server knows now: the last analysis and the last minutes of each underlying.

One board, touched only by the event loop.  The watcher fills it, HTTP reads it, the hub tells
subscribers of its changes.  When the database goes away the board keeps the last known, and
every answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from zerogex.clock import Clock
from zerogex.domain.bar import MinuteBar
from zerogex.serving import views
from zerogex.serving.config import ServingConfig
from zerogex.serving.problems import database_unavailable, still_to_come, unknown_symbol, waiting_for_data
from zerogex.serving.views import Moment

BARS_KEPT = 1000  # minutes a symbol: two regular sessions and the hours around them
AHEAD = timedelta(minutes=1)  # how far a caller's clock may be before ours


@dataclass(slots=True)
class Known:
    """The last known of one underlying."""

    symbol: str
    document: Mapping[str, Any] | None = None  # the stored analysis
    version: str = "0"  # changes when anything but `computed_at` does
    bars: tuple[MinuteBar, ...] = ()
    bars_version: str = "0"


@dataclass(slots=True)
class Board:
    """Symbol to last known, and whether the database can be reached."""

    config: ServingConfig
    clock: Callable[[], Clock]
    known: dict[str, Known] = field(default_factory=dict)
    database: bool = False
    feed_trouble: str | None = None  # why ingest cannot hear the feed, where only the operator can mend it
    scanned: bool = False  # the database has been read whole at least once

    def __post_init__(self) -> None:
        for symbol in self.config.symbols:
            self.known[symbol] = Known(symbol)

    def moment(self, as_of: datetime | None = None) -> Moment:
        """Now, read once, or a past instant; raises Problem 422 for one to come."""
        moment = Moment.of(self.clock(), self.config.stale_after_s, self.database)
        if as_of is None:
            return moment
        if as_of > moment.now + AHEAD:
            raise still_to_come(as_of, moment.now)
        return moment.at(as_of)

    def symbols(self) -> list[str]:
        """Configured symbols in their order, then what the database has, ascending."""
        configured = list(self.config.symbols)
        return configured + sorted(self.known.keys() - set(configured))

    def entry(self, symbol: str) -> Known:
        """The entry of a symbol, in any case of letters; raises Problem 404."""
        found = self.known.get(symbol) or self.known.get(symbol.upper())
        if found is not None:
            return found
        if not self.scanned:
            raise database_unavailable()
        raise unknown_symbol(symbol, self.symbols())

    def analysis(self, symbol: str) -> tuple[Known, Mapping[str, Any]]:
        """A symbol's entry and its document; raises Problem where there is none."""
        entry = self.entry(symbol)
        if entry.document is None:
            raise waiting_for_data(entry.symbol) if self.database else database_unavailable()
        return entry, entry.document

    def learn_symbols(self, symbols: Sequence[str]) -> None:
        """Remember that these have data."""
        for symbol in symbols:
            self.known.setdefault(symbol, Known(symbol))

    def learn_analysis(self, symbol: str, document: Mapping[str, Any], version: str) -> bool:
        """Take a newer document; says whether it tells anything new (beyond when it was computed)."""
        entry = self.known.setdefault(symbol, Known(symbol))
        changed = entry.version != version
        entry.document, entry.version = document, version
        return changed

    def learn_bars(self, symbol: str, rows: Sequence[MinuteBar]) -> bool:
        """Merge minutes by their start; says whether anything changed."""
        entry = self.known.setdefault(symbol, Known(symbol))
        merged = {bar.timestamp: bar for bar in (*entry.bars, *rows)}
        bars = tuple(merged[start] for start in sorted(merged)[-BARS_KEPT:])
        if bars == entry.bars:
            return False
        entry.bars = bars
        entry.bars_version = f"{bars[-1].timestamp.timestamp():.0f}-{len(bars)}-{hash(bars[-3:]) & 0xFFFFFFFF:x}"
        return True

    def etag(self, version: str, moment: Moment, document: Mapping[str, Any] | None) -> str:
        """A version of what an answer says: the data, and the state it is in; not its age."""
        return f"{version}-{views.state(document or {}, moment)}-{moment.session}-{int(moment.database)}"

"""Analyses made on request: of a past minute, of chosen expirations, under another dealer model.

What the analyze engine stores is answered from memory.  Everything else is computed here from the
stored chain through the same `analyze` and `document`, once for all who ask the same, a few at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Generic, TypeVar

from zerogex.analytics.config import AnalysisConfig
from zerogex.analytics.document import document, iso
from zerogex.domain.calendar import trading_date
from zerogex.domain.chain import OptionChain, expirations
from zerogex.domain.exposure import Analysis, DealerModel
from zerogex.serving.board import Board
from zerogex.serving.problems import Problem, database_unavailable, waiting_for_data
from zerogex.serving.reading import Reader
from zerogex.serving.views import Moment

T = TypeVar("T")
CHAINS_KEPT, ANSWERS_KEPT = 8, 48
SETTLED_AFTER = timedelta(minutes=10)  # late ticks may still change a younger minute
YOUNG_S, OLD_S = 5.0, 60.0  # how long a stored minute is believed without looking again
AT_ONCE = 2  # analyses computed at the same time


@dataclass(frozen=True, slots=True)
class Question:
    """Which analysis is meant; all None: the stored live one."""

    symbol: str
    as_of: datetime | None = None
    dealer_model: DealerModel | None = None
    expirations: str | None = None  # 0dte, next, or ISO dates; comma separated

    @property
    def is_live(self) -> bool:
        """Whether the stored live analysis answers it."""
        return self.as_of is None and self.dealer_model is None and self.expirations is None


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A computed analysis with its chain, its document, and the moment it is seen from."""

    chain: OptionChain
    analysis: Analysis
    document: dict[str, Any]
    moment: Moment
    version: str


class Analyses:
    """Computes and remembers."""

    def __init__(self, reader: Reader, board: Board) -> None:
        self._reader = reader
        self._board = board
        self._chains: Memory[OptionChain] = Memory(CHAINS_KEPT)
        self._answers: Memory[tuple[OptionChain, Analysis, dict[str, Any]]] = Memory(ANSWERS_KEPT)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def answer(self, question: Question) -> Answered:
        """The analysis asked for; raises Problem where there is no chain for it."""
        self._board.moment(question.as_of)
        key, chain = await self._chain(question)
        chosen = chosen_expirations(question.expirations, chain)
        whole = (key, question.dealer_model, chosen)
        selected, analysis, plain = await self._answers.get(whole, lambda: self._compute(chain, question, chosen))
        moment = self._board.moment(question.as_of)
        if question.as_of is not None:
            plain = plain | {"as_of": iso(question.as_of)}
        version = f"{hash(whole) & 0xFFFFFFFFFFFF:x}-{plain.get('as_of', '')}"
        return Answered(selected, analysis, plain, moment, version)

    async def _chain(self, question: Question) -> tuple[Hashable, OptionChain]:
        entry = self._board.entry(question.symbol)
        symbol = entry.symbol
        if question.as_of is None:
            if entry.document is None:
                raise waiting_for_data(symbol) if self._board.database else database_unavailable()
            return await self._remembered((symbol, "live", entry.version), symbol, None)
        found = await self._reader.query("api_minute_at", symbol=symbol, as_of=question.as_of)
        if not found:
            raise no_history(symbol, question.as_of)
        label = found[0]["timestamp"]
        believed_s = OLD_S if self._board.moment().now - label > SETTLED_AFTER else YOUNG_S
        return await self._remembered((symbol, label, int(time.monotonic() / believed_s)), symbol, label)

    async def _remembered(self, key: Hashable, symbol: str, label: datetime | None) -> tuple[Hashable, OptionChain]:
        store = self._reader.store
        chain_of = (lambda: store.latest_chain(symbol)) if label is None else lambda: store.minute_chain(symbol, label)

        async def read() -> OptionChain:
            chain = await self._reader.read(chain_of)
            if chain is None or not len(chain):
                raise waiting_for_data(symbol)
            return chain

        return key, await self._chains.get(key, read)

    async def _compute(
        self, chain: OptionChain, question: Question, chosen: tuple[date, ...] | None
    ) -> tuple[OptionChain, Analysis, dict[str, Any]]:
        base = self._board.config.analysis
        config = replace(base, expirations=chosen, dealer_model=question.dealer_model or base.dealer_model)
        async with self._turn:
            analysis = await asyncio.to_thread(analysed, chain, config)
        now = self._board.moment().now
        plain = document(analysis) | {
            "computed_at": iso(now),
            "code_version": self._board.config.version,
            "expirations": None if chosen is None else [day.isoformat() for day in chosen],
        }
        return chain, analysis, plain


class Memory(Generic[T]):
    """The last few results by key; who asks for one that is being made waits for it.  Failures are not kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, asyncio.Task[T]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gave for this key."""
        task = self._kept.get(key)
        if task is None:
            task = self._kept[key] = asyncio.ensure_future(_run(make))
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and self._kept.get(key) is task:
                del self._kept[key]
            raise


async def _run(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def analysed(chain: OptionChain, config: AnalysisConfig) -> Analysis:
    """The analysis of a stored chain, its forwards traced to parity or carry."""
    # Here, because the kernels cost a server 70 MB, and most are never asked for what is not stored.
    from zerogex.analytics.analysis import analyze
    from zerogex.pipeline.enrich import EnrichConfig, enrich

    rate = config.rate if config.rate is not None else 0.0
    points = enrich(chain, EnrichConfig(rate=rate, iv_enabled=False, greeks_enabled=False, priority=())).forwards
    return analyze(chain, config, points)


def chosen_expirations(asked: str | None, chain: OptionChain) -> tuple[date, ...] | None:
    """The dates a list of words and dates names; None for all.  Raises Problem 404 for one not in the chain."""
    if asked is None or asked.strip().lower() in ("", "all"):
        return None
    listed = expirations(chain)
    today = trading_date(chain.as_of)
    after = [day for day in listed if day > today]
    words = {"0dte": today, "next": after[0] if after else None}
    chosen: set[date] = set()
    for word in asked.lower().split(","):
        day = words[word.strip()] if word.strip() in words else _date(word.strip())
        if day not in listed:
            known = ", ".join(each.isoformat() for each in listed[:20])
            detail = f"There is no expiration {word.strip()[:20]!r} of {chain.underlying[:40]} at this time."
            raise Problem(404, "unknown_expiration", detail, f"Say all, 0dte, next, or any of {known}.")
        chosen.add(day)
    return tuple(sorted(chosen))


def words_or_dates(asked: str | None, day: date, listed: Sequence[date]) -> list[date] | None:
    """The dates named by words or themselves: 0dte is `day`, next the first `listed` after it; None for all.

    Raises Problem 404 for a word or date that is none.
    """
    if asked is None:
        return None
    words = {"0dte": [day], "next": [each for each in listed if each > day][:1]}
    named = [word.strip().lower() for word in asked.split(",")]
    dates = [words.get(word, [_date(word)]) for word in named]
    known = [each for some in dates for each in some if each is not None]
    if any(None in some for some in dates):
        hint = "Say all, 0dte, next, or ISO dates, comma separated."
        raise Problem(404, "unknown_expiration", f"{asked[:60]!r} are not expirations known here.", hint)
    return known


def _date(word: str) -> date | None:
    try:
        return date.fromisoformat(word)
    except ValueError:
        return None


def no_history(symbol: str, as_of: datetime) -> Problem:
    """404: nothing was stored by then."""
    detail = f"No chain of {symbol[:40]} is stored that was complete by {iso(as_of)}."
    return Problem(404, "no_history", detail, "The route `history` lists the stored minutes.")

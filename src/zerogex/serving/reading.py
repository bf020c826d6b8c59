"""How a route reads the store: in a thread, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from zerogex.ports import Store
from zerogex.serving.problems import Problem

T = TypeVar("T")
Rows = list[dict[str, Any]]
Columns = dict[str, tuple[Any, ...]]


class Reader:
    """The store, for coroutines.  Raises Problem 504 where a read outlasts `timeout_s`, StoreError otherwise."""

    def __init__(self, store: Store, timeout_s: float) -> None:
        self.store = store
        self._timeout_s = timeout_s

    async def read(self, question: Callable[[], T]) -> T:
        """The answer of a blocking call."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(question), self._timeout_s)
        except TimeoutError:
            hint = "Ask for a shorter span, or again later."
            raise Problem(504, "store_timeout", "The database took too long to answer.", hint) from None

    async def query(self, name: str, **parameters: Any) -> Rows:
        """The rows of a named query as dictionaries."""
        columns, rows = await self.read(lambda: self.store.query(name, **parameters))
        return [dict(zip(columns, row, strict=True)) for row in rows]

    async def columns(self, name: str, **parameters: Any) -> Columns:
        """The same, column by column: for thousands of rows."""
        names, rows = await self.read(lambda: self.store.query(name, **parameters))
        return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())

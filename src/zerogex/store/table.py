"""A table whose statements lie in a file of its own: one call, one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zerogex.store.connections import Connection
from zerogex.store.sql import statements

Do = Callable[[Callable[[Connection], Any]], Any]


class Table:
    """Reads and writes by the names of the statements in `file`."""

    def __init__(self, do: Do, file: str) -> None:
        self._do = do
        self._statements = statements(file)

    def _write(self, name: str, named: dict[str, Any]) -> None:
        def write(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(self._statements[name].text, named)

        self._do(write)

    def _read(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        def read(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.transaction():
                return connection.execute(self._statements[name].text, parameters).fetchall()

        rows: list[tuple[Any, ...]] = self._do(read)
        return rows

"""docs/schema.md names every table and every column."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import connect
from zerogex.store.postgres import PostgresStore

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"


@pytest.mark.parametrize("kind", ["table", "column"])
def test_the_page_names_every(kind: str, database: DatabaseConfig) -> None:
    page = PAGE.read_text()
    with connect(database) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
    tables = {table for table, _ in found}
    if kind == "table":
        assert [table for table in sorted(tables) if f"`{table}`" not in page] == []
        return
    short = {"expected_move": "…", "call_wall": "…", "put_wall": "…", "max_gamma": "…"}  # `…_share` and the like
    missing = []
    for table, column in found:
        endings = {column.replace(prefix, dots, 1) for prefix, dots in short.items() if column.startswith(prefix)}
        if table not in ("schema_migrations", "feed_state", "ingest_batches", "writers") and not any(
            f"`{name}`" in page for name in {column, *endings}
        ):
            missing.append(f"{table}.{column}")
    assert missing == []


def test_the_page_of_views_is_up_to_date(store: PostgresStore) -> None:
    spec = importlib.util.spec_from_file_location("make_docs", PAGE.parents[1] / "tools/make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (PAGE.parent / "views.md").read_text() == module.views_page(store), "run python tools/make_docs.py"

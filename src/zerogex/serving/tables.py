"""Rows for programs that want tables: CSV, NDJSON, Parquet, Arrow.

The head that JSON carries around its rows travels in `Zerogex-…` headers, and in the metadata of
Parquet and Arrow.  The libraries that write these are loaded by the first who asks: 80 MB.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response

from zerogex.serving.responses import answer, compressed, encode, matches

if TYPE_CHECKING:
    import polars as pl

Rows = Sequence[Mapping[str, Any]]
HEADERS = ("underlying", "data_timestamp", "computed_at", "age_seconds", "session", "state", "coverage", "simulated",
           "spot", "as_of", "next_cursor")  # fmt: skip


class Format(StrEnum):
    """How an answer is written."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.NDJSON: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}


def respond(
    request: Request, body: Mapping[str, Any], version: str, form: Format, rows: Callable[[], Rows]
) -> Response:
    """The body as JSON, or its `rows` as a table; 304 where the client has this version in this format."""
    if form is Format.JSON:
        return answer(request, body, version)
    etag = f'W/"{version}-{form}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if matches(request, etag):
        return Response(status_code=304, headers=headers)
    said = {name: text(body[name]) for name in HEADERS if body.get(name) is not None}
    headers |= {"Zerogex-" + name.replace("_", "-").title(): value for name, value in said.items()}
    headers["Content-Disposition"] = f'attachment; filename="{file_name(request, form)}"'
    return compressed(request, written(rows(), form, said), headers, MEDIA_TYPES[form])


def written(rows: Rows, form: Format, metadata: Mapping[str, str]) -> bytes:
    """The rows in a format other than JSON."""
    if form is Format.NDJSON:
        return b"".join(encode(row) + b"\n" for row in rows)
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = to_frame(rows)
    if form is Format.CSV:
        return formula_safe(frame).write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.fZ").encode()
    table = frame.to_arrow().replace_schema_metadata({**metadata})
    sink = io.BytesIO()
    if form is Format.PARQUET:
        pq.write_table(table, sink, compression="zstd")
    else:
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    return sink.getvalue()


def to_frame(rows: Rows) -> pl.DataFrame:
    """Rows as columns of one type each; lists and objects become JSON text, ISO dates dates."""
    import polars as pl

    plain = [{name: _cell(value) for name, value in row.items()} for row in rows]
    frame = pl.DataFrame(plain, infer_schema_length=None)
    dates = [name for name in ("expiration", "trading_day") if frame.schema.get(name) == pl.String]
    return frame.with_columns(pl.col(name).str.to_date(strict=False) for name in dates)


def _cell(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict | list | tuple):
        return encode(value).decode()
    return value


def formula_safe(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts that no spreadsheet takes for a formula."""
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(
        pl.when(pl.col(name).str.contains(r"^[=+\-@\t\r\n]"))
        .then("'" + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )


def text(value: Any) -> str:
    """A value as a header carries it: plain printable ASCII."""
    if isinstance(value, datetime | date):
        value = value.isoformat().replace("+00:00", "Z")
    plain = value if isinstance(value, str) else encode(value).decode()
    return "".join(character if " " <= character <= "~" else "?" for character in plain)


def file_name(request: Request, form: Format) -> str:
    """A name for the download, from the path: SPY-flow-strike.csv."""
    words = request.url.path.removeprefix("/api/v1/").split("/")
    safe = "-".join("".join(c for c in word if c.isascii() and (c.isalnum() or c in "._-")) for word in words)
    return f"{safe[:80]}.{form}"

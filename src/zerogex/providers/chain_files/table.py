"""Flat tables, one row a contract: the normalised form (Parquet or CSV), Cboe's field-name CSV, Yahoo's CSV."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import polars as pl

from zerogex.domain.calendar import NEW_YORK, session_close, trading_date
from zerogex.domain.contract import parse_symbol
from zerogex.errors import ChainFileError
from zerogex.providers.chain_files import own_head
from zerogex.providers.chain_files.assemble import LEAST_SHARE, NUMBERS
from zerogex.providers.chain_files.columns import (
    COLUMN,
    dates,
    fold,
    instants,
    numbers,
    read_columns,
    sniff_separator,
)
from zerogex.providers.chain_files.own_head import Head
from zerogex.providers.chain_files.page_time import end_of_quotes
from zerogex.providers.chain_files.said import CUT_OFF, Said

NORMALISED, CBOE_FIELDS, YAHOO = "normalised table", "Cboe field-name CSV", "Yahoo CSV"


def read_parquet(data: bytes, name: str) -> tuple[pl.DataFrame, Head]:
    """A Parquet file's rows and head; pyarrow reads it, because it survives damage with an error."""
    import pyarrow.parquet

    if not data.endswith(b"PAR1") or len(data) < 12:
        raise ChainFileError(f"{name} {CUT_OFF}: its Parquet footer is missing; copy it again from its source")
    # ParquetFile, because read_table loads a second library of tables where one is installed
    return _from_arrow(
        lambda: pyarrow.parquet.ParquetFile(io.BytesIO(data), page_checksum_verification=True).read(), "Parquet", name
    )


def read_arrow(data: bytes, name: str) -> tuple[pl.DataFrame, Head]:
    """The rows and head of an Arrow stream."""
    import pyarrow as pa

    return _from_arrow(lambda: pa.ipc.open_stream(pa.py_buffer(data)).read_all(), "Arrow", name)


def _from_arrow(read: Callable[[], Any], kind: str, name: str) -> tuple[pl.DataFrame, Head]:
    from pyarrow import ArrowException

    try:
        table = read()
        table.validate(full=True)
        frame = pl.from_arrow(table)
        said = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    except (ArrowException, OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0][:120]
        raise ChainFileError(f"{name} is damaged {kind} ({reason}); copy it again from its source") from None
    if not isinstance(frame, pl.DataFrame):
        raise ChainFileError(f"{name} is {kind} without columns; expected one row a contract")
    return frame, said


def read_csv(text: str, name: str) -> pl.DataFrame:
    """A CSV with its column names in the first line that is not blank; all columns as text."""
    body = text.lstrip("\n ")
    header = body.split("\n", 1)[0]
    separator = sniff_separator(header)
    names = [cell.strip().strip('"') for cell in header.split(separator)]
    if not {"strike", "option"} & {COLUMN.get(fold(cell)) for cell in names}:
        if re.search(r"(?i)\blast:", "\n".join(body.split("\n", 3)[:3])):
            raise ChainFileError(f"{name} {CUT_OFF}: a quote page without its line of column names")
        shown = header.strip()[:60]
        raise ChainFileError(f"{name} is not an option chain: no column names of one in its first line ({shown!r})")
    frame = read_columns(body, separator, len(names), name)
    unique = [cell if cell not in names[:position] else f"{cell}_{position}" for position, cell in enumerate(names)]
    return frame.rename(dict(zip(frame.columns, unique, strict=True)))


def read_table(
    frame: pl.DataFrame, name: str, wanted: datetime | None = None, head: Head = MappingProxyType({})
) -> Said:
    """What a flat table says; of several instants in it the last one not after `wanted`, or the last of all.

    `head` is what a file says once for all of its rows: the head of our own API.
    """
    kind = _kind(frame)
    rows = _canonical(frame)
    if not len(rows):
        raise ChainFileError(f"{name} has no contracts: the table has no rows")
    said = Said(kind, rows, delayed=kind == CBOE_FIELDS or _is_marked(rows, "delayed"))
    said.simulated = _is_marked(rows, "simulated")
    if "as_of" in rows.columns:
        _pick_instant(said, name, wanted)
    own_head.read(said, head)
    _read_session(said)
    said.underlying = said.underlying or _underlying(said.rows, name)
    said.spot = said.spot or _spot(said)
    own_head.drop_placeholders(said)
    return said


def _is_marked(rows: pl.DataFrame, column: str) -> bool:
    """Whether any row says so of itself: true, t, yes, 1."""
    return column in rows.columns and bool(rows[column].is_in(["TRUE", "T", "YES", "1"]).any())


def _kind(frame: pl.DataFrame) -> str:
    names = set(frame.columns)
    if {"contractSymbol", "openInterest"} <= names:
        return YAHOO
    return CBOE_FIELDS if {"last_trade_price", "prev_day_close"} <= names else NORMALISED


def _canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns under our names and types; of two with one meaning the first; unknown ones are dropped."""
    columns: dict[str, pl.Series] = {}
    for given in frame.columns:
        column = COLUMN.get(fold(given))
        if fold(given) == "symbol" and not _holds_symbols(frame[given]):
            column = "underlying"
        if column is None or column in columns:
            continue
        columns[column] = frame[given].alias(column)
    for column, values in columns.items():
        if column in NUMBERS or column in ("strike", "spot"):
            columns[column] = numbers(values)
        elif column == "right":
            columns[column] = values.cast(pl.String).str.strip_chars().str.to_uppercase().str.slice(0, 1)
        elif column in ("expiration", "session"):
            columns[column] = dates(values)
        elif column in ("as_of", "event_time"):
            columns[column] = instants(values, UTC)
        elif column == "last_trade":
            columns[column] = values
        else:
            columns[column] = values.cast(pl.String).str.strip_chars().str.to_uppercase()
    for column in ("as_of", "event_time"):
        if column in columns and columns[column].null_count() == len(frame):
            del columns[column]
    return pl.DataFrame(list(columns.values()))


def _holds_symbols(column: pl.Series) -> bool:
    for text in column.cast(pl.String).drop_nulls().head(1).to_list():
        try:
            return bool(parse_symbol(text))
        except ValueError:
            return False
    return False


def _pick_instant(said: Said, name: str, wanted: datetime | None) -> None:
    """Keep one instant of a table that holds several; row times of one snapshot are no instants."""
    stamps = said.rows["as_of"].drop_nulls()
    every = stamps.unique().sort()
    keys = [key for key in ("option", "root", "expiration", "strike", "right") if key in said.rows.columns]
    if len(every) == 1 or not said.rows.select(keys).is_duplicated().any():
        said.as_of = every[-1]
        return
    chosen = every if wanted is None else every.filter(every <= wanted)
    if not len(chosen):
        raise ChainFileError(f"{name} begins at {every[0]:%Y-%m-%d %H:%M} UTC, after the instant asked for")
    said.as_of = chosen[-1] if wanted else _last_alive(said.rows, chosen)
    said.rows = said.rows.filter(pl.col("as_of") == said.as_of)
    said.picked = True
    said.notes.append(
        f"The file holds {len(every)} instants from {every[0]:%Y-%m-%d} to {every[-1]:%Y-%m-%d}; "
        f"this is {said.as_of:%Y-%m-%d %H:%M} UTC (--as-of picks another)."
    )


def _last_alive(rows: pl.DataFrame, instants: pl.Series) -> datetime:
    """The last instant before every contract has settled (16:00 ET); the very last where that is all there is."""
    if "expiration" in rows.columns:
        latest = rows["expiration"].max()
        if isinstance(latest, date):
            alive = instants.filter(instants < session_close(latest))
            if len(alive):
                return alive[-1]  # type: ignore[no-any-return]
    return instants[-1]  # type: ignore[no-any-return]


def _read_session(said: Said) -> None:
    """Without an instant: the newest quote; the last trade, where later than the session named; its close."""
    if said.as_of is not None:
        return
    if "event_time" in said.rows.columns:
        newest = said.rows["event_time"].max()
        assert isinstance(newest, datetime)
        said.as_of = newest
        said.notes.append(f"The file has no time; its newest quote, {newest:%Y-%m-%d %H:%M} UTC, is taken for it.")
        return
    last_trade = _last_trade(said)
    session: date | None = None
    if "session" in said.rows.columns:
        session = said.rows["session"].drop_nulls().max()  # type: ignore[assignment]
    if session is None and last_trade is None:
        return
    close = end_of_quotes(session) if session else None
    if last_trade and (close is None or trading_date(last_trade) > trading_date(close)):
        said.as_of = last_trade
        said.notes.append(f"The file has no time; its last trade, {last_trade:%Y-%m-%d %H:%M} UTC, is taken for it.")
        return
    assert close is not None
    said.as_of = close
    said.notes.append(f"The file has no time; it is taken as the close of {session}.")


def _last_trade(said: Said) -> datetime | None:
    """The youngest trade; Cboe's times are New York's, Yahoo's say that they are UTC."""
    if "last_trade" not in said.rows.columns:
        return None
    column = said.rows["last_trade"]
    if column.dtype == pl.String:  # thousands of different texts: ISO sorts as text, so read only the largest
        texts = column.drop_nulls()
        texts = texts.filter(texts.str.contains(r"^\d{4}-\d{2}-\d{2}[T ]\d"))
        column = texts.sort(descending=True).head(1)
    youngest = instants(column, NEW_YORK).max()
    return youngest if isinstance(youngest, datetime) else None


def _underlying(rows: pl.DataFrame, name: str) -> str | None:
    """The underlying the file names, without a vendor's decoration (^SPX, $SPX.X)."""
    if "underlying" not in rows.columns:
        return None
    votes = rows["underlying"].str.strip_chars("^$_.").str.replace(r"\.X$", "").drop_nulls().value_counts(sort=True)
    if not len(votes):
        return None
    names, counts = votes["underlying"].to_list(), votes["count"].to_list()
    if counts[0] < LEAST_SHARE * sum(counts):
        shown = ", ".join(sorted(names)[:6])
        raise ChainFileError(f"{name} holds options of several underlyings ({shown}); give one chain a file")
    return str(names[0])


def _spot(said: Said) -> float | None:
    """The price most rows name; Yahoo's is the close of the session before its quotes and not usable then."""
    if "spot" not in said.rows.columns:
        return None
    prices = said.rows["spot"].drop_nulls()
    prices = prices.filter((prices > 0) & prices.is_finite())
    if not len(prices):
        return None
    spot = float(prices.mode().sort()[0])
    session = said.rows["session"].max() if "session" in said.rows.columns else None
    if said.format == YAHOO and isinstance(session, date) and said.as_of and trading_date(said.as_of) > session:
        said.notes.append(f"The file's spot {spot:.2f} is the close of {session}, older than its quotes.")
        return None
    return spot

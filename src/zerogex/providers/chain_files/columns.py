"""Columns of files by whatever name their authors gave them, and text that means numbers, dates and times."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from zerogex.errors import ChainFileError
from zerogex.providers.chain_files.said import CUT_OFF

_NAMES = {
    "option": "option optionsymbol contractsymbol contract osi occsymbol ositicker optionid symbol optionticker "
    "calls puts",
    "root": "root optionroot rootsymbol",
    "underlying": "underlying underlyingsymbol ticker underlyer stock actsymbol",
    "expiration": "expiration expiry expirationdate expirydate expdate expiredate exp maturity",
    "strike": "strike strikeprice k",
    "right": "right type optiontype callput cp cpflag putcall kind",
    "bid": "bid bidprice bestbid bid1545",
    "ask": "ask askprice bestask offer ask1545",
    "last": "last lastprice lasttradeprice lastsale close",
    "volume": "volume vol totalvolume tradevolume",
    "open_interest": "openinterest oi openint",
    "iv": "iv impliedvolatility impvol impliedvol volatility sigma midiv impliedvolatility1545",
    "delta": "delta delta1545",
    "gamma": "gamma gamma1545",
    "theta": "theta theta1545",
    "vega": "vega vega1545",
    "multiplier": "multiplier contractmultiplier sharespercontract",
    "spot": "spot spotprice underlyingprice underlyinglast stockprice currentprice activeunderlyingprice "
    "underlyingspot activeunderlyingprice1545 underlyingclose",
    "as_of": "asof dataasof datatimestamp timestamp snapshot snapshottime quotedatetime quotetimestamp datetime "
    "fetchedutc fetchedatutc fetchedat",
    "session": "session sessiondate quotedate date tradedate tradingdate quotereaddate",
    "last_trade": "lasttradetime lasttradedate tradetime",
    "event_time": "eventtime",
    "simulated": "simulated",
    "delayed": "delayed",
    "iv_source": "ivsource",
}  # fmt: skip
COLUMN = {alias: column for column, aliases in _NAMES.items() for alias in aliases.split()}
TEXTS = ("option", "root", "underlying", "expiration", "right", "as_of", "session", "last_trade")
_DATES = ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d", "%Y/%m/%d", "%a %b %d %Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%m/%d/%y")


def fold(name: object) -> str:
    """A column's name without case, blanks and punctuation: "Open Interest" and open_interest are one."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def sniff_separator(header: str) -> str:
    """The separator a line of column names uses."""
    return max(",;\t|", key=header.count)


def read_columns(body: str, separator: str, width: int, name: str) -> pl.DataFrame:
    """The rows below a line of column names, as text, one column a position; raises where the last row is torn."""
    schema = {f"c{position}": pl.String for position in range(width)}
    rows = body.partition("\n")[2]
    if not rows.strip():
        return pl.DataFrame(schema=schema)
    if not rows.endswith("\n"):
        cells = next(csv.reader([rows[rows.rfind("\n") + 1 :]], delimiter=separator), [])
        if len(cells) < width:
            raise ChainFileError(f"{name} {CUT_OFF}: its last row has {len(cells)} of {width} fields")
    try:
        return pl.read_csv(
            io.BytesIO(rows.encode()), has_header=False, separator=separator, schema=schema,
            truncate_ragged_lines=True, null_values=["", "null", "None", "N/A", "n/a", "--", "-"],
        )  # fmt: skip
    except (pl.exceptions.PolarsError, ValueError):
        raise ChainFileError(
            f"{name} is damaged: its rows cannot be told apart; copy it again from its source"
        ) from None


def numbers(column: pl.Series) -> pl.Series:
    """Text or numbers as float64; grouped thousands, $ and % are understood, the rest becomes null."""
    if column.dtype != pl.String:
        return column.cast(pl.Float64, strict=False)
    direct = column.str.strip_chars().cast(pl.Float64, strict=False)
    if direct.null_count() == column.null_count():
        return direct
    bare = column.str.replace_all(r"[\s$\u00a0\u202f\u2009]", "")
    decimal_comma = bare.str.contains(r"^-?\d+,\d+$") & ~bare.str.contains(r"^-?\d{1,3}(,\d{3})+$")
    if decimal_comma.any():
        bare = bare.str.replace_all(r"\.", "").str.replace(",", ".")
    percent = bare.str.ends_with("%").fill_null(False)
    grouped = bare.str.replace_all("[,%]", "").cast(pl.Float64, strict=False)
    return direct.fill_null(grouped / (1.0 + 99.0 * percent.cast(pl.Float64)))


def each(column: pl.Series, read: Callable[[Any], Any], dtype: Any) -> pl.Series:
    """Apply a slow reader once to each different value."""
    values = column.unique().drop_nulls().to_list()
    known = {value: read(value) for value in values}
    return pl.Series(column.name, [known.get(value) for value in column.to_list()], dtype)


def dates(column: pl.Series) -> pl.Series:
    """Dates from dates, times or text in the usual layouts; null where it is none."""
    if column.dtype == pl.Date:
        return column
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.date()
    return each(column.cast(pl.String), read_date, pl.Date)


def read_date(text: str) -> date | None:
    """One date: 2026-08-13 (with or without a time), 08/13/2026, 20260813, Thu Aug 13 2026."""
    text = text.strip().replace(",", "")
    if match := re.match(r"\d{4}-\d{2}-\d{2}", text):
        text = match[0]
    for layout in _DATES:
        try:
            return datetime.strptime(text.split(" 00:00")[0], layout).date()  # noqa: DTZ007
        except ValueError:
            continue
    return None


def instants(column: pl.Series, naive: Any) -> pl.Series:
    """UTC instants; a text or a time without a zone is taken to be in `naive`."""
    if isinstance(column.dtype, pl.Datetime):
        zone = column.dtype.time_zone
        aware = column if zone else column.dt.replace_time_zone(str(naive), ambiguous="earliest", non_existent="null")
        return aware.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    if column.dtype == pl.Date:
        return pl.Series(column.name, [None] * len(column), pl.Datetime("us", "UTC"))
    return each(column.cast(pl.String), lambda text: read_instant(text, naive), pl.Datetime("us", "UTC"))


def read_instant(text: str, naive: Any) -> datetime | None:
    """One instant from ISO text ("2026-08-12 22:22:22", with Z or an offset) or epoch seconds or milliseconds."""
    text = text.strip()
    if re.fullmatch(r"\d{10}(\d{3})?(\.\d+)?", text):
        seconds = float(text)
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d", text):
        return None
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=naive)).astimezone(UTC)

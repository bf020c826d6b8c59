"""Option chains as JSON: Cboe's delayed quotes, TD Ameritrade's (now Schwab's) chain, and plain lists of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from zerogex.domain.calendar import NEW_YORK, trading_date
from zerogex.errors import ChainFileError
from zerogex.providers.chain_files.columns import read_instant
from zerogex.providers.chain_files.own_head import Head
from zerogex.providers.chain_files.page_time import DELAY, end_of_quotes
from zerogex.providers.chain_files.said import CUT_OFF, Said
from zerogex.providers.chain_files.table import read_table

CBOE, TD_AMERITRADE = "Cboe delayed-quote JSON", "TD Ameritrade JSON"
_CBOE_FIELDS = {
    "option": "option", "bid": "bid", "ask": "ask", "last": "last_trade_price", "volume": "volume",
    "open_interest": "open_interest", "iv": "iv", "delta": "delta", "gamma": "gamma", "theta": "theta", "vega": "vega",
}  # fmt: skip
_TD_FIELDS = {
    "bid": "bid", "ask": "ask", "last": "last", "volume": "totalVolume", "open_interest": "openInterest",
    "iv": "volatility", "delta": "delta", "gamma": "gamma", "theta": "theta", "vega": "vega",
    "strike": "strikePrice", "multiplier": "multiplier",
}  # fmt: skip


def read_json(data: bytes, name: str, wanted: datetime | None = None) -> Said:
    """What a JSON file says; raises ChainFileError for damage and for JSON about something else."""
    document, head = _decode(data, name), {}
    if isinstance(document, dict):
        inner = document.get("data")
        if isinstance(inner, dict) and isinstance(inner.get("options"), list):
            return _read_cboe(document, inner, name)
        if "callExpDateMap" in document or "putExpDateMap" in document:
            return _read_td(document, name)
        head = document if isinstance(document.get("chain"), list) else {}
        document = head.get("chain") or next((value for value in document.values() if _is_rows(value)), document)
    if _is_rows(document):
        return _read_records(document, name, wanted, head)
    if head:
        raise ChainFileError(f"{name} has no contracts: its list of them is empty")
    raise ChainFileError(f"{name} is JSON, but not an option chain of a kind known here (Cboe, TD Ameritrade, rows)")


def _decode(data: bytes, name: str) -> Any:
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error)
    except RecursionError:
        raise ChainFileError(f"{name} is JSON nested too deeply for an option chain") from None
    if "truncated" in reason:
        raise ChainFileError(f"{name} {CUT_OFF}: its JSON ends early; copy it again from its source")
    if _is_row_a_line(text):
        return _decode_lines(text, name)
    try:
        return json.loads(text)  # bare NaN, which some writers use, is no JSON but is readable
    except (ValueError, RecursionError):
        raise ChainFileError(f"{name} is damaged JSON ({reason[:100]}); copy it again from its source") from None


def _is_row_a_line(text: bytes) -> bool:
    """Whether the first line is an object by itself: NDJSON."""
    try:
        return isinstance(msgspec.json.decode(text.split(b"\n", 1)[0]), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _decode_lines(text: bytes, name: str) -> Any:
    for number, line in enumerate(lines := text.rstrip().split(b"\n"), 1):
        try:
            msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if number == len(lines):
                raise ChainFileError(
                    f"{name} {CUT_OFF}: its line {number:,} ends early; copy it again from its source"
                ) from None
            raise ChainFileError(f"{name} is damaged NDJSON in line {number:,} ({str(error)[:100]})") from None
    return msgspec.json.decode(b"[" + b",".join(lines) + b"]")


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and len(value[0]) >= 3


def _read_cboe(document: dict[str, Any], data: dict[str, Any], name: str) -> Said:
    options = [option for option in data["options"] if isinstance(option, dict)]
    if not options:
        raise ChainFileError(f"{name} has no contracts: its list of options is empty")
    rows = pl.DataFrame([_column(column, [o.get(key) for o in options]) for column, key in _CBOE_FIELDS.items()])
    symbol = str(data.get("symbol") or document.get("symbol") or "").strip("^$_. ").upper() or None
    said = Said(CBOE, rows, symbol, _price(data), delayed=True)
    stamp = read_instant(str(document.get("timestamp") or ""), UTC)
    if stamp:
        said.as_of = _quoted_at(stamp)
    elif traded := max((str(o.get("last_trade_time") or "") for o in options), default=""):
        said.as_of = read_instant(traded, NEW_YORK)
        said.notes.append("The file has no timestamp; its last trade is taken for it.")
    return said


def _quoted_at(stamp: datetime) -> datetime:
    """During a session the payload is 15 minutes older than its stamp; after it, nothing moves any more."""
    quoted = stamp - DELAY
    return quoted if quoted < end_of_quotes(trading_date(quoted)) else stamp


def _price(data: dict[str, Any]) -> float | None:
    for key in ("current_price", "last", "close"):
        price = _number(data.get(key))
        if price and price > 0:
            return price
    return None


def _read_td(document: dict[str, Any], name: str) -> Said:
    entries = [(side, key, option) for side in ("call", "put") for key, option in _td_options(document, side)]
    if not entries:
        raise ChainFileError(f"{name} has no contracts: its expiration maps are empty")
    options = [option for _, _, option in entries]
    columns = [_column(column, [o.get(key) for o in options]) for column, key in _TD_FIELDS.items()]
    rows = pl.DataFrame([
        *columns,
        pl.Series("right", ["C" if side == "call" else "P" for side, _, _ in entries]),
        pl.Series("expiration", [_iso(key) for _, key, _ in entries], pl.Date),
        pl.Series("root", [_root(o.get("symbol")) for o in options], pl.String),
    ])  # fmt: skip
    iv = pl.col("iv")
    rows = rows.with_columns(iv=pl.when(iv > 0).then(iv / 100))
    stated = document.get("underlying")
    underlying: dict[str, Any] = stated if isinstance(stated, dict) else {}
    symbol = str(document.get("symbol") or underlying.get("symbol") or "").removesuffix(".X").strip("^$_. ").upper()
    spot = _number(document.get("underlyingPrice")) or _number(underlying.get("last"))
    said = Said(TD_AMERITRADE, rows, symbol or None, spot if spot and spot > 0 else None)
    said.delayed = bool(document.get("isDelayed") or underlying.get("delayed"))
    said.as_of = _epoch(max((_number(o.get("quoteTimeInLong")) or 0.0 for o in options), default=0.0))
    said.spot_time = _epoch(_number(underlying.get("quoteTime")) or 0.0)
    return said


def _td_options(document: dict[str, Any], side: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """(expiration key, option) of one side's {"2022-05-23:1": {"382.0": [option, …]}}."""
    for day, strikes in _items(document.get(f"{side}ExpDateMap")):
        for _, options in _items(strikes):
            for option in options if isinstance(options, list) else ():
                if isinstance(option, dict):
                    yield day, option


def _root(symbol: Any) -> str | None:
    """The root of TD Ameritrade's `SPXW_060524C5100` and of Schwab's `SPXW  240605C05100000`."""
    match = re.match(r"\s*([A-Z][A-Z0-9./]*?)\s*_?\s*\d{6}[CP]\d", str(symbol or "").upper())
    return match[1] if match else None


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def _read_records(records: Sequence[Any], name: str, wanted: datetime | None, head: Head) -> Said:
    """A list of rows: the flat table, only written as JSON."""
    rows = [record for record in records if isinstance(record, dict)]
    keys = dict.fromkeys(key for row in rows[:100] for key in row)
    columns = [pl.Series(key, [_text(row.get(key)) for row in rows], pl.String) for key in keys]
    return read_table(pl.DataFrame(columns), name, wanted, head)


def _column(column: str, values: list[Any]) -> pl.Series:
    if column == "option":
        return pl.Series(column, [value if isinstance(value, str) else None for value in values], pl.String)
    return pl.Series(column, [_number(value) for value in values], pl.Float64)


def _number(value: Any) -> float | None:
    """A float of a number or of text; NaN, null and anything else is no number."""
    if type(value) is float:
        return value
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return None


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict | list) else str(value)


def _iso(key: str) -> date | None:
    try:
        return date.fromisoformat(key[:10])
    except ValueError:
        return None


def _epoch(milliseconds: float) -> datetime | None:
    if not 1e11 < milliseconds < 1e14:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

"""Cboe's quote table, as its web page saves it: three lines of page, then calls and puts side by side."""

from __future__ import annotations

import csv
import re
from datetime import date

import polars as pl

from zerogex.errors import ChainFileError
from zerogex.providers.chain_files.assemble import identify
from zerogex.providers.chain_files.columns import COLUMN, fold, numbers, read_columns, sniff_separator
from zerogex.providers.chain_files.estimate import session_of_quotes
from zerogex.providers.chain_files.page_time import data_time, end_of_quotes, read_page_time
from zerogex.providers.chain_files.said import Said

FORMAT = "Cboe quote table"
_HEAD_LINES = 12  # the column line stands within these


def is_quote_table(text: str) -> bool:
    """Whether one of the first lines is the table's column line."""
    return _column_line(text) is not None


def _column_line(text: str) -> int | None:
    for number, line in enumerate(text.split("\n", _HEAD_LINES)[:_HEAD_LINES]):
        cells = {fold(cell) for cell in re.split("[,;\t]", line)}
        if {"calls", "puts", "strike"} <= cells:
            return number
    return None


def read_quote_table(text: str, name: str) -> Said:
    """Take the page's words apart; times and prices are checked against the table itself."""
    start = _column_line(text)
    if start is None:
        raise ChainFileError(f"{name} is not a Cboe quote table: its line of column names is missing")
    lines = text.split("\n", start)
    head, body = "\n".join(lines[:start]), lines[start]
    names = body.split("\n", 1)[0].strip()
    separator = sniff_separator(names)
    cells = [fold(cell) for cell in names.split(separator)]
    strings = read_columns(body, separator, len(cells), name)
    calls, strike, puts = cells.index("calls"), cells.index("strike"), cells.index("puts")
    last_of_calls, last_of_puts = (strike, len(cells)) if calls < strike < puts else (puts, len(cells))
    sides = [_side(strings, cells, calls, last_of_calls, "C"), _side(strings, cells, puts, last_of_puts, "P")]
    said = Said(FORMAT, pl.concat(sides, how="diagonal"), delayed=True)
    said.spot = _spot(head)
    _date(said, head, name)
    return said


def _side(strings: pl.DataFrame, cells: list[str], first: int, end: int, right: str) -> pl.DataFrame:
    """The calls' or the puts' half of the table, in our names."""
    picked = {"option": strings.columns[first]}
    for position in range(first + 1, end):
        column = COLUMN.get(cells[position])
        if column and column not in picked:
            picked[column] = strings.columns[position]
    side = strings.select(
        (strings[source] if column == "option" else numbers(strings[source])).alias(column)
        for column, source in picked.items()
    )
    wrong = side["option"].str.contains(r"(?i)\d{6}[CP]\d") & ~side["option"].str.contains(rf"(?i)\d{{6}}{right}\d")
    return side.filter(side["option"].is_not_null() & ~wrong)


def _spot(head: str) -> float | None:
    """The page's last price, or the middle of its bid and ask."""
    last = _labelled(head, "last")
    if last:
        return last
    bid, ask = _labelled(head, "bid"), _labelled(head, "ask")
    if bid and ask and bid <= ask:
        return 0.5 * (bid + ask)
    cells = _cells(head)[:1]  # of before 2020: ^SPX (S&P 500 INDEX),2581.88,-0.12
    numbers_of_line = [float(cell) for cell in cells[0][1:2] if re.fullmatch(r"\d+(\.\d+)?", cell)] if cells else []
    return numbers_of_line[0] if numbers_of_line and numbers_of_line[0] > 0 else None


def _cells(head: str) -> list[list[str]]:
    """The cells of each line above the column names."""
    lines = (line for line in head.split("\n") if line.strip(" ,;\t"))
    return [[cell.strip() for cell in cells] for cells in csv.reader(lines)]


def _labelled(head: str, label: str) -> float | None:
    """A number after `label:`; thousands may be grouped by commas (in quotes) or by spaces."""
    match = re.search(rf'(?i)("?)\b{label}\s*:\s*\$?([\d.,\s\u00a0\u202f\u2009]+)', head)
    if not match:
        return None
    digits = re.sub(r"\s", "", match[2] if match[1] else match[2].split(",")[0].split("\n")[0])
    if match[1] and "." not in digits and re.fullmatch(r"\d+,\d{1,2}", digits):
        digits = digits.replace(",", ".")
    try:
        value = float(digits.replace(",", ""))
    except ValueError:
        return None
    return value if value > 0 else None


def _date(said: Said, head: str, name: str) -> None:
    """Set as-of from the page's date; from the quotes where the text gives none, and say so."""
    rows = identify(Said(FORMAT, said.rows, said.underlying), name).rows
    first: date = rows["expiration"].min()  # type: ignore[assignment]
    words = _date_words(head)
    page = read_page_time(words, first) if words else None
    if page:
        said.as_of = data_time(page.instant)
        if page.guessed:
            said.notes.append(f'The page\'s date "{words}" is incomplete; {said.as_of:%Y-%m-%d} is read from it.')
        return
    session = session_of_quotes(rows) or first
    said.as_of = end_of_quotes(session)
    reason = f'The page\'s date "{words}" cannot be read' if words else "The page has no date"
    said.notes.append(f"{reason}; the close of {session:%Y-%m-%d} is inferred from the quotes (--as-of sets it).")


def _date_words(head: str) -> str:
    """What stands after "Date:"; in pages of before 2020, the cell with an @ in it."""
    if match := re.search(r"(?im)\bdate\s*:\s*(.*)$", head):
        return re.split(r"\"|[,;]\s*\"?bid\s*:", match[1], flags=re.IGNORECASE)[0].strip(" ,;")
    return next((cell for line in _cells(head) for cell in line if " @ " in cell), "")

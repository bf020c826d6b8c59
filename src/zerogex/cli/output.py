"""Rows to people and to programs: table, json, csv, ndjson.

Programs get numbers as numbers, times and durations as ISO 8601 (UTC), null for "no value" and
for what JSON has no number for.  People get New York time, thousands separators and a dash.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import textwrap
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from zerogex.domain.calendar import NEW_YORK

if TYPE_CHECKING:
    from rich.console import Console

MOST_COLUMNS, FEW_COLUMNS = 20, 6  # more than these do not stand side by side
GUTTER = 2
# columns of dollars and cents, however large
PRICES = {"spot", "open", "high", "low", "close", "change", "bid", "ask", "last", "strike", "forward"}
PRICES |= {"gamma_flip", "call_wall", "put_wall", "max_gamma_strike", "max_pain", "expected_move"}


class Output(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


def emit(columns: Sequence[str], rows: Sequence[Sequence[Any]], output: Output, *, title: str = "") -> None:
    """Print rows to stdout in the form asked for."""
    if output is Output.TABLE:
        _table(columns, rows, title)
        return
    plain = [{name: machine(value) for name, value in zip(columns, row, strict=True)} for row in rows]
    if output is Output.JSON:
        json.dump(plain, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    elif output is Output.NDJSON:
        sys.stdout.writelines(json.dumps(row, allow_nan=False) + "\n" for row in plain)
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([spreadsheet(value) for value in row.values()] for row in plain)


def machine(value: Any) -> Any:
    """A value as JSON has it; null for NaN and infinities, text for what JSON has no form of."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return _finite(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return [machine(each) for each in value]
    if isinstance(value, dict):
        return {str(name): machine(each) for name, each in value.items()}
    return str(value)


def _finite(value: float | Decimal) -> float | int | None:
    if not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value() and value.as_tuple().exponent == 0
        value = int(value) if whole else float(value)
    return value if isinstance(value, int) or math.isfinite(value) else None


def duration(value: timedelta) -> str:
    """ISO 8601: P1DT2H30M; a negative one has its sign before all of it."""
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{size.microseconds:06d}".rstrip("0") if size.microseconds else ""
    second = f"{seconds}{fraction}S" if seconds or fraction else ""
    clock = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number) + second
    days = f"{size.days}D" if size.days else ""
    return f"{sign}P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"


def spreadsheet(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return json.dumps(value) if isinstance(value, dict | list) else value


def counted(number: int, noun: str) -> str:
    """1 minute, 2 minutes."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def human(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S ET")
    if isinstance(value, Decimal | float):
        return number(float(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    return "".join(character if character.isprintable() else "?" for character in str(value))


def number(value: float) -> str:
    """Three to five significant digits with a unit of magnitude: -1.234 bn, 756.41, 0.0123."""
    size = abs(value)
    if math.isnan(size):
        return "-"
    if math.isinf(size):
        return "infinity" if value > 0 else "-infinity"
    for limit, suffix in ((1e12, "tn"), (1e9, "bn"), (1e6, "mn")):
        if size >= limit:
            return f"{value / limit:,.3f} {suffix}"
    if size >= 10_000:
        return f"{value:,.0f}"
    if size >= 1 or size == 0:
        return f"{value:,.2f}"
    return f"{value:.4f}" if size >= 0.0001 else f"{value:.2e}"


def column_texts(values: Sequence[Any], name: str = "") -> list[str]:
    """The cells of one column as a person reads them: numbers with as many decimals as their neighbours."""
    sizes = [abs(float(value)) for value in values if isinstance(value, float | Decimal) and not math.isnan(value)]
    largest = max(sizes, default=0.0)
    if largest >= 10_000 and name not in PRICES:  # beside those, cents say nothing
        return [_whole(value) for value in values]
    in_cents = all(abs(size - round(size, 2)) < 1e-9 for size in sizes)
    decimals = 2 if in_cents or largest >= 10 else 3 if largest >= 1 else 4
    least = 10.0**-decimals

    def text(value: Any) -> str:
        size = abs(float(value)) if isinstance(value, float | Decimal) else math.nan
        return human(value) if math.isnan(size) or 0 < size < least else f"{value:,.{decimals}f}"

    return [text(value) for value in values]


def _whole(value: Any) -> str:
    if isinstance(value, float | Decimal) and (value == 0 or 1 <= abs(float(value)) < 10_000):
        return f"{value:,.0f}"
    return human(value)


def _records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """One value a line: what does not fit side by side."""
    width = max(map(len, columns))
    for count, row in enumerate(rows):
        if count:
            console.print()
        for name, value in zip(columns, row, strict=True):
            for line in wrapped(f"{name:<{width}}  ", _cell(name, value), console.width):
                console.print(line, markup=False, soft_wrap=True)


def _cell(name: str, value: Any) -> str:
    """One value by itself."""
    return column_texts([value], name)[0] if name in PRICES else human(value)


def wrapped(head: str, text: str, width: int) -> list[str]:
    """Text behind its head, in lines that fit and stand under one another; a word that is too long stays whole."""
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    ) or [head]  # fmt: skip


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False)
    if title:
        console.print(title, style="bold", markup=False)
    if not rows:
        console.print("(no rows)", markup=False)
        return
    if len(columns) > MOST_COLUMNS or (len(rows) == 1 and len(columns) > FEW_COLUMNS):
        _records(console, columns, rows)
        return
    columns, rows = _hoist_constants(console, columns, rows)
    cells = list(
        zip(
            *(column_texts(column, name) for name, column in zip(columns, zip(*rows, strict=True), strict=True)),
            strict=True,
        )
    )
    widths = [
        max(len(line) for line in (*name.split("_"), *column)) for name, *column in zip(columns, *cells, strict=True)
    ]
    if len(rows) == 1 and sum(widths) + GUTTER * len(widths) > console.width:
        _records(console, columns, rows)
        return
    for part in _blocks(widths, console.width, _keys(cells, widths, console.width)):
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GUTTER, 0, 0))
        for index in part:
            right = all(isinstance(row[index], int | float | Decimal | None) for row in rows)
            table.add_column(columns[index].replace("_", "\n"), justify="right" if right else "left", overflow="fold")
        for row in cells:
            table.add_row(*(row[index] for index in part))
        console.print(table, markup=False)


def _hoist_constants(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[list[str], list[list[Any]]]:
    """Say once, above the table, what is the same in every row; give back the rest."""
    same = [len(rows) > 1 and all(row[i] == rows[0][i] for row in rows) for i in range(len(columns))]
    if all(same):
        same = [False] * len(columns)
    said = [f"{columns[i]} {_cell(columns[i], rows[0][i])}" for i in range(len(columns)) if same[i]]
    if said:
        console.print(" · ".join(said), markup=False, style="dim")
    kept = [i for i in range(len(columns)) if not same[i]]
    return [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _keys(cells: Sequence[Sequence[str]], widths: Sequence[int], limit: int) -> int:
    """How many of the first columns tell the rows apart; one where they would fill more than half of the terminal."""
    for count in range(1, len(widths)):
        if len({row[:count] for row in map(tuple, cells)}) == len(cells):
            return count if sum(widths[:count]) + GUTTER * count <= limit // 2 else 1
    return 1


def _blocks(widths: Sequence[int], limit: int, keys: int) -> list[list[int]]:
    """Column indexes in groups that fit the terminal; each group begins with the first columns, the key."""
    key = list(range(keys))
    blocks = [key.copy()]
    used = least = sum(widths[:keys]) + GUTTER * keys
    for index in range(keys, len(widths)):
        if used + widths[index] + GUTTER > limit and len(blocks[-1]) > keys:
            blocks.append(key.copy())
            used = least
        blocks[-1].append(index)
        used += widths[index] + GUTTER
    return blocks

"""Rows reach people and programs without surprises."""

import csv
import io
import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from uuid import UUID

import pytest

from zerogex.cli.output import Output, column_texts, emit, human, machine, number

COLUMNS = ("symbol", "timestamp", "net_gex", "note")
ROWS = [
    ("SPY", datetime(2026, 11, 20, 15, 31, tzinfo=UTC), -1.2345e9, None),
    ("=cmd|'x'", datetime(2026, 11, 20, 15, 32, tzinfo=UTC), 0.0, "a\x1b[31mb"),
]


def printed(output: Output, capsys: pytest.CaptureFixture[str], rows=ROWS, columns=COLUMNS) -> str:
    emit(columns, rows, output, title="Title")
    return capsys.readouterr().out


def test_json_is_a_list_of_objects_with_utc_times_and_null(capsys) -> None:
    first, second = json.loads(printed(Output.JSON, capsys))
    assert first == {"symbol": "SPY", "timestamp": "2026-11-20T15:31:00Z", "net_gex": -1.2345e9, "note": None}
    assert second["symbol"] == "=cmd|'x'"


def test_ndjson_is_one_object_a_line(capsys) -> None:
    lines = printed(Output.NDJSON, capsys).splitlines()
    assert [json.loads(line)["net_gex"] for line in lines] == [-1.2345e9, 0.0]


def test_csv_reads_back_and_no_cell_is_a_formula(capsys) -> None:
    table = list(csv.reader(io.StringIO(printed(Output.CSV, capsys))))
    assert table[0] == list(COLUMNS)
    assert table[2][0] == "'=cmd|'x'"
    assert float(table[1][2]) == -1.2345e9


def test_a_table_speaks_new_york_time_and_fits_80_columns(capsys) -> None:
    text = printed(Output.TABLE, capsys)
    assert "2026-11-20 10:31:00 ET" in text
    assert "-1.234 bn" in text or "-1.235 bn" in text
    assert "\x1b[31m" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_single_wide_row_is_listed_downwards(capsys) -> None:
    columns = tuple(f"column_{i}" for i in range(20))
    text = printed(Output.TABLE, capsys, rows=[tuple(range(20))], columns=columns)
    assert "column_19  19" in text


def test_a_single_row_that_does_not_fit_is_listed_downwards(capsys) -> None:
    columns = ("symbol", "first_timestamp", "last_timestamp", "note")
    instant = datetime(2026, 11, 20, 15, 31, tzinfo=UTC)
    text = printed(Output.TABLE, capsys, rows=[("SPY", instant, instant, "x" * 30)], columns=columns)
    assert [line.split()[0] for line in text.splitlines()[1:]] == list(columns)


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ((0.94, 1.01, Decimal("0.6500"), None), ["0.94", "1.01", "0.65", "-"]),
        ((0.5414, -0.95, 0.00002), ["0.5414", "-0.9500", "2.00e-05"]),
        ((-2.351, -0.9304), ["-2.351", "-0.930"]),
        ((1898.0, 3.5), ["1,898.00", "3.50"]),
        ((1e9, 0.5), ["1.000 bn", "0.5000"]),
        ((float("nan"), 1.0), ["-", "1.00"]),
        ((3, 4), ["3", "4"]),
        ((1.2e6, 8767.0, -9789.4, 0.0), ["1.200 mn", "8,767", "-9,789", "0"]),
    ],
)
def test_small_numbers_of_a_column_share_their_decimals(column, texts) -> None:
    assert column_texts(column) == texts


def test_a_price_keeps_its_cents_however_large(capsys) -> None:
    assert column_texts((21456.25, 9.5), "spot") == ["21,456.25", "9.50"]
    assert "21,456.25" in printed(Output.TABLE, capsys, rows=[(21456.25,)], columns=("gamma_flip",))


def test_a_long_value_of_a_record_is_wrapped_under_itself(capsys) -> None:
    columns = tuple(f"column_{i}" for i in range(20))
    text = printed(Output.TABLE, capsys, rows=[("word " * 30, *range(19))], columns=columns)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[2] == " " * len("column_19  ") + "word " * 13 + "word"


def test_every_part_of_a_wide_table_says_which_row_it_is_of(capsys) -> None:
    columns = ("symbol", "strike", *(f"column_{i}" for i in range(12)))
    keys = [("QQQ", 100), ("QQQ", 101), ("SPY", 100), ("SPY", 101)]
    rows = [(*key, *(1_000_000 * n + i for i in range(12))) for n, key in enumerate(keys, 1)]
    lines = [line.split() for line in printed(Output.TABLE, capsys, rows=rows, columns=columns).splitlines()]
    parts = [(line[0], int(line[1])) for line in lines if line[0] in ("QQQ", "SPY")]
    assert parts == keys * 3


def test_no_rows_say_so(capsys) -> None:
    assert "(no rows)" in printed(Output.TABLE, capsys, rows=[])
    assert json.loads(printed(Output.JSON, capsys, rows=[])) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5e12, "1.500 tn"),
        (-2.5e6, "-2.500 mn"),
        (12345.6, "12,346"),
        (756.412, "756.41"),
        (0.01234, "0.0123"),
        (0.0, "0.00"),
    ],
)
def test_numbers_carry_their_magnitude(value: float, text: str) -> None:
    assert number(value) == text


def test_values_for_programs_stay_numbers() -> None:
    assert machine(Decimal("4500")) == 4500
    assert machine(Decimal("450.2500")) == 450.25
    assert machine(date(2026, 11, 20)) == "2026-11-20"
    assert human(True) == "yes"
    assert human(1234567) == "1,234,567"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (timedelta(days=1), "P1D"),
        (timedelta(hours=2, minutes=30), "PT2H30M"),
        (-timedelta(days=1, seconds=4, microseconds=500_000), "-P1DT4.5S"),
        (timedelta(0), "PT0S"),
        (time(9, 30), "09:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (math.nan, None),
        (-math.inf, None),
        (Decimal("NaN"), None),
        (Decimal("-Infinity"), None),
        (Decimal("1e400"), None),
        ([Decimal("1.5"), math.nan, {"at": date(2026, 1, 2)}], [1.5, None, {"at": "2026-01-02"}]),
        (ip_address("10.0.0.1"), "10.0.0.1"),
    ],
)
def test_programs_get_a_whole_document_whatever_is_in_it(value: object, written: object, capsys) -> None:
    for form in (Output.JSON, Output.NDJSON):
        document = json.loads(printed(form, capsys, rows=[(value,)], columns=("x",)))
        assert (document[0] if form is Output.JSON else document)["x"] == written
    printed(Output.TABLE, capsys, rows=[(value,)], columns=("x",))


def test_people_read_infinity_without_a_unit() -> None:
    assert [number(value) for value in (math.inf, -math.inf, math.nan)] == ["infinity", "-infinity", "-"]

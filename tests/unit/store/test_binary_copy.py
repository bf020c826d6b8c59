"""Columns to PostgreSQL's binary COPY and back."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime

import numpy as np
import pytest

from zerogex.store import binary_copy as wire

LAYOUT = wire.Layout({"name": wire.text(4), "price": wire.FLOAT8, "count": wire.INT8, "flag": wire.BOOL})
COLUMNS = {
    "name": np.array(["A", "BCDE"], object),
    "price": np.array([1.5, np.nan]),
    "count": np.array([1, -(2**62)]),
    "flag": np.array([True, False]),
}


def test_a_row_is_written_as_the_documentation_of_copy_says() -> None:
    data = LAYOUT.encode({name: column[:1] for name, column in COLUMNS.items()})
    row = struct.pack(">h i4s id iq iB", 4, 4, b"A   ", 8, 1.5, 8, 1, 1, 1)
    assert data == b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) + row + struct.pack(">h", -1)


def test_columns_come_back_whatever_the_blocks_are() -> None:
    data = LAYOUT.encode(COLUMNS)
    for size in (1, 7, len(data)):
        back = LAYOUT.decode(data[start : start + size] for start in range(0, len(data), size))
        assert wire.texts(back["name"]).tolist() == ["A", "BCDE"]
        np.testing.assert_array_equal(back["price"], COLUMNS["price"])
        assert back["count"].tolist() == COLUMNS["count"].tolist()
        assert back["flag"].astype(bool).tolist() == [True, False]


def record(name: bytes, price: float, count: int, flag: bool) -> bytes:
    """What record_send makes of a row; text, float8, int8 and bool are types 25, 701, 20 and 16."""
    return struct.pack(">i ii4s iid iiq iiB", 4, 25, 4, name, 701, 8, price, 20, 8, count, 16, 1, flag)


def test_records_one_behind_the_other_are_columns() -> None:
    back = LAYOUT.decode_records(record(b"A   ", 1.5, 1, True) + record(b"BCDE", np.nan, -(2**62), False))
    assert wire.texts(back["name"]).tolist() == ["A", "BCDE"]
    np.testing.assert_array_equal(back["price"], COLUMNS["price"])
    assert back["count"].tolist() == COLUMNS["count"].tolist()
    assert back["flag"].astype(bool).tolist() == [True, False]
    assert {len(column) for column in LAYOUT.decode_records(b"").values()} == {0}


@pytest.mark.parametrize("damage", [lambda d: d[:-3], lambda d: d.replace(b"\0\0\0\x08", b"\0\0\0\x09")])
def test_records_of_another_layout_are_refused(damage) -> None:
    with pytest.raises(ValueError, match="records"):
        LAYOUT.decode_records(damage(record(b"A   ", 1.5, 1, True)))


def test_no_rows_are_fine() -> None:
    empty = {name: column[:0] for name, column in COLUMNS.items()}
    assert {len(column) for column in LAYOUT.decode([LAYOUT.encode(empty)]).values()} == {0}


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-3], lambda d: b"x" + d, lambda d: d.replace(b"\0\0\0\x08", b"\0\0\0\x09")]
)
def test_bytes_of_another_layout_are_refused(damage) -> None:
    with pytest.raises(ValueError, match="from COPY"):
        LAYOUT.decode([damage(LAYOUT.encode(COLUMNS))])


def test_times_and_dates_keep_their_microsecond_and_their_day() -> None:
    instants = [datetime(2026, 2, 20, 14, 30, 0, 123457, tzinfo=UTC), datetime(1999, 12, 31, tzinfo=UTC)]
    seconds = np.array([instant.timestamp() for instant in instants])
    assert wire.unix_seconds(wire.timestamps(seconds)).tolist() == seconds.tolist()
    assert wire.timestamps(np.array([datetime(2000, 1, 1, tzinfo=UTC).timestamp()])).tolist() == [0]
    days = np.array([date(2026, 2, 20), date(1999, 12, 31)], "datetime64[D]")
    assert wire.days(wire.dates(days)).tolist() == days.tolist()
    assert wire.dates(np.array(["2000-01-01"], "datetime64[D]")).tolist() == [0]


def test_prices_come_back_as_the_float_nearest_to_what_was_written() -> None:
    said = np.array([-1, 0, 1, 12345, 1_000_001, 999_999_989_999])
    assert wire.prices_of(said).tolist()[1:] == [0.0, 0.0001, 1.2345, 100.0001, 99_999_998.9999]
    assert np.isnan(wire.prices_of(said)[0])

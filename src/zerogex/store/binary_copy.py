"""PostgreSQL's binary formats of rows, COPY and record, for whole arrays at a time.

A row of the format is: the number of fields, then for each field its length and its bytes, all
big-endian.  If every field has a fixed length, a table is one numpy structured array, and thousands
of rows are written and read without a Python loop.  So text is padded with spaces, and "no value" is
NaN rather than NULL: the statement on the database's side trims and turns NaN into NULL, or back.

COPY sends a message a row, and each costs the reader a microsecond or two.  So chains come back as one value:
all rows' records one behind the other, where a field has its type's number before its length.

Source: PostgreSQL documentation, COPY § Binary Format; record_send in src/backend/utils/adt/rowtypes.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no header extension
_END = b"\xff\xff"
_UNIX_TO_POSTGRES_S = 946_684_800  # 2000-01-01 in Unix time
_UNIX_TO_POSTGRES_DAYS = 10_957

# our words for PostgreSQL's types, as numpy sees their bytes
FLOAT8, INT8, INT4, INT2, BOOL, DATE, TIMESTAMPTZ = ">f8", ">i8", ">i4", ">i2", "u1", ">i4", ">i8"


# a price as NUMERIC(12,4): three digits of base 10,000 behind a header of four numbers
PRICE = "(7,)>i2"
_PRICE_NAN = np.uint16(0xC000).astype(np.int16)


def text(width: int) -> str:
    """Text padded to a width of ASCII characters."""
    return f"S{width}"


class Layout:
    """The fields of a row, in order: names and types."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.names = tuple(fields)
        parts: list[tuple[str, str]] = [("fields#", ">i2")]
        record: list[tuple[str, str]] = [("fields#", ">i4")]
        for name, kind in fields.items():
            parts += [(f"{name}#", ">i4"), (name, kind)]
            record += [(f"{name}@", ">i4"), (f"{name}#", ">i4"), (name, kind)]
        self.dtype, self._record = np.dtype(parts), np.dtype(record)

    def encode(self, columns: Mapping[str, NDArray[Any]]) -> bytes:
        """Columns of equal length as the bytes of a COPY FROM STDIN."""
        rows = np.empty(len(columns[self.names[0]]), self.dtype)
        rows["fields#"] = len(self.names)
        for name in self.names:
            kind = self.dtype[name]
            rows[f"{name}#"] = kind.itemsize
            column = columns[name]
            is_text = kind.kind == "S" and len(rows)  # numpy cannot pad nothing
            rows[name] = np.char.ljust(column.astype("S"), kind.itemsize) if is_text else column
        return _SIGNATURE + rows.tobytes() + _END

    def decode(self, blocks: Iterable[bytes | memoryview]) -> dict[str, NDArray[Any]]:
        """What COPY TO STDOUT sent, as columns in the machine's byte order; texts as padded bytes.

        Raises ValueError if the bytes have another layout.
        """
        data = b"".join(blocks)
        body = data[len(_SIGNATURE) : -len(_END)]
        if not data.startswith(_SIGNATURE) or not data.endswith(_END) or len(body) % self.dtype.itemsize:
            raise ValueError(f"{len(data)} bytes from COPY are not rows of {self.dtype.itemsize} bytes")
        return self._columns(np.frombuffer(body, self.dtype), "COPY")

    def decode_records(self, data: bytes) -> dict[str, NDArray[Any]]:
        """The same of rows that record_send made bytes of, one behind the other."""
        if len(data) % self._record.itemsize:
            raise ValueError(f"{len(data)} bytes are not records of {self._record.itemsize} bytes")
        return self._columns(np.frombuffer(data, self._record), "records")

    def _columns(self, rows: NDArray[Any], source: str) -> dict[str, NDArray[Any]]:
        other_count = np.any(rows["fields#"] != len(self.names))
        if other_count or any(np.any(rows[f"{name}#"] != self.dtype[name].itemsize) for name in self.names):
            raise ValueError(f"rows from {source} have a field of another width than expected")
        return {name: rows[name].astype(rows[name].dtype.newbyteorder("=")) for name in self.names}


def prices(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """Prices from 0 to 99,999,999 or NaN as the fields of NUMERIC(12,4), rounded to a ten-thousandth.

    PostgreSQL's own cast goes by way of text: with four prices a row it took a sixth of storing a minute.
    Source  numeric_recv in src/backend/utils/adt/numeric.c: count of digits, weight, sign, scale, digits.
    """
    missing = np.isnan(values)
    # two units in the last place up: a decimal ending in a half is a double just below it about as often as above
    units = np.floor(np.where(missing, 0.0, values) * (1 + 2 * np.finfo(float).eps) * 1e4 + 0.5).astype(np.int64)
    fields = np.empty((len(values), 7), np.int16)
    fields[:, 0], fields[:, 1], fields[:, 3] = 3, 1, 4
    fields[:, 2] = np.where(missing, _PRICE_NAN, 0)
    fields[:, 4], fields[:, 5], fields[:, 6] = units // 10**8, units // 10**4 % 10**4, units % 10**4
    return fields


def timestamps(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Unix seconds as PostgreSQL's microseconds since 2000."""
    return np.rint(seconds * 1e6).astype(np.int64) - _UNIX_TO_POSTGRES_S * 1_000_000


def prices_of(ten_thousandths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Prices said as whole ten-thousandths; -1 is "no value", NaN.

    Exact.  PostgreSQL casts NUMERIC to a float by way of text: two of the thirty milliseconds that a chain takes.
    """
    return np.where(ten_thousandths < 0, np.nan, ten_thousandths / 1e4)


def unix_seconds(microseconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """PostgreSQL's timestamps as Unix seconds."""
    return (microseconds + _UNIX_TO_POSTGRES_S * 1_000_000) / 1e6


def dates(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """datetime64[D] as PostgreSQL's days since 2000."""
    return days.astype("datetime64[D]").astype(np.int64) - _UNIX_TO_POSTGRES_DAYS


def days(numbers: NDArray[Any]) -> NDArray[np.datetime64]:
    """PostgreSQL's dates as datetime64[D]."""
    return (numbers.astype(np.int64) + _UNIX_TO_POSTGRES_DAYS).astype("datetime64[D]")


def texts(column: NDArray[Any]) -> NDArray[np.object_]:
    """Padded bytes as an object column of strings."""
    width = column.dtype.itemsize
    everything = column.tobytes().decode("ascii")
    result = np.empty(len(column), object)
    result[:] = [everything[start : start + width].rstrip(" \0") for start in range(0, len(everything), width)]
    return result

"""The head of our own exports: what the API says once beside the rows of a chain.

JSON carries it around its rows, Parquet and Arrow in their metadata; CSV and NDJSON repeat the part of it that a
chain needs in every row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

import polars as pl

from zerogex.providers.chain_files.columns import read_instant
from zerogex.providers.chain_files.said import Said

Head = Mapping[str, Any]
_GUESSED = ("iv", "delta", "gamma", "theta", "vega")  # what rests on a volatility nobody quoted


def read(said: Said, head: Head) -> None:
    """Take time, spot, underlying and marks from a head; values of metadata are text."""
    said.simulated |= str(head.get("simulated")).lower() == "true"
    said.delayed |= str(head.get("delayed")).lower() == "true" or head.get("state") == "delayed"
    symbol = head.get("underlying")
    if isinstance(symbol, str) and symbol.strip():
        said.underlying = symbol.strip("^$_. ").upper()
    said.spot = _positive(head.get("spot"))
    stamp = read_instant(str(head.get("data_timestamp") or ""), UTC)
    if stamp is None or said.as_of is not None:
        return
    said.as_of = stamp
    age_s = _positive(_coverage(head).get("spot_age_s"))
    said.spot_time = stamp - timedelta(seconds=age_s) if age_s else None


def drop_placeholders(said: Said) -> None:
    """A volatility by default is no claim of the file, and neither are the Greeks made with it."""
    if "iv_source" not in said.rows.columns:
        return
    default = pl.col("iv_source") == "DEFAULT"
    count = said.rows.select(default.sum()).item()
    if count:
        guessed = [name for name in _GUESSED if name in said.rows.columns]
        said.rows = said.rows.with_columns(
            pl.when(~default.fill_null(False)).then(pl.col(name)).alias(name) for name in guessed
        )
        said.notes.append(
            f"{count} volatilities of the file are defaults, not measured; they and their Greeks are left out."
        )


def _coverage(head: Head) -> Mapping[str, Any]:
    told = head.get("coverage")
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            return {}
    return told if isinstance(told, Mapping) else {}


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < float("inf") else None

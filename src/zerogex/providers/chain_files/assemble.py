"""From the rows of a file to an `OptionChain`: whole columns at a time, identities checked, placeholders removed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from zerogex.domain.calendar import settlement
from zerogex.domain.chain import Floats, Ints, OptionChain, objects
from zerogex.domain.contract import underlying_of
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.errors import ChainFileError
from zerogex.providers.chain_files.said import Said

QUOTES = ("bid", "ask", "last")
NUMBERS = (*QUOTES, "volume", "open_interest", "iv", "delta", "gamma", "theta", "vega", "multiplier")
LEAST_SHARE = 0.95  # of the rows must be about one underlying; the rest is damage
MISSING = -999.0  # TD Ameritrade's word for "not known"
IV_FLOOR = 0.02
LEAST_IV = 0.001  # Cboe writes 0 and Yahoo 0.00001 where nothing could be solved
_SYMBOL = r"^[._$^]*([A-Z][A-Z0-9./]*?)\s*(\d{6})([CP])(\d+(?:\.\d+)?)$"
_KEY = ["expiration", "root", "strike", "right"]


@dataclass(frozen=True, slots=True)
class _Identified:
    rows: pl.DataFrame  # root, expiration, strike, right and the numbers; sorted, unique
    underlying: str


def assemble(said: Said, name: str, as_of: datetime, spot: float) -> OptionChain:
    """The chain a file tells of; raises ChainFileError where there is none in it."""
    identified = identify(said, name)
    rows = identified.rows
    count = len(rows)
    iv = _clean_iv(_numbers(rows, "iv"), said)
    stamp = as_of.timestamp()
    multiplier = _numbers(rows, "multiplier")
    return OptionChain(
        underlying=identified.underlying,
        spot=spot,
        as_of=as_of,
        symbol=objects(rows["symbol"].to_list()),
        root=objects(rows["root"].to_list()),
        expiration=rows["expiration"].to_numpy().astype("datetime64[D]"),
        settlement=_settlements(rows),
        strike=rows["strike"].to_numpy().astype(float),
        is_call=(rows["right"] == "C").to_numpy(),
        multiplier=np.where(multiplier > 0, multiplier, 100.0),
        bid=_numbers(rows, "bid"),
        ask=_numbers(rows, "ask"),
        last=_numbers(rows, "last"),
        delta=_numbers(rows, "delta"),
        gamma=_numbers(rows, "gamma"),
        theta=_numbers(rows, "theta"),
        vega=_numbers(rows, "vega"),
        volume=_counts(rows, "volume"),
        open_interest=_counts(rows, "open_interest"),
        iv=iv,
        iv_source=np.where(np.isfinite(iv), IvSource.API, IvSource.NONE).astype(np.int8),
        iv_status=np.full(count, IvStatus.NOT_TRIED, np.int8),
        forward=np.full(count, np.nan),
        rate=np.full(count, np.nan),
        event_time=_event_times(rows, stamp),
        received_time=np.full(count, stamp),
        spot_time=said.spot_time,
        simulated=said.simulated,
        delayed=said.delayed,
    )


def identify(said: Said, name: str) -> _Identified:
    """Give every row root, expiration, strike, right and symbol; the rest is dropped and counted in notes."""
    rows = _split_symbols(said.rows)
    if missing := [key for key in ("expiration", "strike", "right") if key not in rows.columns]:
        raise ChainFileError(f"{name} is not an option chain: it has no column for {' and '.join(missing)}")
    if "root" not in rows.columns:
        rows = rows.with_columns(pl.lit(said.underlying, pl.String).alias("root"))
    elif said.underlying:
        rows = rows.with_columns(pl.col("root").fill_null(said.underlying))
    if rows["root"].null_count() == len(rows) > 0 and rows["strike"].null_count() < len(rows):
        raise ChainFileError(f"{name} does not say what its options are on: no column for option, root or underlying")
    good = rows.filter(
        pl.all_horizontal(pl.col(*_KEY).is_not_null())
        & pl.col("strike").is_between(0.0, 1e7, closed="right")
        & pl.col("right").is_in(["C", "P"])
        & pl.col("root").str.contains(r"^[A-Z][A-Z0-9.]{0,7}$")
    )
    if not len(good):
        raise ChainFileError(f"{name} has no contracts: none of its {len(rows)} rows names an option")
    if lost := len(rows) - len(good):
        if lost > 0.2 * len(rows):
            raise ChainFileError(f"{name} is damaged: {lost} of its {len(rows)} rows do not name an option")
        said.notes.append(f"Left out: {_rows(lost)} not name a contract.")
    milli = (pl.col("strike") * 1000).round(0).cast(pl.Int64)
    good = good.with_columns(strike=milli / 1000.0, symbol=_symbol_text(milli))
    underlying, good = _one_underlying(said, good, name)
    unique = good.unique("symbol", keep="last", maintain_order=True)
    if repeated := len(good) - len(unique):
        said.notes.append(f"{repeated} rows repeat a contract; the last row of each counts.")
    return _Identified(unique.sort(_KEY), underlying)


def _split_symbols(rows: pl.DataFrame) -> pl.DataFrame:
    """Fill in root, expiration, strike and right from the option symbol where the file has no column for them."""
    if "option" not in rows.columns:
        return rows
    text = pl.col("option").cast(pl.String).str.strip_chars().str.to_uppercase()
    parts = rows.lazy().select(text.alias("option")).with_columns(
        root=pl.col("option").str.extract(_SYMBOL, 1).str.replace_all("/", "."),
        day=pl.col("option").str.extract(_SYMBOL, 2),
        right=pl.col("option").str.extract(_SYMBOL, 3),
        digits=pl.col("option").str.extract(_SYMBOL, 4),
    )  # fmt: skip
    osi = pl.col("digits").str.len_chars() == 8
    found = parts.select(
        "root",
        "right",
        expiration=("20" + pl.col("day")).str.to_date("%Y%m%d", strict=False),
        strike=pl.col("digits").cast(pl.Float64, strict=False) / pl.when(osi).then(1000.0).otherwise(1.0),
    ).collect()
    given = [key for key in ("expiration", "strike", "right", "root") if key in rows.columns]
    merged = [pl.coalesce(rows[key], found[key]).alias(key) for key in given]
    return rows.drop(given).with_columns(*merged, *(found[key] for key in found.columns if key not in given))


def _symbol_text(milli: pl.Expr) -> pl.Expr:
    """`SPY 260221C452.5` from the columns, with the strike in the fewest characters."""
    whole, rest = (milli // 1000).cast(pl.String), milli % 1000
    decimals = rest.cast(pl.String).str.zfill(3).str.strip_chars_end("0")
    strike = pl.when(rest == 0).then(whole).otherwise(pl.concat_str(whole, pl.lit("."), decimals))
    return pl.concat_str("root", pl.lit(" "), pl.col("expiration").dt.strftime("%y%m%d"), "right", strike)


def _one_underlying(said: Said, rows: pl.DataFrame, name: str) -> tuple[str, pl.DataFrame]:
    """The one underlying of nearly all roots, and its rows; a file about several is refused."""
    owner = {root: underlying_of(root) for root in rows["root"].unique().to_list()}
    votes: Counter[str] = Counter()
    for root, count in rows["root"].value_counts().iter_rows():
        votes[owner[root]] += count
    winner, most = votes.most_common(1)[0]
    if most < LEAST_SHARE * votes.total():
        names = ", ".join(sorted(votes)[:6])
        raise ChainFileError(f"{name} holds options of several underlyings ({names}); give one chain a file")
    if strays := votes.total() - most:
        said.notes.append(f"Left out: {_rows(strays)} not name an option on {winner}.")
        rows = rows.filter(pl.col("root").is_in([root for root, whose in owner.items() if whose == winner]))
    return winner, rows


def _settlements(rows: pl.DataFrame) -> Floats:
    """Seconds since the epoch, computed once a (root, expiration)."""
    keys = rows.select("root", "expiration").unique()
    moments = [settlement(root, day).timestamp() for root, day in keys.iter_rows()]
    joined = rows.select("root", "expiration").join(
        keys.with_columns(pl.Series("moment", moments, pl.Float64)), on=["root", "expiration"], how="left",
        maintain_order="left",
    )  # fmt: skip
    return joined["moment"].to_numpy()


def _numbers(rows: pl.DataFrame, column: str) -> Floats:
    """A column as float64 with NaN for "no value"; quotes below zero and a last of zero are no values."""
    if column not in rows.columns:
        return np.full(len(rows), np.nan)
    values = rows[column].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().astype(float)
    values = np.where(np.isfinite(values) & (values != MISSING), values, np.nan)
    if column in QUOTES:
        values = np.where(values >= 0, values, np.nan)
    return np.where(values > 0, values, np.nan) if column == "last" else values


def _event_times(rows: pl.DataFrame, stamp: float) -> Floats:
    """When each contract spoke last, seconds since the epoch; the chain's own instant where the file does not say."""
    if "event_time" not in rows.columns:
        return np.full(len(rows), stamp)
    seconds = rows["event_time"].dt.epoch("us").cast(pl.Float64).fill_null(np.nan).to_numpy() / 1e6
    return np.where(seconds <= stamp, seconds, stamp)


def _counts(rows: pl.DataFrame, column: str) -> Ints:
    """Whole contracts; what is missing or below zero is none."""
    return np.clip(np.nan_to_num(_numbers(rows, column)), 0.0, 1e15).astype(np.int64)


def _clean_iv(iv: Floats, said: Said) -> Floats:
    """Volatility per 1.00; what the vendor writes for "not solved" becomes NaN."""
    iv = np.where(iv > LEAST_IV, iv, np.nan)
    at_floor = iv == IV_FLOOR
    if at_floor.mean() > 0.005:  # no accident: Cboe until 2022 wrote the floor where it could not solve
        said.notes.append(f"{at_floor.sum()} contracts at the vendor's volatility floor of 0.02 count as unsolved.")
        iv = np.where(at_floor, np.nan, iv)
    if np.isfinite(iv).any() and np.nanmedian(iv) > 4.0:  # nobody's median volatility is 400 %
        said.notes.append("Implied volatility is read as percent.")
        iv = iv / 100.0
    return iv


def _rows(count: int) -> str:
    return "1 row does" if count == 1 else f"{count} rows do"

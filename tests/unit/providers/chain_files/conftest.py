"""One invented session of SPX options, written in every layout the readers know.

Prices are Black-76 values, so that what the readers infer from quotes (spot, session) can be
checked against what went in.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from statistics import NormalDist
from typing import Any

import polars as pl
import pytest

from zerogex.domain.calendar import settlement
from zerogex.domain.chain import OptionChain
from zerogex.providers.chain_files import ChainFile, read_chain

SPOT, VOL = 5290.25, 0.13
CLOSE = datetime(2024, 6, 4, 20, 15, tzinfo=UTC)  # 16:15 in New York
LISTED = (("SPXW", date(2024, 6, 4)), ("SPXW", date(2024, 6, 5)), ("SPXW", date(2024, 6, 7)),
          ("SPX", date(2024, 6, 21)), ("SPXW", date(2024, 6, 21)))  # fmt: skip
NUMBERS = ("bid", "ask", "last", "volume", "open_interest", "iv", "delta", "gamma")
_QUOTE_COLUMNS = "{0},Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"


def _rows(as_of: datetime) -> list[dict[str, Any]]:
    return [
        _row(root, day, 5100.0 + 12.5 * step, right, as_of, step)
        for root, day in LISTED
        for step in range(33)
        for right in "CP"
    ]


def _row(root: str, day: date, strike: float, right: str, as_of: datetime, step: int) -> dict[str, Any]:
    years = max((settlement(root, day) - as_of).total_seconds(), 0.0) / (365 * 86_400)
    sign = 1 if right == "C" else -1
    width = VOL * math.sqrt(years)
    normal = NormalDist()
    if width:
        d1 = math.log(SPOT / strike) / width + width / 2
        value = sign * (SPOT * normal.cdf(sign * d1) - strike * normal.cdf(sign * (d1 - width)))
        delta, gamma = sign * normal.cdf(sign * d1), normal.pdf(d1) / (SPOT * width)
    else:
        value, delta, gamma = max(sign * (SPOT - strike), 0.0), 0.0, 0.0
    iv = VOL if width and 0.02 < abs(delta) < 0.98 else 0.0  # Cboe writes 0 for "not solved"
    bid = round(max(value - 0.05, 0.0), 2)
    traded = round(value, 2) if step % 3 else 0.0
    symbol = f"{root}{day:%y%m%d}{right}{round(strike * 1000):08d}"
    return {
        "asof": as_of, "underlying": "SPX", "spot": SPOT, "root": root, "option": symbol, "expiration": day,
        "settlement": "AM" if root == "SPX" else "PM", "strike": strike, "right": right, "bid": bid,
        "ask": round(value + 0.05, 2), "last": traded, "volume": 10 * step, "open_interest": 1000 + step,
        "iv": iv, "delta": round(delta, 4), "gamma": round(gamma, 4),
    }  # fmt: skip


@dataclass
class Sample:
    """The session as rows, and as the bytes of a file of each layout."""

    as_of: datetime = CLOSE
    rows: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = _rows(self.as_of)

    @property
    def frame(self) -> pl.DataFrame:
        return pl.DataFrame(self.rows, schema_overrides={"asof": pl.Datetime("us", "UTC")})

    def parquet(self, frame: pl.DataFrame | None = None) -> bytes:
        buffer = io.BytesIO()
        (self.frame if frame is None else frame).write_parquet(buffer)
        return buffer.getvalue()

    def csv(self, frame: pl.DataFrame | None = None, **options: Any) -> bytes:
        return (self.frame if frame is None else frame).write_csv(**options).encode()

    def quote_table(self, date_text: str = '"Date: June 4, 2024 at 6:33 PM EDT"', *, first_line: str = "",
                    last: str = "5290.25", separator: str = ",") -> bytes:  # fmt: skip
        head = [
            first_line,
            f"Standard & Poors 500 Index,Last: {last},Change: -3.1",
            f'{date_text},Bid: 5289.1,Ask: 5291.4,Size: 1*1,"Volume: 1,234"',
            f"Expiration Date,{_QUOTE_COLUMNS.format('Calls')},Strike,{_QUOTE_COLUMNS.format('Puts')}",
        ]
        sides = {row["option"]: row for row in self.rows}
        lines = []
        for call in (row for row in self.rows if row["right"] == "C"):
            put = sides[call["option"].replace("C0", "P0")]
            cells = [f"{call['expiration']:%a %b %d %Y}", *_cells(call), f"{call['strike']:.2f}", *_cells(put)]
            lines.append(",".join(cells))
        return "\n".join([*head, *lines, ""]).replace(",", separator).encode()

    def cboe_json(self, timestamp: str = "2024-06-04 22:40:31", **changes: Any) -> bytes:
        options = [
            {**{name: row[name] for name in NUMBERS if name != "last"}, "option": row["option"], "theta": -0.5,
             "vega": 0.4, "last_trade_price": row["last"], "last_trade_time": "2024-06-04T15:59:59"}
            for row in self.rows
        ]  # fmt: skip
        data = {"options": options, "symbol": "^SPX", "current_price": SPOT, "close": SPOT, **changes}
        return json.dumps({"timestamp": timestamp, "data": data, "symbol": "_SPX"}).encode()

    def td_json(self) -> bytes:
        maps: dict[str, Any] = {"C": {}, "P": {}}
        for row in self.rows:
            entry = {
                "putCall": "CALL" if row["right"] == "C" else "PUT", "bid": row["bid"], "ask": row["ask"],
                "symbol": f"{row['root']}_{row['expiration']:%m%d%y}{row['right']}{row['strike']:g}",
                "last": row["last"], "totalVolume": row["volume"], "openInterest": row["open_interest"],
                "volatility": 100 * row["iv"] or "NaN", "delta": row["delta"] or -999.0, "gamma": row["gamma"],
                "theta": "NaN", "vega": -999.0, "strikePrice": row["strike"], "multiplier": 100.0,
                "quoteTimeInLong": int(self.as_of.timestamp() * 1000),
            }  # fmt: skip
            day = maps[row["right"]].setdefault(f"{row['expiration']}:3", {})
            day.setdefault(f"{row['strike']:.1f}", []).append(entry)
        document = {
            "symbol": "$SPX.X", "status": "SUCCESS", "underlyingPrice": SPOT, "callExpDateMap": maps["C"],
            "putExpDateMap": maps["P"], "underlying": {"symbol": "$SPX.X", "delayed": True, "last": SPOT},
        }  # fmt: skip
        return json.dumps(document, indent=1).encode()

    def cboe_fields(self) -> bytes:
        frame = self.frame.select(
            session_date=pl.lit("2024-06-04"), ticker=pl.lit("_SPX"), expiry="expiration", right="right",
            strike="strike", option="option", bid="bid", ask="ask", last_trade_price="last", volume="volume",
            open_interest="open_interest", iv="iv", delta="delta", gamma="gamma", prev_day_close=pl.lit(1.0),
            last_trade_time=pl.lit("2024-06-04T15:59:17"),
        )  # fmt: skip
        return self.csv(frame)

    def yahoo(self, last_trade: str = "2024-06-04 19:59:58+00:00") -> bytes:
        frame = self.frame.select(
            contractSymbol="option", expiry="expiration", type="right", strike="strike", lastPrice="last", bid="bid",
            ask="ask", volume=pl.when(pl.col("volume") > 0).then(pl.col("volume").cast(pl.Float64)),
            openInterest=pl.col("open_interest").cast(pl.Float64),
            impliedVolatility=pl.when(pl.col("iv") > 0).then(pl.col("iv")).otherwise(1e-5), inTheMoney=pl.lit(True),
            lastTradeDate=pl.lit(last_trade), spot=pl.lit(SPOT + 9), session=pl.lit("2024-06-04"),
        )  # fmt: skip
        return self.csv(frame)

    def every_layout(self) -> dict[str, bytes]:
        return {
            "quote table": self.quote_table(),
            "Cboe JSON": self.cboe_json(),
            "TD JSON": self.td_json(),
            "Cboe fields": self.cboe_fields(),
            "Yahoo": self.yahoo(),
            "Parquet": self.parquet(),
            "CSV": self.csv(),
        }


def _cells(row: dict[str, Any]) -> list[str]:
    return [row["option"], f"{row['last']:g}", "0", *(f"{row[name]:g}" for name in
            ("bid", "ask", "volume", "iv", "delta", "gamma", "open_interest"))]  # fmt: skip


@pytest.fixture(scope="session")
def sample() -> Sample:
    """The evening of 2024-06-04."""
    return Sample()


@pytest.fixture(scope="session")
def reference(sample: Sample) -> OptionChain:
    """The same session by way of Parquet."""
    return read_chain(sample.parquet(), "reference.parquet").chain


@pytest.fixture(scope="session")
def read() -> Callable[..., ChainFile]:
    """Read bytes as a chain file called `chain`."""

    def reader(data: bytes, as_of: datetime | None = None) -> ChainFile:
        return read_chain(data, "chain", as_of)

    return reader


@pytest.fixture(scope="session")
def zipped() -> Callable[[bytes], bytes]:
    """Bytes as gzip."""
    return lambda data: gzip.compress(data, 1)


@pytest.fixture
def intraday() -> Sample:
    """The same listing at 11:30 in New York."""
    return Sample(datetime(2024, 6, 4, 15, 30, tzinfo=UTC))

"""Made-up chains and messages to measure with: the same ones on every machine."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.pricing.black_scholes import price

NOW = datetime(2026, 5, 11, 15, 0, tzinfo=UTC)  # a Monday, 11:00 in New York
SPOT, RATE, DIVIDEND = 5000.0, 0.04, 0.013
STRIKES = 200  # an expiration
_DISPLAYED = (  # what the vendor sends besides and nobody here reads
    "Rho", "ExtrinsicValue", "TheoreticalValue", "ProbabilityITM", "ProbabilityOTM", "ProbabilityBE",
    "ProbabilityITM_IV", "ProbabilityOTM_IV", "ProbabilityBE_IV", "TheoreticalValue_IV", "StandardDeviation",
    "Close", "High", "Low", "Open", "PreviousClose", "NetChange", "NetChangePct",
)  # fmt: skip


def contracts(count: int) -> list[OptionContract]:
    """About `count` contracts of SPXW: 200 strikes and both kinds on each of consecutive business days."""
    days: list[date] = []
    day = date(2026, 5, 12)
    while len(days) * STRIKES * 2 < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    strikes = [Decimal(5 * k) for k in range(1000 - STRIKES // 2, 1000 + STRIKES // 2)]
    listed = [OptionContract("SPX", "SPXW", day, k, kind) for day in days for k in strikes for kind in OptionKind]
    return listed[:count]


def chain(count: int, seed: int = 1, as_of: datetime = NOW) -> OptionChain:
    """A quoted chain with a smile: two-sided quotes, open interest, volume."""
    random = np.random.default_rng(seed)
    listed = contracts(count)
    bare = build_chain("SPX", SPOT, as_of, listed)
    forward = SPOT * np.exp((RATE - DIVIDEND) * bare.years)
    log_moneyness = np.log(bare.strike / forward)
    iv = 0.14 - 0.5 * log_moneyness + 1.2 * log_moneyness**2
    fair = price(forward, bare.strike, bare.years, RATE, iv, bare.is_call)
    bid, ask = np.maximum(np.round(fair * 0.995, 2), 0.0), np.round(fair * 1.005 + 0.05, 2)
    quoted: dict[str, Any] = {
        "bid": bid,
        "ask": ask,
        "last": np.round(fair, 2),
        "volume": random.integers(0, 5000, count),
        "open_interest": random.integers(1, 20000, count),
    }
    return build_chain("SPX", SPOT, as_of, listed, spot_time=as_of, simulated=True, **quoted)


def options(count: int, seed: int = 1) -> dict[str, np.ndarray[Any, Any]]:
    """Columns for the kernels: a day to a year, within 2.8 deviations, volatilities of 8 to 90 %, mostly out of
    the money."""
    random = np.random.default_rng(seed)
    years = random.uniform(1.0 / 365.0, 1.0, count)
    forward = SPOT * np.exp((RATE - DIVIDEND) * years)
    iv = random.uniform(0.08, 0.9, count)
    strike = forward * np.exp(random.uniform(-2.8, 2.8, count) * iv * np.sqrt(years))
    is_call = np.where(random.random(count) < 0.8, strike >= forward, strike < forward)
    rate, spot = np.full(count, RATE), np.full(count, SPOT)
    fair = price(forward, strike, years, rate, iv, is_call)
    return {
        "price": fair, "spot": spot, "forward": forward, "strike": strike, "years": years, "rate": rate,
        "is_call": is_call, "iv": iv,
    }  # fmt: skip


def chain_messages(listed: list[OptionContract], rounds: int) -> bytes:
    """Lines of an option-chain stream with every field the vendor sends, about 850 bytes each."""
    lines = []
    for turn in range(rounds):
        for place, contract in enumerate(listed):
            bid = 2.0 + (place * 7 + turn * 3) % 400 / 100
            lines.append(json.dumps(_message(contract, bid, 1000 + 10 * turn + place % 10), separators=(",", ":")))
    return ("\n".join(lines) + "\n").encode()


def _message(contract: OptionContract, bid: float, volume: int) -> dict[str, Any]:
    kind = "Call" if contract.kind is OptionKind.CALL else "Put"
    return {
        "Delta": "0.48152507", "Theta": "-2.65251343", "Gamma": "0.06267249", "Vega": "0.04217486",
        "ImpliedVolatility": "0.2008", "IntrinsicValue": "0", **dict.fromkeys(_DISPLAYED, "0.4417"),
        "DailyOpenInterest": 4642, "Ask": f"{bid + 0.05:.2f}", "Bid": f"{bid:.2f}", "Mid": f"{bid + 0.025:.3f}",
        "AskSize": 9, "BidSize": 10, "Last": f"{bid + 0.02:.2f}", "Volume": volume, "Side": kind,
        "Strikes": [str(contract.strike)],
        "Legs": [{
            "Symbol": contract.symbol, "Ratio": 1, "StrikePrice": str(contract.strike),
            "Expiration": f"{contract.expiration}T00:00:00Z", "OptionType": kind, "AssetType": "IndexOption",
        }],
    }  # fmt: skip


def worst_iv_error(found: np.ndarray[Any, Any], true: np.ndarray[Any, Any]) -> float:
    """The largest absolute error of some volatilities; NaN counts as infinite."""
    error = np.abs(found - true)
    return float(np.max(np.where(np.isnan(error), math.inf, error)))

"""TradeStation's spelling: which fields are strings, which are numbers, and with how many digits.

Quotes say numbers as strings; chains say sizes, volume and open interest as integers.
NetChangePct is percent in a quote snapshot and a fraction in every stream.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np

from zerogex.pricing.greeks import Greeks, greeks
from zerogex.pricing.implied_vol import implied_volatility
from zerogex.simulator.bars import Bar
from zerogex.simulator.book import Quotes, Trades
from zerogex.simulator.instruments import Instrument, tick_of
from zerogex.simulator.listings import Expiry
from zerogex.simulator.market import Quote
from zerogex.simulator.noise import Floats

Fields = dict[str, Any]
encode = msgspec.json.Encoder().encode
_DAY_YEARS = 1.0 / 365.0


def text(value: float, digits: int = 5) -> str:
    """A price as the broker writes it: no trailing zeros, never an exponent; "0" for nothing."""
    if not math.isfinite(value):
        return "0"
    out = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if out in ("-0", "") else out


def as_float32(value: float) -> float:
    """The same price after a detour through single precision: 425.7 comes back 425.70001."""
    return float(np.float32(value))


def stamp(at: datetime) -> str:
    """UTC, whole seconds, with Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def midnight(day: date) -> str:
    """A date as the broker writes it."""
    return f"{day.isoformat()}T00:00:00Z"


def flags(delayed: bool) -> Fields:
    return {"IsDelayed": delayed, "IsHardToBorrow": False, "IsBats": False, "IsHalted": False}


def quote_fields(name: str, quote: Quote, *, percent: bool, delayed: bool = False) -> Fields:
    """A quote of an underlying under the name it was asked for."""
    change = quote.last - quote.previous_close
    relative = change / quote.previous_close
    return {
        "Symbol": name, "Open": text(quote.open), "High": text(quote.high), "Low": text(quote.low),
        "PreviousClose": text(quote.previous_close), "Last": text(quote.last), "Ask": text(quote.ask),
        "AskSize": str(quote.ask_size), "Bid": text(quote.bid), "BidSize": str(quote.bid_size),
        "NetChange": text(change), "NetChangePct": text(100 * relative, 14) if percent else text(relative, 4),
        "High52Week": text(quote.high_52), "High52WeekTimestamp": midnight(quote.high_52_day),
        "Low52Week": text(quote.low_52), "Low52WeekTimestamp": midnight(quote.low_52_day),
        "Volume": str(quote.volume), "PreviousVolume": str(quote.previous_volume), "Close": text(quote.close),
        "DailyOpenInterest": "0", "Restrictions": [], "TradeTime": stamp(quote.trade_time), "TickSizeTier": "0",
        "MarketFlags": flags(delayed), "LastSize": str(quote.last_size), "LastVenue": quote.venue,
        "VWAP": text(quote.vwap, 12),
    }  # fmt: skip


def option_quote_fields(quotes: Quotes, trades: Trades, row: int, *, percent: bool, delayed: bool = False) -> Fields:
    """A quote of one option (row of `quotes`); what never traded today lacks the fields of a trade."""
    book, at = quotes.book, int(quotes.rows[row])
    previous, traded = float(book.previous[at]), bool(quotes.volume[row] > 0)
    fields: Fields = {
        "Symbol": str(book.listed.names[at]), "PreviousClose": text(previous),
        "Ask": text(quotes.ask[row]), "AskSize": str(int(quotes.ask_size[row])),
        "Bid": text(quotes.bid[row]), "BidSize": str(int(quotes.bid_size[row])),
        "Volume": str(int(quotes.volume[row])), "DailyOpenInterest": str(int(book.held[at])),
        "TickSizeTier": "0", "MarketFlags": flags(delayed),
    }  # fmt: skip
    if traded:
        last = float(trades.last[row])
        relative = (last - previous) / previous
        fields |= {
            "Open": text(trades.open[row]), "High": text(trades.high[row]), "Low": text(trades.low[row]),
            "Last": text(last), "Close": text(last), "NetChange": text(last - previous),
            "NetChangePct": text(100 * relative, 14) if percent else text(relative, 4),
            "TradeTime": stamp(datetime.fromtimestamp(float(trades.last_epoch[row]), UTC)), "LastSize": "1",
            "LastVenue": "OPRA",
        }  # fmt: skip
    return fields


def bar_fields(bar: Bar, *, realtime: bool = False, end_of_history: bool = False) -> Fields:
    """A bar; volumes of ticks are numbers, prices and the total are strings, the stamp is its end."""
    return {
        "High": text(bar.high), "Low": text(bar.low), "Open": text(bar.open), "Close": text(bar.close),
        "TimeStamp": stamp(bar.end), "TotalVolume": str(bar.volume), "DownTicks": bar.ticks - bar.up_ticks,
        "DownVolume": bar.volume - bar.up_volume, "OpenInterest": "0", "IsRealtime": realtime,
        "IsEndOfHistory": end_of_history, "TotalTicks": bar.ticks, "UnchangedTicks": 0, "UnchangedVolume": 0,
        "UpTicks": bar.up_ticks, "UpVolume": bar.up_volume, "Epoch": int(bar.end.timestamp() * 1000),
        "BarStatus": "Closed" if bar.closed else "Open",
    }  # fmt: skip


def expiration_fields(expiry: Expiry, *, with_root: bool, eom_types: bool) -> Fields:
    kind = "Weekly" if expiry.type == "EOM" and not eom_types else expiry.type
    fields = {"Date": midnight(expiry.date), "Type": kind}
    return {**fields, "Root": expiry.root} if with_root else fields


def chain_objects(
    quotes: Quotes, trades: Trades, rate: float, historical_vol: float, greek_fields: bool
) -> list[Fields]:
    """Every row of `quotes` as a whole chain object."""
    rows, names = quotes.rows, quotes.book.listed.names
    listed = quotes.book.listed
    strike, is_call = listed.strike[rows], listed.is_call[rows]
    sums = _model(quotes, rate, historical_vol) if greek_fields else []
    asset = "IndexOption" if quotes.book.options.index else "StockOption"
    out = []
    for i, row in enumerate(rows.tolist()):
        side, level = ("Call" if is_call[i] else "Put"), text(float(strike[i]))
        leg = {"Symbol": names[row], "Ratio": 1, "StrikePrice": level,
               "Expiration": midnight(listed.expiries[int(listed.of[row])].date), "OptionType": side,
               "AssetType": asset}  # fmt: skip
        out.append({**(sums[i] if sums else {}), **_prices(quotes, trades, i), "Side": side, "Strikes": [level],
                    "Legs": [leg]})  # fmt: skip
    return out


def _prices(quotes: Quotes, trades: Trades, i: int) -> Fields:
    at = int(quotes.rows[i])
    bid, ask, previous = float(quotes.bid[i]), float(quotes.ask[i]), float(quotes.book.previous[at])
    fields: Fields = {
        "DailyOpenInterest": int(quotes.book.held[at]), "Ask": text(ask), "Bid": text(bid),
        "Mid": text((bid + ask) / 2), "AskSize": int(quotes.ask_size[i]), "BidSize": int(quotes.bid_size[i]),
    }  # fmt: skip
    if quotes.volume[i] > 0:
        last = float(trades.last[i])
        fields |= {
            "Close": text(last), "High": text(trades.high[i]), "Last": text(last), "Low": text(trades.low[i]),
            "NetChange": text(last - previous), "NetChangePct": text((last - previous) / previous, 4),
            "Open": text(trades.open[i]),
        }  # fmt: skip
    return {**fields, "PreviousClose": text(previous), "Volume": int(quotes.volume[i])}


def _model(quotes: Quotes, rate: float, historical_vol: float) -> list[Fields]:
    """Greeks and probabilities in wire units: IV from the ask, theta at no less than a day, rho and vega per point."""
    listed, fair = quotes.book.listed, quotes.fair
    strike, is_call = listed.strike[quotes.rows], listed.is_call[quotes.rows]
    iv = np.nan_to_num(implied_volatility(quotes.ask, fair.forward, strike, fair.years, rate, is_call).iv)
    own = greeks(fair.spot, fair.forward, strike, fair.years, rate, iv, is_call)
    slow = greeks(fair.spot, fair.forward, strike, np.maximum(fair.years, _DAY_YEARS), rate, iv, is_call)
    past = greeks(fair.spot, fair.forward, strike, fair.years, rate, historical_vol, is_call)
    in_iv = _in_the_money(own, strike, fair.years, rate, is_call)
    in_history = _in_the_money(past, strike, fair.years, rate, is_call)
    intrinsic = np.maximum(np.where(is_call, fair.spot - strike, strike - fair.spot), 0.0)
    width = np.nan_to_num(fair.spot * historical_vol * np.sqrt(fair.years))
    known = iv > 0
    return [
        {
            "Delta": _greek(own.delta[i], known[i]), "Theta": _greek(slow.theta[i] / 365.0, known[i]),
            "Gamma": _greek(own.gamma[i], known[i]), "Rho": _greek(own.rho[i] / 100.0, known[i]),
            "Vega": _greek(own.vega[i] / 100.0, known[i]), "ImpliedVolatility": text(iv[i], 4),
            "IntrinsicValue": text(intrinsic[i], 4), "ExtrinsicValue": text(quotes.ask[i] - intrinsic[i], 4),
            "TheoreticalValue": text(past.price[i], 4), "ProbabilityITM": text(in_history[i], 4),
            "ProbabilityOTM": text(1 - in_history[i], 4), "ProbabilityBE": text(in_history[i] * 0.96, 4),
            "ProbabilityITM_IV": text(in_iv[i], 4), "ProbabilityOTM_IV": text(1 - in_iv[i], 4),
            "ProbabilityBE_IV": text(in_iv[i] * 0.96, 4), "TheoreticalValue_IV": text(own.price[i], 4),
            "StandardDeviation": text(width[i], 4),
        }
        for i in range(len(strike))
    ]  # fmt: skip


def _greek(value: float, known: bool) -> str:
    return f"{value:.8f}" if known and math.isfinite(value) else "0"


def _in_the_money(of: Greeks, strike: Floats, years: Floats, rate: float, is_call: Any) -> Floats:
    """N(±d2), which rho knows: rho = ± K T exp(-rT) N(±d2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.abs(of.rho) / (strike * years * np.exp(-rate * years))
    return np.nan_to_num(np.clip(share, 0.0, 1.0), nan=0.5)


def symbol_fields(one: Instrument) -> Fields:
    """Symbol details of an underlying."""
    return {
        "AssetType": one.kind, "Country": "United States", "Currency": "USD", "Description": one.name,
        "Exchange": one.exchange, "Symbol": one.vendor, "Root": one.vendor,
        "PriceFormat": {"Format": "Decimal", "Decimals": "2", "IncrementStyle": "Simple", "Increment": "0.01",
                        "PointValue": "1"},
        "QuantityFormat": {"Format": "Decimal", "Decimals": "0", "IncrementStyle": "Simple", "Increment": "1",
                           "MinimumTradeQuantity": "1"},
    }  # fmt: skip


def option_symbol_fields(one: Instrument, name: str, expiry: Expiry, strike: float, is_call: bool) -> Fields:
    """Symbol details of an option."""
    assert one.options is not None
    rule = one.options.ticks
    price: Fields = {"Format": "Decimal", "Decimals": "2", "IncrementStyle": "Simple",
                     "Increment": text(tick_of(rule, 0.0)), "PointValue": "100"}  # fmt: skip
    if len(rule) > 1:
        price = {"Format": "Decimal", "Decimals": "2", "IncrementStyle": "Schedule",
                 "IncrementSchedule": [{"StartsAt": text(start), "Increment": text(tick)} for start, tick in rule],
                 "PointValue": "100"}  # fmt: skip
    kind = "Call" if is_call else "Put"
    return {
        "AssetType": "INDEXOPTION" if one.options.index else "STOCKOPTION", "Country": "United States",
        "Currency": "USD", "Description": f"{one.name} [{one.symbol}] {expiry.date:%b %Y} {strike:.3f} {kind}",
        "Exchange": "OPRA", "ExpirationDate": midnight(expiry.date), "OptionType": kind.upper(), "Symbol": name,
        "Root": expiry.root, "StrikePrice": text(strike), "Underlying": one.vendor, "PriceFormat": price,
        "QuantityFormat": {"Format": "Decimal", "Decimals": "0", "IncrementStyle": "Simple", "Increment": "1",
                           "MinimumTradeQuantity": "1"},
    }  # fmt: skip

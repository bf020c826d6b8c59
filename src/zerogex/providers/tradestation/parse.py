"""The vendor's words become our values, or a BadPayload that names the field.  Pure.

Prices carry float32 residue (425.70001), so they are rounded to 4 decimals.  A bar is stamped
with its end; ours with its start.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import msgspec

from zerogex.domain.bar import OptionBar, UnderlyingBar
from zerogex.domain.calendar import session_open, trading_date
from zerogex.domain.contract import OptionContract
from zerogex.domain.quote import OptionQuote, UnderlyingQuote
from zerogex.errors import BadPayload
from zerogex.providers.tradestation import wire
from zerogex.providers.tradestation.symbols import RootFamily

HIGHEST_PRICE = 1e8  # dollars; NUMERIC(12,4) ends here
HIGHEST_COUNT = 1e15
_TICKS = 10_000  # to the dollar
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(minutes=5)  # a stamp further in our future than this is not believed


def bad(field: str, what: str, source: object) -> BadPayload:
    """The error for a field, with an excerpt that is safe to print."""
    excerpt = source[:120] if isinstance(source, bytes) else str(source)[:120].encode()
    text = excerpt.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
    return BadPayload(f"TradeStation: {field} {what} in {text!r}")


def undecodable(error: Exception, line: bytes) -> BadPayload:
    """The error for a line the decoder refused: it knows the path of the field."""
    return bad("the message", f"cannot be read ({error})", line)


def price(value: float | None, field: str, source: object) -> float | None:
    """A price of zero or more, to 4 decimals; None stays None.  NaN, infinite and negative are refused."""
    if value is None:
        return None
    if not 0.0 <= value < HIGHEST_PRICE:
        raise bad(field, f"is {value}, expected a price", source)
    return int(value * _TICKS + 0.5) / _TICKS  # four times as fast as round(value, 4); minus zero becomes zero


def count(value: float | None, field: str, source: object) -> int | None:
    """A whole number of zero or more; None stays None."""
    if value is None:
        return None
    if not 0.0 <= value < HIGHEST_COUNT:
        raise bad(field, f"is {value}, expected a count", source)
    return int(value)


def stamp(text: str | None, field: str, source: object) -> datetime:
    """An ISO-8601 time as UTC; a stamp without a zone is UTC too."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        raise bad(field, f"is {text!r}, expected a time such as 2026-05-11T14:26:00Z", source) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def underlying_quote(quote: wire.Quote, symbol: str, received: datetime) -> UnderlyingQuote:
    """A full quote under our symbol; the last price is required."""
    last = price(quote.last, "Last", quote)
    if not last:
        raise bad("Last", f"is {last}, expected a price", f"the quote of {symbol}")
    return UnderlyingQuote(
        symbol,
        last,
        price(quote.bid, "Bid", quote),
        price(quote.ask, "Ask", quote),
        count(quote.volume, "Volume", quote) or 0,
        _trade_time(quote.trade_time, received),
        received,
        bool(quote.market_flags and quote.market_flags.is_delayed),
    )


def _trade_time(text: str | None, received: datetime) -> datetime:
    """When the last trade was, if the vendor's stamp can be true; otherwise when we heard of it."""
    try:
        traded = stamp(text, "TradeTime", text)
    except BadPayload:
        return received
    return traded if _EARLIEST < traded <= received + _AHEAD else received


def option_quote(quote: wire.Quote, contract: OptionContract, received: datetime) -> OptionQuote:
    """A snapshot of one contract.  Options are stamped on arrival: their TradeTime may be days old."""
    return OptionQuote(
        contract,
        price(quote.bid, "Bid", quote),
        price(quote.ask, "Ask", quote),
        price(quote.last, "Last", quote),
        count(quote.volume, "Volume", quote),
        count(quote.daily_open_interest, "DailyOpenInterest", quote),
        received,
        received,
    )


def underlying_bar(
    bar: wire.Bar, symbol: str, received: datetime, *, unit: str = "Minute", interval: int = 1
) -> UnderlyingBar:
    """A bar under our symbol, labelled by its start."""
    end = stamp(bar.time_stamp, "TimeStamp", bar)
    prices = {name: price(getattr(bar, name), name.capitalize(), bar) for name in ("open", "high", "low", "close")}
    for name, value in prices.items():
        if not value:
            raise bad(name.capitalize(), f"is {value}, expected a price", f"the bar of {symbol} ending {end}")
    opened, high, low, closed = (prices[name] or 0.0 for name in ("open", "high", "low", "close"))
    if not low <= min(opened, closed) <= max(opened, closed) <= high:
        raise bad("High and Low", f"({high}, {low}) do not enclose Open and Close", f"the bar of {symbol} ending {end}")
    total, up, down = (
        count(value, name, bar)
        for name, value in (
            ("TotalVolume", bar.total_volume),
            ("UpVolume", bar.up_volume),
            ("DownVolume", bar.down_volume),
        )
    )
    if up is None and total is not None and down is not None:
        up = max(total - down, 0)
    if down is None and total is not None and up is not None:
        down = max(total - up, 0)
    return UnderlyingBar(
        symbol,
        bar_start(end, unit, interval),
        opened,
        high,
        low,
        closed,
        up or 0,
        down or 0,
        received,
        closed=bar.bar_status.lower() != "open" if bar.bar_status else end <= received,
        realtime=bool(bar.is_realtime),
    )


def option_bar(bar: wire.Bar, contract: OptionContract, received: datetime) -> OptionBar:
    """A one-minute bar of a contract, labelled by its start."""
    whole = underlying_bar(bar, contract.symbol, received)
    volume = count(bar.total_volume, "TotalVolume", bar)
    return OptionBar(
        contract,
        whole.start,
        whole.open,
        whole.high,
        whole.low,
        whole.close,
        whole.up_volume + whole.down_volume if volume is None else volume,
        count(bar.open_interest, "OpenInterest", bar),
        received,
        whole.closed,
    )


def bar_start(end: datetime, unit: str, interval: int = 1) -> datetime:
    """When a bar with this end stamp began; daily and longer bars begin at the session's 09:30 ET."""
    unit = unit.lower()
    if unit == "minute":
        return end - timedelta(minutes=interval)
    day = trading_date(end)
    if unit == "weekly":
        day -= timedelta(days=day.weekday())
    elif unit == "monthly":
        day = day.replace(day=1)
    return session_open(day)


def expirations(answer: wire.Expirations, family: RootFamily) -> list[tuple[str, date]]:
    """(root, date) of every listed expiration; a server that names no root is read by the family's rule."""
    found = []
    for listed in answer.expirations or ():
        day = stamp(listed.date, "Expirations[].Date", listed.date).date()
        guess = family.monthly if (listed.type or "").lower() == "monthly" else family.other
        found.append(((listed.root or guess).upper(), day))
    return found


def strike_texts(answer: wire.Strikes) -> Iterable[str]:
    """The strikes of single options as text, in the answer's order."""
    for spread in answer.strikes or ():
        if len(spread) == 1:
            yield str(spread[0])


def raw_item(reader: msgspec.json.Decoder[wire.T], raw: msgspec.Raw) -> wire.T:
    """One element of an answer, decoded by itself."""
    line = bytes(raw)
    try:
        return wire.decode(reader, line)
    except msgspec.DecodeError as error:
        raise undecodable(error, line) from None

"""TradeStation's JSON as it arrives: only the fields we read, in every spelling seen.

Numbers come as strings in one message and as numbers in the next, so decoders are lax
(`strict=False`): `"2.37"` and `2.37` are the same float.  Null, absent and unknown fields
are all fine here; what a value may be is decided in `parse`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

Number = float | None
Text = str | None


class Frame(msgspec.Struct, gc=False, rename="pascal"):
    """What any line of any stream may be: data, heartbeat, status or error."""

    heartbeat: Number = None
    stream_status: Text = None
    error: Text = None
    message: Text = None
    symbol: Text = None


class Flags(msgspec.Struct, gc=False, rename="pascal"):
    """The flags of a quote we care for."""

    is_delayed: bool | None = None


class Quote(Frame):
    """A quote of anything; in a stream only the changed fields come after the first."""

    last: Number = None
    bid: Number = None
    ask: Number = None
    volume: Number = None
    daily_open_interest: Number = None
    trade_time: Text = None
    market_flags: Flags | None = None


class Bar(Frame):
    """One bar, stamped with its end."""

    open: Number = None
    high: Number = None
    low: Number = None
    close: Number = None
    time_stamp: Text = None
    total_volume: Number = None
    up_volume: Number = None
    down_volume: Number = None
    open_interest: Number = None
    is_realtime: bool | None = None
    bar_status: Text = None


class Leg(msgspec.Struct, gc=False, rename="pascal"):
    """One contract of a spread."""

    symbol: str = ""


class ChainRow(Frame):
    """One spread of a chain stream; with spread type Single, one contract."""

    legs: list[Leg] | None = None
    bid: Number = None
    ask: Number = None
    last: Number = None
    volume: Number = None
    daily_open_interest: Number = None
    implied_volatility: Number = None
    delta: Number = None
    gamma: Number = None
    theta: Number = None
    vega: Number = None


class Refusal(msgspec.Struct, gc=False, rename="pascal"):
    """An error body, or the error members of a body that came with HTTP 200."""

    error: Text = None
    message: Text = None


class SymbolError(Refusal):
    """Why one symbol of many was not answered."""

    symbol: Text = None


class Quotes(Refusal):
    """A quote snapshot; each quote still raw, so that a bad one harms no other."""

    quotes: list[msgspec.Raw] | None = None
    errors: list[SymbolError] | None = None


class Bars(Refusal):
    """Historical bars, each still raw."""

    bars: list[msgspec.Raw] | None = None


class Expiration(msgspec.Struct, gc=False, rename="pascal"):
    """One expiration date; `root` is given by newer servers only."""

    date: str
    type: Text = None
    root: Text = None


class Expirations(Refusal):
    """The listed expirations of an underlying."""

    expirations: list[Expiration] | None = None


class Strikes(Refusal):
    """The listed strikes of one expiration, one inner list a spread."""

    strikes: list[list[str | float]] | None = None


class Grant(msgspec.Struct, gc=False):
    """What the token endpoint answers; `repr` is kept from showing it."""

    access_token: Text = None
    refresh_token: Text = None  # only where the key rotates
    expires_in: Number = None  # seconds
    error: Text = None
    error_description: Text = None

    def __repr__(self) -> str:
        return f"Grant(error={self.error!r})"


T = TypeVar("T")


def decoder(of: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder that takes strings for numbers."""
    return msgspec.json.Decoder(of, strict=False)


QUOTE, BAR, CHAIN_ROW, FRAME = decoder(Quote), decoder(Bar), decoder(ChainRow), decoder(Frame)
QUOTES, BARS, EXPIRATIONS, STRIKES = decoder(Quotes), decoder(Bars), decoder(Expirations), decoder(Strikes)
REFUSAL, GRANT = decoder(Refusal), decoder(Grant)

# Fields a message can do without: a bad value there costs the value, not the message.
DISPENSABLE = ("ImpliedVolatility", "Delta", "Gamma", "Theta", "Vega", "Heartbeat", "MarketFlags", "IsRealtime")


def decode(reader: msgspec.json.Decoder[T], line: bytes) -> T:
    """One object; a dispensable field that makes no sense is dropped.  Raises msgspec.DecodeError."""
    try:
        return reader.decode(line)
    except RecursionError:
        raise msgspec.DecodeError("nested too deep") from None
    except msgspec.ValidationError:
        loose: Any = _anything(line)
        if not isinstance(loose, dict):
            raise
        kept = {name: value for name, value in loose.items() if name not in DISPENSABLE or _is_number(value)}
        return msgspec.convert(kept, reader.type, strict=False)


def _anything(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except RecursionError:
        raise msgspec.DecodeError("nested too deep") from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)

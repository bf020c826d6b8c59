"""What faults do to the objects of a stream before they are sent."""

from __future__ import annotations

from random import Random
from typing import Any

from zerogex.simulator.faults import Faults
from zerogex.simulator.wire import Fields, as_float32, encode, text

_PRICES = ("Open", "High", "Low", "Close", "Last", "Bid", "Ask", "Mid", "PreviousClose")
_CORRUPT_SHARE = 0.05


def disturbed(said: list[tuple[str, Fields]], faults: Faults, random: Random) -> list[tuple[str, Fields]]:
    """Objects repeated and out of order."""
    if faults.duplicate > 0:
        said = [item for item in said for _ in range(1 + faults.duplicate)]
    if faults.reorder > 1:
        out: list[tuple[str, Fields]] = []
        for start in range(0, len(said), faults.reorder):
            window = said[start : start + faults.reorder]
            random.shuffle(window)
            out += window
        return out
    return said


def transformed(fields: Fields, faults: Faults, random: Random) -> bytes:
    """One object as bytes, bent as the switches say."""
    if faults.lower_case and "Symbol" in fields:
        fields = {**fields, "Symbol": fields["Symbol"].lower()}
    if faults.float32_prices:
        fields = float32(fields)
    if faults.crossed and "Ask" in fields and "Bid" in fields and random.random() < faults.crossed:
        fields = {**fields, "Ask": fields["Bid"], "Bid": fields["Ask"]}
    if faults.null_fields and "PreviousClose" not in fields and "Legs" not in fields and "Symbol" in fields:
        fields = {**fields, "Last": None, "Volume": "0"}
    if faults.extra_fields:
        fields = {**fields, "MarketFlagsDisplay": "(D)", "Unheard": {"Of": [1, None, "x"]}}
    if faults.corrupt and random.random() < _CORRUPT_SHARE:
        return corrupted(fields, faults.corrupt, random)
    return encode(fields)


def float32(fields: Fields) -> Fields:
    """Prices after a detour through single precision."""
    bent = {name: text(as_float32(float(fields[name]))) for name in _PRICES if isinstance(fields.get(name), str)}
    return {**fields, **bent}


def corrupted(fields: Fields, kind: str, random: Random) -> bytes:
    """One object made wrong in a given way."""
    price = random.choice([name for name in _PRICES if name in fields] or ["Close"])
    replaced: dict[str, Any] = {
        "nan": "NaN", "infinity": "1e400", "text": "--", "null": None, "negative": "-1.5", "empty": "",
    }  # fmt: skip
    if kind in replaced:
        return encode({**fields, price: replaced[kind]})
    if kind == "missing":
        return encode({name: value for name, value in fields.items() if name not in (price, "Legs", "TimeStamp")})
    if kind == "truncated":
        whole = encode(fields)
        return whole[: random.randrange(1, len(whole))]
    if kind == "deep":
        return b'{"Deep":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    if kind == "huge":
        return encode({**fields, "Padding": "x" * 2_000_000})
    return b"\xff\xfe not json"

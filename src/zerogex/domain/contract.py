"""What is traded: an option contract and the two ways the world writes its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

_TRADESTATION = re.compile(r"^(?P<root>[A-Z][A-Z0-9.]{0,7}) (?P<date>\d{6})(?P<kind>[CP])(?P<strike>\d+(?:\.\d+)?)$")
_OSI = re.compile(r"^(?P<root>[A-Z][A-Z0-9.]{0,7}?) *(?P<date>\d{6})(?P<kind>[CP])(?P<strike>\d{8})$")

UNDERLYING_OF_ROOT = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "XSPW": "XSP", "DJXW": "DJX"}


class OptionKind(StrEnum):
    """Call or put; `sign` removes the branch from every formula."""

    CALL = "C"
    PUT = "P"

    @property
    def sign(self) -> int:
        """+1 for a call, -1 for a put."""
        return 1 if self is OptionKind.CALL else -1


def underlying_of(root: str) -> str:
    """The underlying an option root is written on: SPXW → SPX, AMD1 (adjusted) → AMD, SPY → SPY."""
    return UNDERLYING_OF_ROOT.get(root) or root.rstrip("0123456789") or root


def is_adjusted(root: str) -> bool:
    """Whether the root names contracts with a non-standard deliverable (AMD1): not 100 shares of spot."""
    return root[-1:].isdigit()


@dataclass(frozen=True, slots=True, order=True)
class OptionContract:
    """What is traded; never what it costs."""

    underlying: str
    root: str  # SPX and SPXW share dates and strikes; the root tells them apart
    expiration: date
    strike: Decimal  # dollars; exact, because it is part of the identity
    kind: OptionKind
    multiplier: int = 100  # shares per contract

    @property
    def symbol(self) -> str:
        """The name as TradeStation writes it, which is also our key: `SPY 260221C452.5`."""
        return f"{self.root} {self.expiration:%y%m%d}{self.kind.value}{plain(self.strike)}"


def plain(strike: Decimal) -> str:
    """A strike in the fewest characters: 450, 452.5; never 4.5E+2."""
    text = format(strike, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_symbol(symbol: str) -> OptionContract:
    """Read `SPY 260221C450` (any trailing zeros) or OSI `SPY   260221C00450000`; the case is ignored.

    Raises ValueError naming the text when it is neither.
    """
    text = symbol.strip().upper()
    match = _OSI.match(text) or _TRADESTATION.match(text)  # OSI first: its strike always has eight digits
    try:
        expiration = date.fromisoformat(f"20{match['date'] if match else ''}")
    except ValueError:
        match = None
    if match is None:
        raise ValueError(f"{symbol[:60]!r} is not an option symbol; expected 'SPY 260221C450' or 'SPY260221C00450000'")
    strike = Decimal(plain(Decimal(match["strike"]).scaleb(-3 if match.re is _OSI else 0)))
    root = match["root"]
    return OptionContract(underlying_of(root), root, expiration, strike, OptionKind(match["kind"]))

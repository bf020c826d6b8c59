"""Our names and TradeStation's: SPX and $SPX.X, SPXW and $SPXW.X.

Options are spelled alike on both sides.  Indices differ, and some keep the options of a second
root under a symbol of its own ($SPXW.X), others under the first ($RUT.X lists RUT and RUTW).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

_INDICES = frozenset({"SPX", "NDX", "RUT", "VIX", "XSP", "DJX", "OEX", "XEO", "RVX", "VXN", "IRX", "DJI", "COMPX"})


@dataclass(frozen=True, slots=True)
class RootFamily:
    """One vendor symbol that lists options, and the roots they trade under."""

    vendor: str  # $SPXW.X
    monthly: str  # the root of its monthly expirations, where the answer names none
    other: str  # the root of the rest


_FAMILIES = {
    "SPX": (RootFamily("$SPX.X", "SPX", "SPX"), RootFamily("$SPXW.X", "SPXW", "SPXW")),
    "NDX": (RootFamily("$NDX.X", "NDX", "NDX"), RootFamily("$NDXP.X", "NDXP", "NDXP")),
    "RUT": (RootFamily("$RUT.X", "RUT", "RUTW"),),
    "VIX": (RootFamily("$VIX.X", "VIX", "VIXW"),),
}


def is_index(underlying: str) -> bool:
    """Whether this is a cash index: no shares, no volume, no extended hours."""
    return underlying.upper() in _INDICES


def vendor_symbol(underlying: str) -> str:
    """SPX → $SPX.X; equities and symbols already in the vendor's spelling as they are, upper case."""
    name = underlying.strip().upper()
    return f"${name}.X" if name in _INDICES else name


def our_symbol(vendor: str) -> str:
    """$SPX.X → SPX, whatever its case; equities as they are, upper case."""
    name = vendor.strip().upper()
    if name.startswith("$") and name.endswith(".X") and name[1:-2] in _INDICES:
        return name[1:-2]
    return name


def root_families(underlying: str) -> tuple[RootFamily, ...]:
    """Where the options of an underlying are listed; SPX has two places, SPY one."""
    name = our_symbol(underlying)
    return _FAMILIES.get(name) or (RootFamily(vendor_symbol(name), name, name),)


def listing_symbol(underlying: str, root: str) -> str:
    """The vendor symbol under which a root's strikes and chains are asked for: (SPX, SPXW) → $SPXW.X."""
    families = root_families(underlying)
    for family in families:
        if root in (family.monthly, family.other):
            return family.vendor
    return families[0].vendor


def in_path(*symbols: str) -> str:
    """Symbols as one path segment: percent-encoded, separated by literal commas."""
    return ",".join(quote(symbol, safe="") for symbol in symbols)

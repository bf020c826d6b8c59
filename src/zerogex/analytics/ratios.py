"""Put/call ratios: how many puts there are for each call."""

from __future__ import annotations

from zerogex.domain.exposure import Totals


def put_call_ratio_oi(totals: Totals) -> float | None:
    """Open interest of puts over that of calls, all live contracts of the chain; None without calls."""
    return _ratio(totals.put_open_interest, totals.call_open_interest)


def put_call_ratio_volume(totals: Totals) -> float | None:
    """Today's volume of puts over that of calls, all live contracts of the chain; None without calls."""
    return _ratio(totals.put_volume, totals.call_volume)


def _ratio(puts: int, calls: int) -> float | None:
    return puts / calls if calls > 0 else None

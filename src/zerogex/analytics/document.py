"""An analysis as plain values: the one shape of the command line's JSON, the live row and the HTTP API.

Numbers are floats or ints, times ISO 8601 with Z, dates ISO, and what does not exist is None.
Every key is explained in docs/conventions.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from zerogex.domain.exposure import TOTALS, Analysis, Wall, plain_list


def document(analysis: Analysis) -> dict[str, Any]:
    """Everything but the heat map."""
    headline = analysis.headline_max_pain
    return {
        "underlying": analysis.underlying,
        "spot": plain(analysis.spot),
        "data_timestamp": iso(analysis.data_timestamp),
        "dealer_model": analysis.dealer_model.value,
        "greeks": analysis.greeks,
        "rate": plain(analysis.rate),
        "simulated": analysis.simulated,
        "delayed": analysis.delayed,
        "notes": list(analysis.notes),
        **{name: plain(getattr(analysis.totals, name)) for name in TOTALS},
        "gamma_flip": plain(analysis.flip.price),
        "gamma_flip_status": analysis.flip.status.value,
        "gamma_flip_reason": analysis.flip.reason,
        "flip_crossings": [_plain_dict(asdict(crossing)) for crossing in analysis.flip.crossings],
        "call_wall": _strike(analysis.levels.call_wall),
        "put_wall": _strike(analysis.levels.put_wall),
        "max_gamma_strike": _strike(analysis.levels.max_gamma),
        "levels": _levels(analysis),
        "max_pain": plain(headline.strike) if headline else None,
        "max_pain_by_expiration": [
            {"root": each.root, "expiration": each.expiration.isoformat(), "max_pain": plain(each.strike),
             "payout": plain(each.payout), "open_interest": each.open_interest}
            for each in analysis.max_pain
        ],
        "put_call_ratio_oi": plain(analysis.put_call_ratio_oi),
        "put_call_ratio_volume": plain(analysis.put_call_ratio_volume),
        "expected_move": _plain_dict(asdict(analysis.expected_move)) if analysis.expected_move else None,
        "coverage": _plain_dict(asdict(analysis.coverage)),
        "by_strike": analysis.by_strike.rows(),
        "by_expiration": analysis.by_expiration.rows(),
        "profile": {"spots": plain_list(analysis.profile.spots), "net_gex": plain_list(analysis.profile.net_gex)},
        "forwards": [_plain_dict(asdict(point)) for point in analysis.forwards],
    }  # fmt: skip


def heatmap(analysis: Analysis) -> dict[str, Any]:
    """Net GEX by strike and expiration: `net_gex[expiration][strike]`, None where nothing is listed."""
    cells = analysis.by_cell
    assert cells.strike is not None
    assert cells.expiration is not None
    strikes, column = np.unique(cells.strike, return_inverse=True)
    days, row = np.unique(cells.expiration, return_inverse=True)
    grid = np.full((len(days), len(strikes)), np.nan)
    grid[row, column] = cells.totals["net_gex"]
    return {
        "underlying": analysis.underlying,
        "spot": plain(analysis.spot),
        "data_timestamp": iso(analysis.data_timestamp),
        "strikes": strikes.tolist(),
        "expirations": [day.isoformat() for day in days.tolist()],
        "net_gex": [plain_list(line) for line in grid],
    }


def iso(instant: datetime) -> str:
    """A time as ISO 8601 in UTC with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value JSON knows: no NaN, no infinity, no dates."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value


def _plain_dict(values: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items()}


def _strike(wall: Wall | None) -> float | None:
    return plain(wall.strike) if wall else None


def _levels(analysis: Analysis) -> dict[str, Any]:
    """Every wall with its weight, the variants beside the three headline ones."""
    levels = analysis.levels
    walls = {"call_wall": levels.call_wall, "put_wall": levels.put_wall, "max_gamma": levels.max_gamma}
    return {name: _plain_dict(asdict(wall)) if wall else None for name, wall in {**walls, **levels.variants}.items()}

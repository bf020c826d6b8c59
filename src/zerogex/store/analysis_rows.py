"""An analysis as rows of gex_summary and gex_calculations."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from zerogex import __version__
from zerogex.domain.exposure import TOTALS, Analysis, Wall
from zerogex.store import binary_copy as wire
from zerogex.store.chain_rows import PRICE_MAX

_COUNTS = ("call_open_interest", "put_open_interest", "call_volume", "put_volume")
LAYOUT = wire.Layout(
    {
        "expiration": wire.DATE,
        "strike": wire.FLOAT8,
        **{name: wire.INT8 if name in _COUNTS else wire.FLOAT8 for name in TOTALS},
    }
)


def summary(analysis: Analysis, timestamp: datetime) -> dict[str, Any]:
    """The columns of gex_summary; numbers that are not finite become None."""
    pain, move, coverage = analysis.headline_max_pain, analysis.expected_move, analysis.coverage
    row = {
        "underlying": analysis.underlying,
        "timestamp": timestamp,
        "data_timestamp": analysis.data_timestamp,
        "spot": analysis.spot,
        "dealer_model": str(analysis.dealer_model),
        "greeks": analysis.greeks,
        "rate": analysis.rate,
        "simulated": analysis.simulated,
        "delayed": analysis.delayed,
        **{name: getattr(analysis.totals, name) for name in TOTALS},
        "gamma_flip": analysis.flip.price,
        "gamma_flip_status": str(analysis.flip.status),
        "gamma_flip_reason": analysis.flip.reason,
        "flip_crossings": _json(analysis.flip.crossings),
        **_wall("call_wall", "call_wall", analysis.levels.call_wall),
        **_wall("put_wall", "put_wall", analysis.levels.put_wall),
        **_wall("max_gamma_strike", "max_gamma", analysis.levels.max_gamma),
        "level_variants": _json(analysis.levels.variants),
        "max_pain": pain.strike if pain else None,
        "max_pain_root": pain.root if pain else None,
        "max_pain_expiration": pain.expiration if pain else None,
        "max_pain_payout": pain.payout if pain else None,
        "max_pain_by_expiration": _json(analysis.max_pain),
        "put_call_ratio_oi": analysis.put_call_ratio_oi,
        "put_call_ratio_volume": analysis.put_call_ratio_volume,
        "expected_move": move.sigma if move else None,
        "expected_move_expiration": move.expiration if move else None,
        "expected_move_atm_iv": move.atm_iv if move else None,
        "expected_move_straddle": move.straddle if move else None,
        "expected_move_years": move.years if move else None,
        "contracts": coverage.contracts,
        "contracts_live": coverage.live,
        "contracts_used": coverage.used,
        "open_interest": coverage.open_interest,
        "open_interest_used": coverage.open_interest_used,
        "coverage_pct": coverage.pct,
        "stale_s": coverage.stale_s,
        "spot_age_s": coverage.spot_age_s,
        "excluded_adjusted": coverage.excluded_adjusted,
        "iv_sources": _json(coverage.iv_sources),
        "iv_failures": _json(coverage.iv_failures),
        "forwards": _json(analysis.forwards),
        "notes": _json(analysis.notes),
        "code_version": __version__,
    }
    return {name: _plain(value) for name, value in row.items()}


def cells(analysis: Analysis) -> tuple[bytes, int]:
    """COPY bytes of the strike × expiration table, and how many of its rows cannot be stored."""
    table = analysis.by_cell
    assert table.strike is not None and table.expiration is not None, "by_cell has both keys"
    numbers = [np.asarray(table.totals[name], float) for name in TOTALS]
    fits = (table.strike >= 0) & (table.strike <= PRICE_MAX)
    storable = np.logical_and.reduce([fits, *(np.isfinite(column) for column in numbers)])
    columns = {name: np.asarray(table.totals[name])[storable] for name in TOTALS}
    columns["strike"] = table.strike[storable]
    columns["expiration"] = wire.dates(table.expiration[storable])
    return LAYOUT.encode(columns), int((~storable).sum())


def _wall(strike_name: str, prefix: str, wall: Wall | None) -> dict[str, float | None]:
    return {
        strike_name: wall.strike if wall else None,
        f"{prefix}_gex": wall.gex if wall else None,
        f"{prefix}_share": wall.share if wall else None,
        f"{prefix}_margin": wall.margin if wall else None,
    }


def _json(value: Any) -> str:
    """JSON text; NaN and the infinities become null."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def _plain(value: Any) -> Any:
    """A Python number in place of numpy's, and None in place of what is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""What the API says of a chain itself: cells, smiles, quotes.  Pure functions of a computed analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zerogex.domain.chain import Floats, Ints, OptionChain
from zerogex.domain.exposure import TOTALS, plain_list
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.serving import views
from zerogex.serving.analyses import Answered

MEASURES = TOTALS


def heatmap(answered: Answered, measures: tuple[str, ...] = MEASURES) -> dict[str, Any]:
    """Exposures by strike and expiration: each measure a matrix [expiration][strike], null where nothing is listed."""
    cells = answered.analysis.by_cell
    assert cells.strike is not None
    assert cells.expiration is not None
    strikes, column = np.unique(cells.strike, return_inverse=True)
    days, row = np.unique(cells.expiration, return_inverse=True)
    matrices = {}
    for name in measures:
        grid = np.full((len(days), len(strikes)), np.nan)
        grid[row, column] = cells.totals[name]
        matrices[name] = [plain_list(line) for line in grid]
    return _head(answered) | {
        "by": "expiration",
        "strikes": strikes.tolist(),
        "expirations": [day.isoformat() for day in days.tolist()],
        "measures": list(measures),
        **matrices,
    }


def smile(answered: Answered) -> dict[str, Any]:
    """Implied volatility by strike for each expiration, and the term structure with the forwards it rests on.

    `iv` is the volatility of the out-of-the-money side, the one that means something; `call_iv` and `put_iv`
    are those of the contracts.
    """
    from zerogex.analytics.expected_move import atm_iv  # as late as the analysis itself: see analyses.analysed

    chain = answered.chain
    smiles = []
    for point in answered.analysis.forwards:
        rows = np.flatnonzero((chain.root == point.root) & (chain.expiration == np.datetime64(point.expiration)))
        columns = _smile_columns(chain, rows, point.forward)
        solved = np.isfinite(columns["iv"])
        smiles.append({
            "root": point.root,
            "expiration": point.expiration.isoformat(),
            "years": point.years,
            "forward": point.forward,
            "rate": point.rate,
            "source": point.source,
            "pairs": point.pairs,
            "atm_iv": atm_iv(columns["strikes"][solved], columns["iv"][solved], point.forward),
            **{name: plain_list(column) for name, column in columns.items()},
        })  # fmt: skip
    names = ("root", "expiration", "years", "atm_iv", "forward", "rate", "source", "pairs")
    term = [{name: each[name] for name in names} for each in smiles]
    return _head(answered) | {"term_structure": term, "smiles": smiles}


def _smile_columns(chain: OptionChain, rows: Ints, forward: float) -> dict[str, Any]:
    """Strikes ascending with the volatilities of calls, puts and the out-of-the-money side, and its source."""
    strikes = np.unique(chain.strike[rows])
    place = np.searchsorted(strikes, chain.strike[rows])
    real = chain.iv_source[rows] != IvSource.DEFAULT
    sides: dict[bool, Floats] = {}
    source: dict[bool, Any] = {}
    for is_call in (True, False):
        mine = chain.is_call[rows] == is_call
        sides[is_call] = np.full(len(strikes), np.nan)
        sides[is_call][place[mine]] = np.where(real[mine], chain.iv[rows[mine]], np.nan)
        source[is_call] = np.full(len(strikes), 0, np.int8)
        source[is_call][place[mine]] = chain.iv_source[rows[mine]]
    otm_call = strikes >= forward
    codes = np.where(otm_call, source[True], source[False])
    words = np.array([IvSource(code).label for code in range(len(IvSource))], object)
    return {
        "strikes": strikes,
        "call_iv": sides[True],
        "put_iv": sides[False],
        "iv": np.where(otm_call, sides[True], sides[False]),
        "iv_source": words[codes],
    }


_NUMBERS = ("strike", "bid", "ask", "last", "mid", "volume", "open_interest", "iv", "delta", "gamma", "theta", "vega",
            "forward", "rate", "years")  # fmt: skip


def chain_rows(chain: OptionChain) -> list[dict[str, Any]]:
    """Every contract with its quote, volatility and Greeks, by expiration, root, strike, then call before put."""
    order = np.lexsort((~chain.is_call, chain.strike, chain.root.astype(str), chain.expiration))
    ordered = chain.select(order)
    columns: dict[str, list[Any]] = {
        "option_symbol": ordered.symbol.tolist(),
        "root": ordered.root.tolist(),
        "expiration": [day.isoformat() for day in ordered.expiration.tolist()],
        "option_type": ["C" if call else "P" for call in ordered.is_call.tolist()],
        **{name: plain_list(getattr(ordered, name)) for name in _NUMBERS},
        "iv_source": [IvSource(code).label for code in ordered.iv_source.tolist()],
        "iv_status": [IvStatus(code).label for code in ordered.iv_status.tolist()],
        "event_time": _times(ordered.event_time),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _times(seconds: Floats) -> list[str | None]:
    stamps = np.where(np.isfinite(seconds), seconds * 1e6, 0).astype("int64").astype("datetime64[us]")
    return [f"{stamp}Z" for stamp in np.datetime_as_string(stamps, unit="ms").tolist()]


def selected(answered: Answered) -> OptionChain:
    """The chain, or its chosen expirations."""
    chosen = answered.document.get("expirations")
    chain = answered.chain
    return chain if chosen is None else chain.select(np.isin(chain.expiration, np.array(chosen, "datetime64[D]")))


def quotes(answered: Answered, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Some contracts under the common head."""
    return _head(answered) | {"chain": rows}


def self_contained(body: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that carry of their head what a reader of the file needs: CSV and NDJSON have no other place for it."""
    said = {name: body[name] for name in ("underlying", "spot", "data_timestamp", "simulated")}
    return [row | said for row in rows]


def _head(answered: Answered) -> dict[str, Any]:
    return views.head(answered.document, answered.moment) | views.level_prices(answered.document)

"""Small chains, said in a line: kind, strike, open interest and what else matters."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind, underlying_of
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.pricing.greeks import carry_forward

AS_OF = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)  # 10:00 in New York, a Monday
FRIDAY = date(2026, 1, 9)

ChainMaker = Callable[..., OptionChain]


@pytest.fixture
def make_chain() -> ChainMaker:
    """`make_chain([("C", 100, 500), ("P", 95, 700, {"iv": 0.3, "root": "SPY1"})])`.

    Each row is kind, strike, open interest and optionally root, expiration or any column of the chain.
    """

    def make(rows: list[tuple[Any, ...]], spot: float = 100.0, as_of: datetime = AS_OF, rate: float = 0.04,
             **chain_fields: Any) -> OptionChain:  # fmt: skip
        more = [dict(row[3]) if len(row) > 3 else {} for row in rows]
        contracts = []
        for row, extra in zip(rows, more, strict=True):
            root = extra.pop("root", "SPY")
            day = extra.pop("expiration", FRIDAY)
            contracts.append(OptionContract(underlying_of(root), root, day, Decimal(str(row[1])), OptionKind(row[0])))
        chain = build_chain("SPY", spot, as_of, contracts, open_interest=[row[2] for row in rows], **chain_fields)
        columns = {
            "iv": np.full(len(rows), 0.2),
            "rate": np.full(len(rows), rate),
            "forward": carry_forward(spot, chain.years, rate, 0.01),
            "iv_source": np.full(len(rows), IvSource.MID, np.int8),
            "iv_status": np.full(len(rows), IvStatus.CONVERGED, np.int8),
        }
        for place, extra in enumerate(more):
            for name, value in extra.items():
                column = columns.setdefault(name, getattr(chain, name).copy())
                column[place] = value
        return replace(chain, **columns)

    return make

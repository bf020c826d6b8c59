"""How an analysis is made.  Apart from `analysis`, so that whoever only configures one loads no kernels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from zerogex.domain.exposure import DealerModel


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """What to assume, and how far to look."""

    dealer_model: DealerModel = DealerModel.NAIVE
    greeks: str = "own"  # own: from implied volatility; vendor: the chain's gamma and delta columns
    rate: float | None = None  # per year, continuous; stands in where the chain has none
    dividend: float = 0.0  # yield per year; only where a forward must be made from spot
    include_default_iv: bool = True  # whether IMPLIED_VOLATILITY_DEFAULT rows take part
    expirations: tuple[date, ...] | None = None  # None: all
    profile_points: int = 200
    profile_range: float = 0.15  # of spot, each way; for the profile and the search for the flip

    def __post_init__(self) -> None:
        if self.greeks not in ("own", "vendor"):
            raise ValueError(f"greeks is {self.greeks!r}, expected 'own' or 'vendor'")
        if not 0.0 < self.profile_range < 1.0:
            raise ValueError(f"profile_range is {self.profile_range!r}, expected a share of spot between 0 and 1")
        if self.profile_points < 3:
            raise ValueError(f"profile_points is {self.profile_points!r}, expected 3 or more")


DEFAULTS = AnalysisConfig()

"""What a rule can watch: fields of an analysis."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zerogex.domain.alert import Band


class Unit(StrEnum):
    """What a field is measured in."""

    PRICE = "dollars"
    EXPOSURE = "dollars of hedging per 1 % move"
    RATIO = "puts per call"


@dataclass(frozen=True, slots=True)
class Field:
    """A number of the analysis document that rules may name."""

    name: str  # as in the document
    words: str  # in a sentence
    unit: Unit


FIELDS = {
    field.name: field
    for field in (
        Field("spot", "spot", Unit.PRICE),
        Field("gamma_flip", "the gamma flip", Unit.PRICE),
        Field("call_wall", "the call wall", Unit.PRICE),
        Field("put_wall", "the put wall", Unit.PRICE),
        Field("max_gamma_strike", "the strike of most gamma", Unit.PRICE),
        Field("max_pain", "max pain", Unit.PRICE),
        Field("net_gex", "net GEX", Unit.EXPOSURE),
        Field("call_gex", "call GEX", Unit.EXPOSURE),
        Field("put_gex", "put GEX", Unit.EXPOSURE),
        Field("put_call_ratio_oi", "the put/call ratio by open interest", Unit.RATIO),
        Field("put_call_ratio_volume", "the put/call ratio by volume", Unit.RATIO),
    )
}

# Beyond which a reading has crossed, where a rule does not say: more than the noise of a second.
DEFAULT_BANDS = {Unit.PRICE: Band(0.02, percent=True), Unit.EXPOSURE: Band(2.0, percent=True), Unit.RATIO: Band(0.01)}


def band_base(unit: Unit, threshold: float, gross_gex: float) -> float:
    """What a band's percent is of: the threshold, or gross GEX, because exposures are compared with zero."""
    return abs(gross_gex) if unit is Unit.EXPOSURE else abs(threshold)

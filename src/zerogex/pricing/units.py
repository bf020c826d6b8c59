"""The only place where natural units become the market's.

Kernels say theta per year and vega, rho per 1.00; screens, files and the database say theta per
calendar day, vega per volatility point and rho per 1 % of rate.
"""

from __future__ import annotations

from zerogex.domain.chain import Floats

DAYS_PER_YEAR = 365.0
POINT = 0.01  # one volatility point, and one per cent of a rate


def per_day(per_year: Floats) -> Floats:
    """Theta or charm per calendar day, from per year (365 days)."""
    return per_year / DAYS_PER_YEAR


def per_year(per_calendar_day: Floats) -> Floats:
    """Theta or charm per year (365 days), from per calendar day."""
    return per_calendar_day * DAYS_PER_YEAR


def per_point(per_unit: Floats) -> Floats:
    """Vega or vanna per volatility point (0.01), from per 1.00."""
    return per_unit * POINT


def per_unit(per_volatility_point: Floats) -> Floats:
    """Vega or vanna per 1.00 of volatility, from per volatility point."""
    return per_volatility_point / POINT


def per_percent(per_unit_rate: Floats) -> Floats:
    """Rho per 1 % of rate, from per 1.00."""
    return per_unit_rate * POINT

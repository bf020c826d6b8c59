"""`zerogex greeks` and `zerogex iv`: one option in, price, implied volatility and every Greek out."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any

import typer

from zerogex import settings as table
from zerogex.cli.gex import rate_of
from zerogex.cli.output import Output, emit

DAYS_PER_YEAR = 365.0
LEAST_PRICE, MOST_PRICE = 1e-6, 1e9
LEAST_DAYS, MOST_DAYS = 1e-6, 36_500  # a tenth of a second, a hundred years
MOST_VOLATILITY = 100.0
COLUMNS = ("quantity", "value", "unit")


class Kind(StrEnum):
    """Call or put."""

    CALL = "call"
    PUT = "put"


def _price(value: float) -> float:
    if not LEAST_PRICE <= value <= MOST_PRICE:
        raise typer.BadParameter(
            f"{value:g} is not a price above zero (from {LEAST_PRICE:g} to {MOST_PRICE:g} dollars)"
        )
    return value


def _quote(value: float) -> float:
    if not 0 <= value <= MOST_PRICE:
        raise typer.BadParameter(f"{value:g} is not a price of an option (from 0 to {MOST_PRICE:g} dollars)")
    return value


def _ahead(value: float) -> float:
    if value == 0:
        raise typer.BadParameter("0 days: an option at expiry has a payoff, but no Greeks; an hour is 0.04")
    if not LEAST_DAYS <= value <= MOST_DAYS:
        raise typer.BadParameter(f"{value:g} is not a number of days above zero (up to {MOST_DAYS:,}, 100 years)")
    return value


def _volatility(value: float) -> float:
    if not 0 <= value <= MOST_VOLATILITY:
        raise typer.BadParameter(f"{value:g} is not a volatility from 0 to {MOST_VOLATILITY:g}; 0.20 is 20 %")
    return value


Spot = Annotated[float, typer.Option("--spot", "-s", callback=_price, help="Price of the underlying.")]
Strike = Annotated[float, typer.Option("--strike", "-k", callback=_price, help="Strike.")]
Days = Annotated[
    float, typer.Option("--days", "-d", callback=_ahead, help="Calendar days to settlement; 0.5 is twelve hours.")
]
KindOption = Annotated[Kind, typer.Option("--kind", help="call or put.")]
Rate = Annotated[
    float | None, typer.Option("--rate", parser=rate_of, metavar="RATE", help="0.05 or 5%; else RISK_FREE_RATE.")
]
Dividend = Annotated[
    float | None, typer.Option("--dividend", parser=rate_of, metavar="YIELD", help="0.01 or 1%; else DIVIDEND_YIELD.")
]
Form = Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")]


def greeks(
    spot: Spot = 450.0,
    strike: Strike = 455.0,
    days: Days = 30.0,
    vol: Annotated[
        float, typer.Option("--vol", "-v", callback=_volatility, help="Implied volatility: 0.20 is 20 %.")
    ] = 0.20,
    kind: KindOption = Kind.CALL,
    rate: Rate = None,
    dividend: Dividend = None,
    output: Form = Output.TABLE,
) -> None:
    """Price and Greeks of one option, by Black-Scholes-Merton."""
    settings = table.load().settings
    r = settings.risk_free_rate if rate is None else rate
    q = settings.dividend_yield if dividend is None else dividend
    rows = greek_rows(spot, strike, days / DAYS_PER_YEAR, r, q, vol, is_call=kind is Kind.CALL)
    if not all(math.isfinite(value) for _, value, _ in rows):
        raise typer.BadParameter(
            "these together have no finite Greeks: at a volatility (or time) near zero there is none at the money"
        )
    _emit(rows, output, f"{_inputs(kind, spot, strike, days, r, q)}, volatility {100 * vol:g} %")


def _inputs(kind: Kind, spot: float, strike: float, days: float, rate: float, dividend: float) -> str:
    """What was computed from, given or not."""
    return (
        f"{kind.value.capitalize()}: spot {spot:,.12g}, strike {strike:,.12g}, days {days:,.12g}, "
        f"rate {100 * rate:g} %, dividend {100 * dividend:g} %"
    )


def _emit(rows: list[tuple[str, Any, str]], output: Output, title: str) -> None:
    """Unlike quantities: each to six decimals, not to those of its neighbours."""
    if output is Output.TABLE:
        rows = [(name, f"{value:>13,.6f}" if isinstance(value, float) else value, unit) for name, value, unit in rows]
    emit(COLUMNS, rows, output, title=title)


def greek_rows(
    spot: float, strike: float, years: float, rate: float, dividend: float, vol: float, *, is_call: bool
) -> list[tuple[str, Any, str]]:
    """(quantity, value, unit) in market units."""
    from zerogex.pricing import units
    from zerogex.pricing.greeks import greeks_of_spot

    all_of_them = greeks_of_spot(spot, strike, years, rate, dividend, vol, is_call)
    return [
        ("price", float(all_of_them.price), "dollars per share"),
        ("delta", float(all_of_them.delta), "shares per share"),
        ("gamma", float(all_of_them.gamma), "delta per dollar"),
        ("theta", float(units.per_day(all_of_them.theta)), "dollars per calendar day"),
        ("vega", float(units.per_point(all_of_them.vega)), "dollars per volatility point"),
        ("rho", float(units.per_percent(all_of_them.rho)), "dollars per 1 % of rate"),
        ("vanna", float(units.per_point(all_of_them.vanna)), "delta per volatility point"),
        ("charm", float(units.per_day(all_of_them.charm)), "delta per calendar day"),
        ("vomma", float(units.per_point(units.per_point(all_of_them.vomma))), "vega per volatility point"),
    ]


def iv(
    price: Annotated[float, typer.Option("--price", "-p", callback=_quote, help="Price of the option.")] = 10.0,
    spot: Spot = 450.0,
    strike: Strike = 455.0,
    days: Days = 30.0,
    kind: KindOption = Kind.CALL,
    rate: Rate = None,
    dividend: Dividend = None,
    output: Form = Output.TABLE,
) -> None:
    """Implied volatility of one price, and the Greeks at it.  Exit 1 where there is none."""
    from zerogex.domain.iv import IvStatus
    from zerogex.pricing.greeks import carry_forward
    from zerogex.pricing.implied_vol import IvLimits, implied_volatility

    settings = table.load().settings
    r = settings.risk_free_rate if rate is None else rate
    q = settings.dividend_yield if dividend is None else dividend
    years, is_call = days / DAYS_PER_YEAR, kind is Kind.CALL
    limits = IvLimits(settings.iv_min, settings.iv_max, settings.iv_tolerance, settings.iv_max_iterations)
    solved = implied_volatility(price, carry_forward(spot, years, r, q), strike, years, r, is_call, limits)
    status = IvStatus(int(solved.status))
    found = status is IvStatus.CONVERGED
    rows: list[tuple[str, Any, str]] = [
        ("implied volatility", float(solved.iv) if found else None, "0.20 is 20 % a year"),
        ("status", status.label, ""),
        ("iterations", int(solved.iterations), ""),
    ]
    if found:
        rows += greek_rows(spot, strike, years, r, q, float(solved.iv), is_call=is_call)
    _emit(rows, output, f"{_inputs(kind, spot, strike, days, r, q)}, price {price:,.12g}")
    if not found:
        raise typer.Exit(1)

"""One analysis for a person at a terminal of 80 columns: headline, levels, strikes, expirations, and its limits."""

from __future__ import annotations

import math
import sys
import textwrap
from datetime import date
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zerogex.cli.output import number
from zerogex.domain.calendar import NEW_YORK, trading_date
from zerogex.domain.exposure import Analysis, DealerModel, Wall

WIDTH = 80
TOP_STRIKES, TOP_EXPIRATIONS = 12, 10
ASSUMED = {
    DealerModel.NAIVE: "dealers long calls, short puts",
    DealerModel.SHORT_ALL: "dealers short every option",
    DealerModel.LONG_ALL: "dealers long every option",
    DealerModel.INVERSE: "dealers short calls, long puts",
}
_BAR = 10


def report(analysis: Analysis, source: str) -> None:
    """Print it to stdout."""
    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, highlight=False, width=None if terminal else WIDTH)
    _title(console, analysis, source)
    _headline(console, analysis)
    _levels(console, analysis)
    _strikes(console, analysis)
    _expirations(console, analysis)
    _trust(console, analysis)


def _title(console: Console, analysis: Analysis, source: str) -> None:
    marks = [word for word, so in (("SIMULATED", analysis.simulated), ("DELAYED", analysis.delayed)) if so]
    when = analysis.data_timestamp.astimezone(NEW_YORK)
    line = Text(f"{analysis.underlying} {price(analysis.spot)}", style="bold")
    line.append(f"   {when:%a %Y-%m-%d %H:%M:%S} ET", style="default")
    if marks:
        line.append("   " + " ".join(marks), style="bold yellow")
    console.print(line)
    rate = "" if analysis.rate is None else f" · rate {100 * analysis.rate:g} %"
    assumed = ASSUMED[analysis.dealer_model]
    console.print(f"{source} · {analysis.greeks} Greeks{rate}", style="dim", markup=False)
    console.print(f"Assumed: {assumed}.", style="dim", markup=False)


def _headline(console: Console, analysis: Analysis) -> None:
    totals = analysis.totals

    def known(value: float) -> str:
        return signed(exposure(analysis, value))

    rows: list[tuple[str, str, str]] = [
        ("Net GEX", known(totals.net_gex), "$ of delta per +1 %"),
        ("  calls / puts", f"{known(totals.call_gex)} / {known(totals.put_gex)}", ""),
        ("  per $1", known(totals.gex_shares_per_dollar), "shares per $1"),
        ("  by volume", known(totals.volume_gex), "$ per +1 %, on today's volume"),
        ("Delta exposure", known(totals.dex), "$"),
        ("Vanna exposure", known(totals.vanna_exposure), "$ of delta per +1 volatility point"),
        ("Charm exposure", known(totals.charm_exposure), "$ of delta per calendar day"),
        ("Vega exposure", known(totals.vega_exposure), "$ per +1 volatility point"),
        ("Put/call ratio", f"{ratio(analysis.put_call_ratio_oi)} / {ratio(analysis.put_call_ratio_volume)}",
         "by open interest / by volume"),
    ]  # fmt: skip
    grid = _grid(("", "left"), ("", "right"), ("", "left"))
    for name, value, unit in rows:
        grid.add_row(name, Text(value, style=_tone(value) if name == "Net GEX" else ""), Text(unit, style="dim"))
    console.print()
    console.print(grid)


def _levels(console: Console, analysis: Analysis) -> None:
    grid = _grid(("Level", "left"), ("Price", "right"), ("vs spot", "right"), ("", "left"))
    flip = analysis.flip
    grid.add_row("Gamma flip", price(flip.price), _away(flip.price, analysis.spot), _flip_words(analysis))
    levels = analysis.levels
    for name, wall in (("Call wall", levels.call_wall), ("Put wall", levels.put_wall), ("Max gamma", levels.max_gamma)):
        side = "net" if name == "Max gamma" else "of the side"
        strike = wall.strike if wall else None
        grid.add_row(name, price(strike), _away(strike, analysis.spot), _wall(wall, side))
    if pain := analysis.headline_max_pain:
        words = f"{pain.root} {pain.expiration}"
        grid.add_row("Max pain", price(pain.strike), _away(pain.strike, analysis.spot), words)
    if move := analysis.expected_move:
        straddle = f", straddle {price(move.straddle)}" if move.straddle else ""
        words = f"1 σ to {move.expiration}, IV {100 * move.atm_iv:.1f} %{straddle}"
        grid.add_row("Expected move", f"±{price(move.sigma)}", f"±{100 * move.sigma / analysis.spot:.2f} %", words)
    console.print()
    console.print(grid)
    if flip.reason:
        console.print(f"  Flip: {flip.reason}", style="yellow", markup=False)


def _flip_words(analysis: Analysis) -> str:
    flip = analysis.flip
    others = [crossing.price for crossing in flip.crossings if crossing.price != flip.price]
    if not others:
        return flip.status.value
    listed = ", ".join(price(other) for other in others[:4]) + (" …" if len(others) > 4 else "")
    return f"{flip.status.value}; also {listed}"


def _strikes(console: Console, analysis: Analysis) -> None:
    """The strikes of the largest |net GEX|, from the highest down, spot where it lies between them."""
    table = analysis.by_strike
    if table.strike is None or not len(table):
        return
    net = np.abs(np.nan_to_num(table.totals["net_gex"]))
    top = np.argsort(net)[::-1][:TOP_STRIKES]
    top = top[net[top] > 0]
    if not len(top):
        return
    largest = float(net[top].max())
    grid = _grid(("Strike", "right"), ("Call GEX", "right"), ("Put GEX", "right"), ("Net GEX", "right"),
                 ("", "left"), ("OI C", "right"), ("OI P", "right"))  # fmt: skip
    drawn = False
    for row in sorted(top.tolist(), key=lambda row: -float(table.strike[row])):  # type: ignore[index]
        strike = float(table.strike[row])
        if not drawn and strike < analysis.spot:
            drawn = _spot_line(grid, analysis.spot)
        values = {name: column[row].item() for name, column in table.totals.items()}
        grid.add_row(
            price(strike), signed(values["call_gex"]), signed(values["put_gex"]), signed(values["net_gex"]),
            _bar(values["net_gex"], largest), count(values["call_open_interest"]), count(values["put_open_interest"]),
        )  # fmt: skip
    if not drawn:
        _spot_line(grid, analysis.spot)
    console.print()
    console.print(f"The {len(top)} strikes of the largest net GEX", style="bold", markup=False)
    console.print(grid)


def _spot_line(grid: Table, spot: float) -> bool:
    grid.add_row(Text(price(spot), style="bold cyan"), *[""] * 3, Text("◀ spot", style="bold cyan"), "", "")
    return True


def _expirations(console: Console, analysis: Analysis) -> None:
    table = analysis.by_expiration
    if table.expiration is None or not len(table):
        return
    days: list[date] = table.expiration.tolist()
    today = trading_date(analysis.data_timestamp)
    pains: dict[date, list[str]] = {}
    for each in analysis.max_pain:
        pains.setdefault(each.expiration, []).append(price(each.strike))
    largest = float(np.nanmax(np.abs(table.totals["net_gex"]))) or 1.0
    grid = _grid(("Expires", "left"), ("Days", "right"), ("Net GEX", "right"), ("", "left"), ("OI C", "right"),
                 ("OI P", "right"), ("Max pain", "right"))  # fmt: skip
    for row, day in enumerate(days[:TOP_EXPIRATIONS]):
        values = {name: column[row].item() for name, column in table.totals.items()}
        grid.add_row(
            day.isoformat(), str((day - today).days), signed(values["net_gex"]), _bar(values["net_gex"], largest),
            count(values["call_open_interest"]), count(values["put_open_interest"]), " ".join(pains.get(day, ["-"])),
        )  # fmt: skip
    if len(days) > TOP_EXPIRATIONS:
        rest = sum(float(np.nan_to_num(table.totals["net_gex"][row])) for row in range(TOP_EXPIRATIONS, len(days)))
        grid.add_row(f"{len(days) - TOP_EXPIRATIONS} later", "", signed(rest), *[""] * 4, style="dim")
    console.print()
    console.print(grid)


def _trust(console: Console, analysis: Analysis) -> None:
    covered = analysis.coverage
    sources = ", ".join(f"{name} {number_of:,}" for name, number_of in covered.iv_sources.items()) or "none"
    lines = [
        f"Coverage {covered.pct:.1f} % of open interest: {covered.used:,} of {covered.live:,} live contracts "
        f"({covered.contracts:,} listed); volatility from {sources}."
    ]
    console.print()
    for line in (*lines, *analysis.notes):
        wrapped = textwrap.wrap(line, console.width - 2, initial_indent="• ", subsequent_indent="  ")
        console.print("\n".join(wrapped), style="dim", markup=False)


def _grid(*columns: tuple[str, Any]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim",
                 show_header=any(name for name, _ in columns))  # fmt: skip
    for name, side in columns:
        grid.add_column(name, justify=side, no_wrap=name != "" or side == "right")
    return grid


def _bar(value: float, largest: float) -> Text:
    """A bar of up to ten cells; two colours told apart by every eye, and a direction by sign."""
    length = max(round(_BAR * abs(value) / largest), 1) if value else 0
    return Text(("▬" if value < 0 else "█") * length, style="dark_orange" if value < 0 else "dodger_blue2")


def _tone(value: str) -> str:
    return "bold dark_orange" if value.startswith("-") else "bold dodger_blue2"


def _wall(wall: Wall | None, side: str) -> str:
    return f"{signed(wall.gex)}, {100 * wall.share:.0f} % {side}" if wall else "none"


def _away(level: float | None, spot: float) -> str:
    return f"{100 * (level / spot - 1):+.2f} %" if level else ""


def price(value: float | None) -> str:
    """A price: 4,718.5, 452.25; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".") if value >= 1000 or value == round(value) else text


def signed(value: float | None) -> str:
    """An amount with its sign and magnitude: +1.234 bn."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"+{number(value)}" if value > 0 else number(value)


def exposure(analysis: Analysis, value: float) -> float | None:
    """A sum, None where no contract was left to sum: nought would be a claim."""
    return value if analysis.coverage.live else None


def count(value: float) -> str:
    """Contracts, short: 812, 12,345, 1.2 mn."""
    return f"{value / 1e6:.2f} mn" if value >= 1e6 else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """A put/call ratio."""
    return "-" if value is None else f"{value:.2f}"

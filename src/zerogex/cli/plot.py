"""One picture of an analysis: exposure by strike above, the re-priced profile below.

Blue and orange (Okabe and Ito's) are told apart by every eye and in grey; what matters is said
by position and words as well.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zerogex.cli.gex_report import ASSUMED, exposure, price, signed
from zerogex.domain.calendar import NEW_YORK
from zerogex.domain.chain import Floats
from zerogex.domain.exposure import Analysis
from zerogex.errors import ZerogexError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CALLS, PUTS, NET, SPOT, FLIP = "#0072B2", "#E69F00", "#222222", "#444444", "#CC79A7"
PROFILE_POINTS = 800  # a smooth curve even on an expiration day
_SIZE, _DPI = (12.0, 9.0), 120
_SHARE = 0.97  # of the gross exposure the strike window shows
_NARROWEST, _WIDEST = 0.02, 0.10  # of spot, each way
_LEAST_BARS, _MOST_BARS = 24, 400
_HEADROOM = 0.30  # of the upper panel, for the names of the levels


class PlotFailed(ZerogexError):
    """The picture cannot be written."""

    exit_code = 74


def save(analysis: Analysis, path: Path) -> None:
    """Draw an analysis to a file of any kind matplotlib writes (png, svg, pdf); raises PlotFailed naming the reason."""
    figure = draw(analysis)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a font without a rare letter is no reason to complain
            figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise PlotFailed(f"{path} cannot be written: {reason}") from None


def draw(analysis: Analysis) -> Figure:
    """The figure, without a screen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 2), sharex=True)
    strikes = _window(analysis)
    _by_strike(upper, analysis, strikes)
    _profile(lower, analysis, strikes)
    if len(strikes.price):
        upper.set_xlim(strikes.low, strikes.high)
    _titles(figure, analysis)
    return figure


@dataclass(frozen=True, slots=True)
class _Strikes:
    """The part of the by-strike table that is drawn."""

    price: Floats
    call: Floats
    put: Floats
    net: Floats
    low: float
    high: float
    step: float  # between neighbouring bars


def _window(analysis: Analysis) -> _Strikes:
    """Strikes around spot that hold nearly all exposure, and every level; neighbours merged if too many."""
    table = analysis.by_strike
    strike = table.strike if table.strike is not None else np.zeros(0)
    names = ("call_gex", "put_gex", "net_gex")
    call, put, net = (np.nan_to_num(table.totals[name].astype(float)) for name in names)
    gross = np.abs(call) + np.abs(put)
    away = np.abs(strike / analysis.spot - 1.0)
    order = np.argsort(away)
    reached = np.cumsum(gross[order]) >= _SHARE * gross.sum()
    reach = float(away[order][reached.argmax()]) if gross.sum() > 0 else _NARROWEST
    near = np.sort(away[gross > 0])  # a volatile underlying has few strikes near: show some at any distance
    enough = float(near[min(_LEAST_BARS, len(near)) - 1]) if len(near) else _NARROWEST
    reach = min(max(reach, _NARROWEST), max(_WIDEST, enough))
    levels = [wall.strike for wall in (analysis.levels.call_wall, analysis.levels.put_wall) if wall]
    levels += [analysis.flip.price] if analysis.flip.price else []
    reach = max(reach, *(min(1.05 * abs(level / analysis.spot - 1.0), 0.9) for level in levels), 0.0)
    low, high = analysis.spot * (1 - reach), analysis.spot * (1 + reach)
    inside = (strike >= low) & (strike <= high) & (gross > 0)
    strike, call, put, net = strike[inside], call[inside], put[inside], net[inside]
    if len(strike) > _MOST_BARS:
        width = _round_step((high - low) / _MOST_BARS)
        strike, group = np.unique(np.round(strike / width) * width, return_inverse=True)
        call, put, net = (np.bincount(group, side).astype(float) for side in (call, put, net))
    step = float(np.median(np.diff(strike))) if len(strike) > 1 else 0.01 * analysis.spot
    return _Strikes(strike, call, put, net, low, high, step)


def _round_step(width: float) -> float:
    """The next 1, 2, 5 or 10 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= width))


def _by_strike(axes: Axes, analysis: Analysis, strikes: _Strikes) -> None:
    factor, unit = _scale(strikes.call, strikes.put)
    width = 0.8 * strikes.step
    axes.bar(strikes.price, strikes.call / factor, width, color=CALLS, label="calls", zorder=2)
    axes.bar(strikes.price, strikes.put / factor, width, color=PUTS, label="puts", zorder=2)
    axes.plot(strikes.price, strikes.net / factor, color=NET, linewidth=1.1, label="net", zorder=3)
    axes.set_ylabel(f"GEX by strike, {unit} per +1 %")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + _HEADROOM * (high - low))
    _verticals(axes, analysis, strikes, labels=True)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, ncols=3, borderaxespad=0.2)
    _tidy(axes)


def _profile(axes: Axes, analysis: Analysis, strikes: _Strikes) -> None:
    spots, net = analysis.profile.spots, analysis.profile.net_gex
    inside = (spots >= strikes.low) & (spots <= strikes.high)
    factor, unit = _scale(net[inside] if inside.any() else net)
    axes.axhline(0.0, color=NET, linewidth=0.8)
    axes.plot(spots, net / factor, color=NET, linewidth=1.8, zorder=3)
    axes.fill_between(spots, 0.0, net / factor, where=net >= 0, color=CALLS, alpha=0.25, interpolate=True, linewidth=0)
    axes.fill_between(spots, 0.0, net / factor, where=net <= 0, color=PUTS, alpha=0.35, interpolate=True, linewidth=0)
    for crossing in analysis.flip.crossings:
        headline = crossing.price == analysis.flip.price
        axes.plot([crossing.price], [0.0], marker="o", markersize=9 if headline else 6, color=FLIP, zorder=5,
                  markerfacecolor=FLIP if headline else "white", markeredgewidth=1.6)  # fmt: skip
        if headline or crossing.structural:
            below = crossing.slope > 0  # beside the curve, not on it
            axes.annotate(price(crossing.price), (crossing.price, 0.0), xytext=(8, -14 if below else 8),
                          textcoords="offset points", fontsize=9, color=NET)  # fmt: skip
    if inside.any():
        low, high = float(np.min(net[inside])) / factor, float(np.max(net[inside])) / factor
        room = 0.12 * (high - low or 1.0)
        axes.set_ylim(min(low, 0.0) - room, max(high, 0.0) + room)
    axes.set_ylabel(f"Net GEX re-priced, {unit} per +1 %")
    axes.set_xlabel(f"{analysis.underlying}: strike (above), spot re-priced at unchanged volatility (below)")
    _verticals(axes, analysis, strikes, labels=False)
    _tidy(axes)


def _verticals(axes: Axes, analysis: Analysis, strikes: _Strikes, *, labels: bool) -> None:
    """Spot, flip and walls as lines; their names on steps, so that none covers another."""
    levels = analysis.levels
    marks: list[tuple[float, str, str, Any]] = [(analysis.spot, f"spot {price(analysis.spot)}", SPOT, "-")]
    if analysis.flip.price:
        marks.append((analysis.flip.price, f"flip {price(analysis.flip.price)}", FLIP, "--"))
    if levels.call_wall:
        marks.append((levels.call_wall.strike, f"call wall {price(levels.call_wall.strike)}", CALLS, ":"))
    if levels.put_wall:
        marks.append((levels.put_wall.strike, f"put wall {price(levels.put_wall.strike)}", PUTS, ":"))
    shown = sorted(mark for mark in marks if strikes.low <= mark[0] <= strikes.high)
    for place, (level, words, colour, style) in enumerate(shown):
        axes.axvline(level, color=colour, linestyle=style, linewidth=1.5, zorder=4)
        if labels:
            right = level < 0.5 * (strikes.low + strikes.high)
            axes.annotate(
                words, (level, 0.96 - 0.06 * place), xycoords=("data", "axes fraction"),
                xytext=(4 if right else -4, 0), textcoords="offset points", ha="left" if right else "right",
                fontsize=9, color=NET, zorder=6,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.9},
            )  # fmt: skip


def _tidy(axes: Axes) -> None:
    axes.grid(axis="y", color="#dddddd", linewidth=0.7, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _titles(figure: Figure, analysis: Analysis) -> None:
    when = analysis.data_timestamp.astimezone(NEW_YORK)
    marks = "".join(f" · {word}" for word, so in
                    (("SIMULATED", analysis.simulated), ("delayed", analysis.delayed)) if so)  # fmt: skip
    status = analysis.flip.status.value.replace("_", " ")
    flip = f"flip {price(analysis.flip.price)}" if analysis.flip.price else f"no flip ({status})"
    figure.suptitle(
        f"{analysis.underlying} {price(analysis.spot)} · {when:%a %Y-%m-%d %H:%M} ET{marks}\n"
        f"net GEX {signed(exposure(analysis, analysis.totals.net_gex))} $ per +1 % · {flip}",
        fontsize=14, fontweight="bold",
    )  # fmt: skip
    rate = "" if analysis.rate is None else f", rate {100 * analysis.rate:g} %"
    figure.supxlabel(f"Assumed: {ASSUMED[analysis.dealer_model]}; {analysis.greeks} Greeks{rate}; "
                f"{analysis.coverage.pct:.1f} % of open interest. zerogex", x=0.99, ha="right", fontsize=8,
                color="#666666")  # fmt: skip


def _scale(*columns: Floats) -> tuple[float, str]:
    """A divisor and its name, so that the largest value is a small number."""
    size = max((float(np.nanmax(np.abs(column))) for column in columns if len(column)), default=0.0)
    return next(((limit, name) for limit, name in ((1e9, "$ bn"), (1e6, "$ mn"), (1e3, "$ k")) if size >= limit),
                (1.0, "$"))  # fmt: skip

"""`zerogex gex FILE`: a chain file in, the full analysis out, no database."""

from __future__ import annotations

import csv
import json
import re
import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerogex import settings as table
from zerogex.domain.calendar import NEW_YORK, trading_date
from zerogex.domain.exposure import Analysis, DealerModel
from zerogex.errors import ChainFileError

if TYPE_CHECKING:
    from zerogex.domain.chain import OptionChain
    from zerogex.providers.chain_files import ChainFile
    from zerogex.settings import Settings

STDIN = "-"
END_OF_DAY = "16:15"  # what a bare date of --as-of means: the end of index option trading
_HIGHEST_RATE = 1.0
FEWEST_QUOTED = 0.5  # of the live open interest; with less, the file's own volatilities help out


class Greeks(StrEnum):
    """Whose Greeks the sums rest on."""

    OWN = "own"
    VENDOR = "vendor"


class Form(StrEnum):
    """How the analysis is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def rate_of(text: str) -> float:
    """A yearly rate: a decimal (0.0535) or a percentage (5.35%)."""
    match = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(%?)\s*", text)
    if not match:
        raise typer.BadParameter(f"{text!r} is no rate; write 0.0535 or 5.35%")
    value = float(match[1]) / (100.0 if match[2] else 1.0)
    if abs(value) >= _HIGHEST_RATE:
        advice = "expected less than 100 %, such as 5.35%" if match[2] else f"for {text} percent write {text}%"
        raise typer.BadParameter(f"{text!r} is {100 * value:.0f} % a year; {advice}")
    return value


def instant_of(text: str) -> datetime:
    """A time in ISO form, New York's unless it says otherwise; a bare date is 16:15 there."""
    bare = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip())
    try:
        moment = datetime.fromisoformat(f"{text.strip()}T{END_OF_DAY}" if bare else text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 2024-01-05T15:30 (New York) or 2024-01-05") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)).astimezone(UTC)


def gex(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A chain: Cboe quote table or JSON, TDA JSON, CSV, Parquet; - is stdin."),
    ],
    greeks: Annotated[
        Greeks, typer.Option("--greeks", help="own: from quotes; vendor: as the file has them.")
    ] = Greeks.OWN,
    output: Annotated[Form, typer.Option("-o", "--output", help="csv is the table by strike.")] = Form.TABLE,
    expirations: Annotated[
        str,
        typer.Option("--expirations", help="all, 0dte, next, a number (the first N), or dates: 2024-01-19,2024-02-16."),
    ] = "all",
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", parser=instant_of, metavar="TIME", help="Measure from this time (New York)."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", parser=rate_of, metavar="RATE", help="0.0535 or 5.35%; else RISK_FREE_RATE."),
    ] = None,
    dividend: Annotated[
        float | None,
        typer.Option(
            "--dividend", parser=rate_of, metavar="YIELD", help="Where parity gives no forward; else DIVIDEND_YIELD."
        ),
    ] = None,
    dealer_model: Annotated[
        DealerModel | None, typer.Option("--dealer-model", help="Who is assumed to hold what; else DEALER_MODEL.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="Also draw it.")] = None,
) -> None:
    """Analyse an option chain file, without a database.  Gamma exposure, flip, walls, max pain."""
    settings = table.load().settings
    said = _read(file, as_of)
    chain = select_expirations(said.chain, expirations)
    asked: dict[str, Any] = {
        "greeks": greeks,
        "rate": settings.risk_free_rate if rate is None else rate,
        "dividend": settings.dividend_yield if dividend is None else dividend,
        "dealer_model": dealer_model or settings.dealer_model,
        "notes": said.notes,
    }
    _print(analyse(chain, settings, **asked), said, output)
    if plot is not None:
        from zerogex.cli.plot import PROFILE_POINTS, save

        save(analyse(chain, settings, **asked, profile_points=PROFILE_POINTS), plot)
        typer.echo(f"zerogex: drawn to {plot}", err=True)


def _read(file: str, as_of: datetime | None) -> ChainFile:
    from zerogex.providers.chain_files import read_chain, read_chain_file

    if file == STDIN:
        return read_chain(sys.stdin.buffer.read(), "standard input", as_of)
    return read_chain_file(Path(file), as_of)


def analyse(
    chain: OptionChain,
    settings: Settings,
    *,
    greeks: Greeks,
    rate: float,
    dividend: float,
    dealer_model: DealerModel,
    notes: tuple[str, ...] = (),
    profile_points: int = 200,
) -> Analysis:
    """Enrich and analyse a chain of a file; `notes` of its reading come before those of the analysis.

    Own volatilities are solved from quotes; what has none is left out, and coverage says how much
    that is.  Only a file mostly without quotes is answered from its own volatilities and its last
    trades, and a note says so; a placeholder never stands in.
    """
    from dataclasses import replace

    from zerogex import app
    from zerogex.analytics.analysis import analyze
    from zerogex.analytics.config import AnalysisConfig
    from zerogex.domain.iv import IvSource
    from zerogex.pipeline.enrich import enrich

    own = greeks is Greeks.OWN
    if not own:
        _require_vendor_greeks(chain)
    config = replace(
        app.enrich_config(settings), rate=rate, dividend=dividend, default_iv=None,
        iv_enabled=own, greeks_enabled=own, priority=(IvSource.MID,) if own else (IvSource.API,),
    )  # fmt: skip
    enriched = enrich(chain, config)
    if own and _share_with_iv(enriched.chain) < FEWEST_QUOTED:
        enriched = enrich(chain, replace(config, priority=(IvSource.MID, IvSource.API, IvSource.LAST)))
    asked = AnalysisConfig(
        dealer_model=dealer_model, greeks=greeks.value, rate=rate, dividend=dividend, profile_points=profile_points
    )
    analysis = analyze(enriched.chain, asked, enriched.forwards)
    fallback = _fallback_note(analysis) if own else ()
    return replace(analysis, notes=(*notes, *fallback, *analysis.notes))


def _share_with_iv(chain: OptionChain) -> float:
    """The share of live open interest whose volatility is known, 0…1."""
    import numpy as np

    live = chain.open_interest * chain.is_live
    return float(live[np.isfinite(chain.iv)].sum() / max(live.sum(), 1))


def _require_vendor_greeks(chain: OptionChain) -> None:
    import numpy as np

    if not np.isfinite(chain.gamma).any():
        raise ChainFileError(f"this {chain.underlying} chain has no gamma of its own; use --greeks own")


def _fallback_note(analysis: Analysis) -> tuple[str, ...]:
    """A sentence where much of the volatility did not come from quotes."""
    sources = analysis.coverage.iv_sources
    solved = sum(sources.values())
    other = solved - sources.get("mid", 0)
    if solved == 0 or other < 0.02 * solved:
        return ()
    words = {"api": "from the file's own volatility", "last": "from last trades"}
    parts = [f"{sources[name]:,} {words[name]}" for name in words if sources.get(name)]
    return (f"{other:,} of {solved:,} volatilities are not solved from quotes: {', '.join(parts)}.",)


def select_expirations(chain: OptionChain, words: str) -> OptionChain:
    """The part of a chain `--expirations` names; raises BadParameter, naming what there is, where that is nothing."""
    import numpy as np

    text = words.strip().lower()
    if text in ("", "all"):
        return chain
    live: list[date] = np.unique(chain.expiration[chain.is_live]).tolist()
    listed: list[date] = np.unique(chain.expiration).tolist()
    today = trading_date(chain.as_of)
    first = re.fullmatch(r"(?:first\s*)?(\d+)", text)
    if text == "0dte":
        wanted = [day for day in live if day == today]
    elif text == "next":
        wanted = live[:1]
    elif first and len(first[1]) < 5:
        wanted = live[: int(first[1])]
    else:
        wanted = [day for day in _dates(words) if day in listed]
    if not wanted:
        near = ", ".join(day.isoformat() for day in live[:4]) or "none: every contract has settled"
        raise typer.BadParameter(
            f"no expiration of the chain is {words!r} at {chain.as_of.astimezone(NEW_YORK):%Y-%m-%d %H:%M} ET; "
            f"the next are {near}", param_hint="--expirations",
        )  # fmt: skip
    return chain.select(np.isin(chain.expiration, np.array(wanted, "datetime64[D]")))


def _dates(words: str) -> list[date]:
    try:
        return [date.fromisoformat(word.strip()) for word in words.split(",") if word.strip()]
    except ValueError:
        raise typer.BadParameter(
            f"{words!r} is none of: all, 0dte, next, a number, or dates like 2024-01-19,2024-02-16",
            param_hint="--expirations",
        ) from None


def _print(analysis: Analysis, said: ChainFile, output: Form) -> None:
    if output is Form.TABLE:
        from zerogex.cli.gex_report import report

        report(analysis, said.format)
    elif output is Form.JSON:
        from zerogex.analytics.document import document

        json.dump({**document(analysis), "format": said.format}, sys.stdout, indent=1, allow_nan=False)
        sys.stdout.write("\n")
    else:
        rows = analysis.by_strike.rows()
        names = list(rows[0]) if rows else ["strike", *analysis.by_strike.totals]
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(row.values() for row in rows)
        for note in analysis.notes:
            typer.echo(f"zerogex: {note}", err=True)

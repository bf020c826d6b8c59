"""Reading requests: symbols, options, dates and numbers as TradeStation accepts them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from starlette.requests import Request

from zerogex.domain.contract import OptionContract, parse_symbol
from zerogex.simulator.exchange import Exchange, Refused
from zerogex.simulator.instruments import INSTRUMENTS, Instrument, find, roots_under
from zerogex.simulator.listings import Expiry


@dataclass(frozen=True, slots=True)
class Named:
    """What a symbol in a request means: an underlying, or one of its options."""

    name: str  # as it is answered
    one: Instrument
    contract: OptionContract | None = None


def exchange_of(request: Request) -> Exchange:
    exchange: Exchange = request.app.state.exchange
    return exchange


def parameters(request: Request) -> dict[str, str]:
    """Query parameters by lower-case name."""
    return {name.lower(): value for name, value in request.query_params.items()}


def named(exchange: Exchange, text: str) -> Named | None:
    """The listed thing a symbol means; None for an unknown one."""
    one = find(text)
    if one is not None:
        return Named(text.upper(), one)
    try:
        contract = parse_symbol(text)
    except ValueError:
        return None
    owner = INSTRUMENTS.get(contract.underlying)
    if owner is None or owner.options is None:
        return None
    book, _ = exchange.market.book(owner.symbol, exchange.now())
    if book.listed.find(contract.symbol) is None:
        return None
    return Named(contract.symbol, owner, contract)


def symbols_in(text: str, most: int) -> list[str]:
    """Comma-separated symbols; Refused 400 for none or too many."""
    symbols = [one.strip() for one in text.split(",") if one.strip()]
    if not symbols or len(symbols) > most:
        raise Refused(400, "BadRequest", f"Between 1 and {most} symbols are allowed, not {len(symbols)}")
    return symbols


def underlying(request: Request) -> tuple[str, Instrument]:
    """The optionable underlying in the path: the name it was asked by, and what it is."""
    name = request.path_params["underlying"].upper()
    one = find(name)
    if one is None:
        raise Refused(400, "BadRequest", f"Invalid underlying symbol {name[:40]}")
    return name, one


def listed_under(exchange: Exchange, name: str, one: Instrument) -> list[Expiry]:
    """The expirations listed under a name."""
    roots = roots_under(name, exchange.faults.both_roots)
    return [e for e in exchange.market.expiries(one.symbol, exchange.now()) if e.root in roots]


def expiration(asked: Mapping[str, str], listed: list[Expiry]) -> date | None:
    """The expiration a request means; the next one by default, None where nothing is listed."""
    if asked.get("expiration"):
        return date_in(asked["expiration"], "expiration")
    return listed[0].date if listed else None


def date_in(text: str, what: str) -> date:
    """MM-DD-YYYY, YYYY-MM-DD or a full ISO stamp; Refused 400 for anything else."""
    try:
        if re.fullmatch(r"\d\d?-\d\d?-\d{4}", text):
            month, day, year = map(int, text.split("-"))
            return date(year, month, day)
        return date.fromisoformat(text[:10])
    except ValueError:
        raise Refused(400, "BadRequest", f"{what} {text[:40]!r} is not a date") from None


def instant_in(text: str, what: str, *, end_of_day: bool = False) -> datetime:
    """A date or an ISO instant as UTC; a bare date means its beginning or its end."""
    try:
        if len(text) <= 10:
            at = datetime.combine(date_in(text, what), time(), UTC)
            return at + timedelta(days=1) if end_of_day else at
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        raise Refused(400, "BadRequest", f"{what} {text[:40]!r} is not a date or time") from None


def whole(asked: Mapping[str, str], what: str, default: int, least: int, most: int) -> int:
    """A whole number within limits; Refused 400 otherwise."""
    text = asked.get(what, str(default))
    if not re.fullmatch(r"-?\d{1,9}", text) or not least <= int(text) <= most:
        raise Refused(400, "BadRequest", f"{what} must be a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)


def decimal(asked: Mapping[str, str], what: str, default: float) -> float:
    """A number; Refused 400 otherwise."""
    try:
        return float(asked[what]) if asked.get(what) else default
    except ValueError:
        raise Refused(400, "BadRequest", f"{what} must be a number, not {asked[what][:40]!r}") from None


def choice(asked: Mapping[str, str], what: str, options: tuple[str, ...]) -> str:
    """One of some words, any case, the first by default; Refused 400 otherwise."""
    given = asked.get(what) or options[0]
    for option in options:
        if option.lower() == given.lower():
            return option
    raise Refused(400, "BadRequest", f"{what} must be one of {', '.join(options)}, not {given[:40]!r}")

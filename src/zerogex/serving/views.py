"""What the API says of one analysis: pure functions from the stored document and a moment.

The document is the one `zerogex gex -o json` prints and `analyze` stores; a view is a part of
it under a common head which says how old it is, and what kind of hour and feed it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from zerogex.analytics import staleness
from zerogex.clock import Clock
from zerogex.domain.bar import MinuteBar
from zerogex.domain.calendar import Session, is_session, next_session, session_at, session_open, trading_date

Document = Mapping[str, Any]
BULK = frozenset({"by_strike", "by_expiration", "by_cell", "profile"})  # rows: each has a route of its own
AHEAD_REAL_S = 5.0  # what the clocks of two processes may differ by
LEVEL_NAMES = ("spot", "gamma_flip", "call_wall", "put_wall", "max_gamma_strike", "max_pain")


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, in the market that feeds us, and whether the database can be reached."""

    now: datetime
    session: Session
    next_open: datetime | None  # None while the regular session runs
    simulated: bool
    speed: float  # seconds of market time in a second of wall time
    database: bool
    stale_after_s: float  # in market time

    @classmethod
    def of(cls, clock: Clock, stale_after_s: float, database: bool) -> Moment:
        """Read the clock once, so that one answer speaks of one moment."""
        now = clock.now()
        speed = float(getattr(clock, "speed", 1.0))
        session = session_at(now)
        upcoming = None if session is Session.REGULAR else next_open(now)
        return cls(now, session, upcoming, clock.simulated, speed, database, stale_after_s * max(speed, 1.0))

    def at(self, instant: datetime) -> Moment:
        """The same server looking from a past instant."""
        session = session_at(instant)
        return replace(
            self,
            now=instant,
            session=session,
            next_open=None if session is Session.REGULAR else next_open(instant),
            database=True,
        )


def next_open(now: datetime) -> datetime:
    """The next 09:30 ET of a session after `now`, UTC."""
    day = trading_date(now)
    if is_session(day) and now < session_open(day):
        return session_open(day)
    return session_open(next_session(day))


def age_seconds(document: Document, moment: Moment) -> float | None:
    """Market seconds since the newest quote the document rests on; None where it does not say, or is of the future.

    `data_timestamp` is the instant the chain was valued at; `coverage.stale_s` says how old its
    newest quote was by then.
    """
    stamp = document.get("data_timestamp")
    if not isinstance(stamp, str):
        return None
    before = (document.get("coverage") or {}).get("stale_s") or 0.0
    return _age(datetime.fromisoformat(stamp), moment, before)


def _age(instant: datetime, moment: Moment, before_s: float = 0.0) -> float | None:
    if is_ahead(instant, moment):
        return None
    return round(max((moment.now - instant).total_seconds() + before_s, 0.0), 3)


def is_ahead(instant: datetime, moment: Moment) -> bool:
    """Whether an instant lies in the future of the feed's clock by more than two processes' clocks differ."""
    return (instant - moment.now).total_seconds() > AHEAD_REAL_S * max(moment.speed, 1.0)


def spot_age_seconds(document: Document, moment: Moment) -> float | None:
    """Market seconds since the spot of the document was true; None where it does not say."""
    stamp = document.get("data_timestamp")
    if not isinstance(stamp, str):
        return None
    before = (document.get("coverage") or {}).get("spot_age_s") or 0.0
    return _age(datetime.fromisoformat(stamp), moment, before)


def is_spot_stale(document: Document, moment: Moment) -> bool:
    """Whether the spot was too old for its session when the document was computed: the underlying stalls."""
    age_s, stamp = (document.get("coverage") or {}).get("spot_age_s"), document.get("data_timestamp")
    if not age_s or not isinstance(stamp, str):
        return False
    return staleness.is_spot_stale(age_s, datetime.fromisoformat(stamp), moment.speed)


def state(document: Document, moment: Moment) -> str:
    """One word for how far to trust the numbers as of now: live, delayed, stale, closed, replay or simulated.

    Old data is `closed` outside the regular session, where options do not trade, and `stale`
    inside it, whatever the feed; only fresh data is named after its feed.  Options that go on while
    their underlying stalls are old data, too: the exposures stand at a price that is no longer the
    market's.  Data from the future is `stale` at any hour: a market with another clock made it, and nobody
    feeds it now.  An answer as of a past instant is a `replay`.
    """
    if document.get("as_of"):
        return "replay"
    stamp, age = document.get("data_timestamp"), age_seconds(document, moment)
    if isinstance(stamp, str) and is_ahead(datetime.fromisoformat(stamp), moment):
        return "stale"
    if age is None or age > moment.stale_after_s or is_spot_stale(document, moment):
        return "stale" if moment.session is Session.REGULAR else "closed"
    if document.get("replay"):
        return "replay"
    if document.get("simulated") or moment.simulated:
        return "simulated"
    return "delayed" if document.get("delayed") else "live"


def head(document: Document, moment: Moment) -> dict[str, Any]:
    """What every payload about an analysis begins with."""
    return {
        "underlying": document.get("underlying"),
        "as_of": document.get("as_of"),
        "data_timestamp": document.get("data_timestamp"),
        "computed_at": document.get("computed_at"),
        "code_version": document.get("code_version"),
        **clock_face(document, moment),
        "simulated": bool(document.get("simulated")) or moment.simulated,
        "coverage": document.get("coverage"),
        "spot": document.get("spot"),
        "dealer_model": document.get("dealer_model"),
    }


def seen_from(document: Document, symbol: str, as_of: datetime | None, newest: datetime | None) -> Document:
    """The document a head is made of where rows are answered: the live one, or what was true at a past instant.

    What a past instant cannot know (spot, coverage of the live chain) is left out; `newest` dates the rows.
    """
    if as_of is None:
        return document
    kept = ("computed_at", "code_version", "simulated", "dealer_model")
    said = {name: document.get(name) for name in kept}
    stamp = None if newest is None else newest.isoformat()
    return said | {"underlying": symbol, "as_of": as_of, "data_timestamp": stamp}


def clock_face(document: Document, moment: Moment) -> dict[str, Any]:
    """The part of the head that changes as time passes, data or no data."""
    word = state(document, moment)
    return {
        "market_time": moment.now,
        "clock_speed": moment.speed,
        "age_seconds": age_seconds(document, moment),
        "spot_age_seconds": spot_age_seconds(document, moment),
        "spot_stale": is_spot_stale(document, moment),
        "session": moment.session.value,
        "next_open": moment.next_open,
        "state": word,
        "stale": word == "stale" or not moment.database,
        "database": "up" if moment.database else "down",
    }


def summary(document: Document, moment: Moment) -> dict[str, Any]:
    """Everything but the rows: totals, flip with all crossings, levels, max pain, ratios, expected move."""
    return head(document, moment) | {
        name: value for name, value in document.items() if name not in BULK and name not in ("underlying", "simulated")
    }


def strikes(document: Document, moment: Moment) -> dict[str, Any]:
    """Exposures by strike, all expirations summed, with the levels that are drawn among them."""
    return head(document, moment) | level_prices(document) | {"by_strike": document.get("by_strike", [])}


def expirations(document: Document, moment: Moment) -> dict[str, Any]:
    """Exposures, max pain and forward by expiration."""
    names = ("max_pain_by_expiration", "forwards", "expected_move", "by_expiration")
    return head(document, moment) | {name: document.get(name) for name in names}


def profile(document: Document, moment: Moment) -> dict[str, Any]:
    """Net GEX re-priced at other spots, and every crossing of zero."""
    names = ("gamma_flip_status", "gamma_flip_reason", "flip_crossings", "net_gex", "profile")
    return head(document, moment) | level_prices(document) | {name: document.get(name) for name in names}


def levels(document: Document, moment: Moment) -> dict[str, Any]:
    """The prices a trader draws on the chart, with what makes each one a level."""
    names = ("gamma_flip_status", "gamma_flip_reason", "levels", "expected_move")
    return head(document, moment) | level_prices(document) | {name: document.get(name) for name in names}


def level_prices(document: Document) -> dict[str, Any]:
    """Level names to prices, None where there is none."""
    return {name: document.get(name) for name in LEVEL_NAMES}


def level_row(document: Document, moment: Moment) -> dict[str, Any]:
    """One underlying in the table of all: its levels, totals, and how far to trust them."""
    names = ("gamma_flip_status", "net_gex", "put_call_ratio_oi", "put_call_ratio_volume")
    whole = head(document, moment)
    trust = ("data_timestamp", "computed_at", "age_seconds", "session", "state", "simulated", "coverage")
    return {
        "symbol": whole["underlying"],
        **level_prices(document),
        **{name: document.get(name) for name in names},
        "expected_move": (document.get("expected_move") or {}).get("sigma"),
        **{name: whole[name] for name in trust},
    }


def symbol_row(symbol: str, document: Document | None, moment: Moment) -> dict[str, Any]:
    """One underlying in the list of all, and how far to trust what is known of it."""
    row: dict[str, Any] = {"symbol": symbol, "waiting": document is None}
    if document is None:
        return row
    names = ("data_timestamp", "computed_at", "spot", "net_gex", "gamma_flip", "coverage")
    simulated = bool(document.get("simulated")) or moment.simulated
    return row | clock_face(document, moment) | {name: document.get(name) for name in names} | {"simulated": simulated}


def table_head(known: Sequence[tuple[Document, Moment]], moment: Moment) -> dict[str, Any]:
    """The head of a table of several underlyings: that of the oldest among them, without what is its alone."""
    nothing: tuple[Document, Moment] = ({}, moment)
    oldest, seen = max(known, key=lambda each: age_seconds(*each) or 0.0, default=nothing)
    mine = ("underlying", "spot")
    return {name: value for name, value in head(oldest, seen).items() if name not in mine}


VIEWS: dict[str, Callable[[Document, Moment], dict[str, Any]]] = {
    "summary": summary,
    "strikes": strikes,
    "expirations": expirations,
    "profile": profile,
    "levels": levels,
}


# -- the rows of a body, for tables ------------------------------------------------------------------------------------


def cells(body: Mapping[str, Any], axis: str, key: str) -> list[dict[str, Any]]:
    """A heat map as one row a cell that is listed."""
    measures = body["measures"]
    return [
        {key: label, "strike": strike, **{name: body[name][i][j] for name in measures}}
        for i, label in enumerate(body[axis])
        for j, strike in enumerate(body["strikes"])
        if any(body[name][i][j] is not None for name in measures)
    ]


def smile_rows(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Smiles as one row a strike."""
    shared = ("root", "expiration", "years", "forward", "atm_iv")
    columns = ("strikes", "call_iv", "put_iv", "iv", "iv_source")
    return [
        {name: each[name] for name in shared} | dict(zip(("strike", *columns[1:]), values, strict=True))
        for each in body["smiles"]
        for values in zip(*(each[name] for name in columns), strict=True)
    ]


def _profile_rows(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    curve = body["profile"] or {"spots": [], "net_gex": []}
    return [{"spot": spot, "net_gex": net} for spot, net in zip(curve["spots"], curve["net_gex"], strict=True)]


def _level_rows(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    walls = body.get("levels") or {}
    plain = [{"level": name, "price": body.get(name)} for name in LEVEL_NAMES]
    names = ("gex", "share", "margin")
    weights = {"max_gamma_strike": walls.get("max_gamma")} | walls
    rows = [row | {name: (weights.get(row["level"]) or {}).get(name) for name in names} for row in plain]
    variants = [name for name in walls if name not in ("call_wall", "put_wall", "max_gamma") and walls[name]]
    return rows + [
        {"level": name, "price": walls[name]["strike"], **{n: walls[name].get(n) for n in names}} for name in variants
    ]


ROWS: dict[str, Callable[[Mapping[str, Any]], list[dict[str, Any]]]] = {
    "summary": lambda body: [dict(body)],
    "strikes": lambda body: list(body["by_strike"]),
    "expirations": lambda body: list(body["by_expiration"] or []),
    "profile": _profile_rows,
    "levels": _level_rows,
}


# -- minutes -----------------------------------------------------------------------------------------------------------


def bars(symbol: str, rows: Sequence[MinuteBar], document: Document, moment: Moment) -> dict[str, Any]:
    """Stored minutes under the same head; their own timestamp is the newest minute's start."""
    newest = rows[-1].timestamp if rows else None
    return head(document, moment) | {
        "underlying": symbol,
        "data_timestamp": newest,
        "age_seconds": None if newest is None else _age(newest, moment),
        "bars": [bar_row(bar) for bar in rows],
    }


def bar_row(bar: MinuteBar) -> dict[str, Any]:
    """One stored minute, labelled by its start; volumes cumulative over the trading day."""
    return {name: getattr(bar, name) for name in MinuteBar.__struct_fields__ if name != "symbol"}


def flow(
    symbol: str, kind: str, minutes: int, rows: Sequence[Mapping[str, Any]], document: Document, moment: Moment
) -> dict[str, Any]:
    """Flow of one kind under the common head; its own timestamp is the newest minute's start."""
    newest = newest_of(rows)
    body = head(document, moment) | {"underlying": symbol, "kind": kind, "minutes": minutes, "flow": rows}
    return body if newest is None else body | {"data_timestamp": newest}


def newest_of(rows: Sequence[Mapping[str, Any]]) -> datetime | None:
    """The newest time of rows by minute, or of what traded last."""
    stamps = [row.get("timestamp") or row.get("last_traded") for row in rows]
    return max((stamp for stamp in stamps if stamp is not None), default=None)

"""The switchboard: every unpleasant thing the simulator can do, all off by default.

Set in the configuration (`--fault name=value`) or while it runs (`POST /simulator/faults`); `verbs.py` throws
several of these switches by one word.  Faults that count (`*_after_*`) count for each stream from its opening.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from zerogex.errors import SettingsError

Corruption = Literal["", "nan", "infinity", "text", "null", "negative", "empty", "missing", "truncated", "deep", "huge",
                     "garbage"]  # fmt: skip


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """One field, one fault.  Zero, false and empty mean "does not happen"."""

    # streams: which ones, and how they end
    streams_before: int = 0  # faults of streams concern only those with a smaller number in the ledger (0: all)
    goaway_after_s: float = 0.0  # {"Error":"GoAway"}, then close
    goaway_as_status: bool = False  # …said as {"StreamStatus":"GoAway"}
    dual_logon_after_s: float = 0.0  # {"Symbol","Error":"DualLogon"}, then close
    eof_after_s: float = 0.0  # a clean end without a word
    cut_after_bytes: int = 0  # the connection breaks after this many bytes, in the middle of an object
    empty_200_close: bool = False  # 200, then closed without data
    end_string: bool = False  # the plain text END, then close
    error_string: str = ""  # the plain text "ERROR - …", then close
    # streams: how they live on without living
    stall_after_s: float = 0.0  # silence without end: no data, no heartbeat
    heartbeat_only: bool = False  # heartbeats but no data
    mute: list[str] = msgspec.field(default_factory=list)  # names (symbols, contracts) that fall silent
    frozen_bar: bool = False  # bar streams say their last historical bar again and again
    # streams: how they speak
    rechunk: bool = False  # objects split and joined at random over chunks
    duplicate: int = 0  # every object comes this many times more
    reorder: int = 0  # objects shuffled within windows of this many
    corrupt: Corruption = ""  # one object in twenty is wrong in this way
    blank_lines: bool = False
    crlf: bool = False
    # content
    lower_case: bool = False  # symbols come back in lower case
    float32_prices: bool = False  # 425.70001
    extra_fields: bool = False  # fields nobody documented
    null_fields: bool = False  # quote deltas with null prices and zero volumes
    crossed: float = 0.0  # share of option quotes with bid above ask
    no_root: bool = False  # expirations without Root
    eom_types: bool = False  # month-ends are typed EOM, a word that clients of 2025 do not know
    both_roots: bool = False  # $SPX.X lists SPXW too
    delayed: bool = False  # MarketFlags.IsDelayed
    not_entitled: list[str] = msgspec.field(default_factory=list)  # "FAILED, NOT ENTITLED"
    failing: list[str] = msgspec.field(default_factory=list)  # bare "FAILED" in streams opened while it is set
    bars_error: str = ""  # a 200 with {"Error":"Failed","Message":this}
    # requests
    status: int = 0  # this status …
    status_count: int = 0  # … for so many requests (0: while it is set)
    status_path: str = ""  # … whose path contains this
    status_headers: dict[str, str] = msgspec.field(default_factory=dict)  # on every refused request
    html_errors: bool = False  # bodies of 5xx as a gateway's HTML
    quotas: Literal["generous", "documented"] = "generous"
    quota_period_s: int = 0  # documented quotas, but for windows of so many seconds (0: their own)
    quota_reset: str = ""  # what X-RateLimit-Reset says instead of the truth
    stream_cap: int = 0  # concurrent streams allowed (0: no cap)
    cap_mode: Literal["429", "close"] = "429"  # close: 200, then closed
    latency_s: float = 0.0  # before each answer
    date_skew_s: float = 0.0  # of the Date header
    # sign-in
    token_life_s: float = 1200.0
    token_status: int = 0  # status of /oauth/token
    token_status_count: int = 0
    revoke_tokens: bool = False  # every access token is refused (until a new one is fetched)
    rotate_refresh_token: bool = False  # each refresh returns a new one and kills the old one
    seed: int = 1  # of the random faults


def read_switch(name: str, text: str | None) -> dict[str, Any]:
    """A switch and its value from text: a number, true, false, a word, a list with commas between, `Header: value`s.

    Without text the switch is on.
    """
    now = getattr(Faults(), name, None)
    if text is None:
        return {name: True}
    if isinstance(now, list):
        return {name: text.split(",")}
    if isinstance(now, dict):
        headers = (part.partition(":") for part in text.split(","))
        return {name: {header.strip(): value.strip() for header, _, value in headers}}
    return {name: text}


def changed(faults: Faults, changes: dict[str, Any]) -> Faults:
    """A switchboard with some switches moved; raises SettingsError naming an unknown or mistyped one."""
    unknown = sorted(set(changes) - set(Faults.__struct_fields__))
    if unknown:
        raise SettingsError(f"there is no fault {unknown[0]!r}; there are {', '.join(Faults.__struct_fields__)}")
    try:
        return msgspec.convert({**msgspec.to_builtins(faults), **changes}, Faults, strict=False)
    except msgspec.ValidationError as problem:
        raise SettingsError(f"fault setting is wrong: {problem}") from None

"""Faults by one word each, for the command line and for the control address.

A verb throws one or two switches of the switchboard (`faults.py`).  `--fault goaway=30` and
`POST /simulator/verbs/goaway` with `{"after_s": 30}` say the same; with `"once": true` the control address
limits it to the streams that are open at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zerogex.errors import SettingsError
from zerogex.simulator.faults import Faults, changed, read_switch

_AT_ONCE_S = 1e-6  # "after no time": zero would mean never


@dataclass(frozen=True, slots=True)
class Verb:
    """One word: its arguments (the first is the one the command line gives), each with the switch that it sets."""

    says: str
    example: dict[str, Any]
    arguments: dict[str, str] = field(default_factory=dict)  # argument → switch
    presets: dict[str, Any] = field(default_factory=dict)  # switch → value where no argument sets it
    needs: bool = False  # whether the first argument must be given
    streams: bool = False  # whether it happens to open streams, so that `once` can limit it to them

    @property
    def takes(self) -> list[str]:
        """The names of its arguments."""
        return [*self.arguments, *(["once"] if self.streams else []), "seed"]


VERBS = {
    "status": Verb("requests are answered with this status, the first n of them", {"code": 429, "n": 3,
                   "headers": {"Retry-After": "5"}, "path": "options/strikes"},
                   {"code": "status", "headers": "status_headers", "n": "status_count", "path": "status_path"},
                   needs=True),
    "reset_after": Verb("connections break after so many bytes of a stream", {"bytes": 2000},
                        {"bytes": "cut_after_bytes"}, needs=True, streams=True),
    "mute": Verb("these symbols and contracts fall silent in streams", {"symbols": ["SPY"]}, {"symbols": "mute"},
                 needs=True, streams=True),
    "heartbeat_only": Verb("streams say heartbeats but no data", {}, {}, {"heartbeat_only": True},
                           streams=True),
    "half_open": Verb("streams say nothing more and stay open", {"after_s": 5}, {"after_s": "stall_after_s"},
                      {"stall_after_s": _AT_ONCE_S}, streams=True),
    "goaway": Verb("streams are told to go away, and closed", {"once": True}, {"after_s": "goaway_after_s"},
                   {"goaway_after_s": _AT_ONCE_S}, streams=True),
    "end_string": Verb("streams end with the plain text END", {"once": True}, {}, {"end_string": True},
                       streams=True),
    "error_string": Verb("streams end with the plain text ERROR - …", {"text": "RESET"}, {"text": "error_string"},
                         needs=True, streams=True),
    "empty_200_close": Verb("streams are granted with 200 and closed without a word", {}, {},
                            {"empty_200_close": True}),
    "dup": Verb("every object comes this many times more", {"k": 3}, {"k": "duplicate"}, {"duplicate": 1},
                streams=True),
    "reorder": Verb("objects are shuffled within windows of this many", {"window": 40}, {"window": "reorder"},
                    {"reorder": 40}, streams=True),
    "corrupt": Verb("one object in twenty is wrong in this way", {"kind": "nan"}, {"kind": "corrupt"}, needs=True,
                    streams=True),
    "revoke_token": Verb("every access token given so far is refused", {}, {}, {"revoke_tokens": True}),
    "rotate_token": Verb("each refresh returns a new refresh token and kills the old one", {}, {},
                         {"rotate_refresh_token": True}),
    "cap_streams": Verb("so many streams are granted, the next is refused (mode 429) or closed (mode close)",
                        {"n": 10, "mode": "close"}, {"n": "stream_cap", "mode": "cap_mode"}, needs=True),
    "date_skew": Verb("the Date header is so many seconds ahead", {"s": 5}, {"s": "date_skew_s"}, needs=True),
    "calm": Verb("all faults end", {}),
}  # fmt: skip


def said(faults: Faults, name: str, arguments: Mapping[str, Any], *, next_stream: int = 0) -> Faults:
    """A switchboard after a verb; raises SettingsError for a word or an argument that does not exist, or does not fit.

    `next_stream` is the number the next stream will get: what `once` limits a verb to.
    """
    verb = VERBS.get(name)
    if verb is None:
        raise SettingsError(f"there is no verb {name!r}; there are {', '.join(VERBS)}")
    if unknown := sorted(set(arguments) - set(verb.takes)):
        raise SettingsError(f"the verb {name} has no argument {unknown[0]!r}; it takes {', '.join(verb.takes)}")
    if name == "calm":
        return Faults(seed=arguments.get("seed", faults.seed))
    first = next(iter(verb.arguments), "")
    if verb.needs and first not in arguments:
        raise SettingsError(f"the verb {name} needs {first}, as in {verb.example}")
    if not isinstance(arguments.get("once", False), bool):
        raise SettingsError(f"the verb {name} has once={arguments['once']!r}; expected true or false")
    switches = verb.presets | {verb.arguments[given]: value for given, value in arguments.items()
                               if given in verb.arguments}  # fmt: skip
    for switch in ("stall_after_s", "goaway_after_s"):
        if switch in switches and not switches[switch]:
            switches[switch] = _AT_ONCE_S
    if "seed" in arguments:
        switches["seed"] = arguments["seed"]
    switches["streams_before"] = next_stream if arguments.get("once") else 0
    return changed(faults, switches)


def parse(assignments: Sequence[str], faults: Faults | None = None) -> Faults:
    """`--fault` texts as a switchboard: verbs (`goaway=30`, `heartbeat_only`) and switches (`stream_cap=10`) alike.

    Raises SettingsError naming the text that means nothing.
    """
    faults = faults or Faults()
    for assignment in assignments:
        name, equals, value = (part.strip() for part in assignment.partition("="))
        text = value if equals else None
        if name in Faults.__struct_fields__ and (equals or name not in VERBS):  # some verbs are switches, too
            faults = changed(faults, read_switch(name, text))
            continue
        if name not in VERBS:
            known = ", ".join(dict.fromkeys((*VERBS, *Faults.__struct_fields__)))
            raise SettingsError(f"there is no fault {name!r}; there are {known}")
        verb = VERBS[name]
        first = next(iter(verb.arguments), None)
        if text is not None and first is None:
            raise SettingsError(f"the fault {name} takes no value, but {text!r} is given")
        given = {} if text is None or first is None else {
            first: read_switch(verb.arguments[first], text)[verb.arguments[first]]
        }  # fmt: skip
        faults = said(faults, name, given)
    return faults


def described() -> dict[str, Any]:
    """Every verb with its arguments, meaning and an example, as the control address shows them."""
    return {
        name: {"says": verb.says, "arguments": verb.takes, "example": verb.example}
        for name, verb in VERBS.items()
    }  # fmt: skip

"""Places where a test kills the process, to see that its next start is a recovery.

`ZEROGEX_CRASH_AT=name:n` kills it (SIGKILL: nothing is tidied) when it comes by a place for the n-th time.  Unarmed, a
place costs one comparison.
"""

from __future__ import annotations

import os
import signal

from zerogex.errors import SettingsError

POINTS = (
    "after_read",  # bytes came from a stream
    "after_parse",  # and were understood
    "before_spool",
    "mid_spool_write",
    "after_spool_fsync",
    "before_begin",
    "after_copy",
    "before_commit",
    "after_commit",
    "before_spool_trim",
    "after_trim",
    "token_before_write",
    "token_mid_write",
)
MIGRATION = "migration_step_"  # and the version: after its statements, before its commit

_armed: str | None = None
_left = 0


def arm(text: str) -> None:
    """`name` or `name:n`; an empty text disarms.  Raises SettingsError for a place that does not exist."""
    global _armed, _left
    name, _, times = text.partition(":")
    known = not text or name in POINTS or name.removeprefix(MIGRATION).isdecimal()
    if not known or (times and not (times.isdecimal() and int(times) > 0)):
        raise SettingsError(
            f"ZEROGEX_CRASH_AT is {text!r}; expected a place and how often, as in after_commit:3; "
            f"the places are {', '.join(POINTS)}, {MIGRATION}1 …"
        )
    _armed, _left = name or None, int(times or 1)


def crashpoint(name: str) -> None:
    """Die here, if a test asked for it."""
    global _left
    if name != _armed:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

"""Where the market that `zerogex up` simulates listens, for the other commands of the same ZEROGEX_HOME.

A file says it, and a lock on the file says that it still holds: the kernel drops the lock with the process, however
that ends, so that what a killed `up` left behind is not believed.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

NAME = "simulator.url"
_TRIES, _PAUSE_S = 20, 0.01


@contextmanager
def announce(home: Path, url: str) -> Iterator[None]:
    """Say it while the block lasts; silently not, where the home takes no file or another process has said it."""
    path = home / NAME
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError:
        yield
        return
    with file:
        if not _lock(file):
            yield
            return
        with suppress(OSError):
            file.truncate(0)
            file.write(url)
            file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()


def _lock(file: IO[str]) -> bool:
    """Take the lock; False where another process keeps it, longer than a reader looks."""
    for _ in range(_TRIES):
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_S)
    return False


def simulator(home: Path) -> str | None:
    """The url announced in this home by a process that still runs."""
    try:
        with (home / NAME).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
    return None  # nobody holds it any more

"""The log files of LOG_DIR, read as the journal is where systemd keeps none: last lines, errors, a pattern, what comes.

Lines are those of every engine that writes there, oldest first, rotated files included; `services` are the
commands whose lines are wanted (None: all).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import deque
from collections.abc import Collection, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TextIO

from zerogex.cli.output import human
from zerogex.domain.calendar import NEW_YORK

MAIN, ERRORS = "main_engine.log", "errors.log"
POLL_S = 0.5
_HEAD = ("timestamp", "level", "service", "event")


def rotated(folder: Path, name: str) -> list[Path]:
    """The archived parts of a log, oldest first."""
    parts = [path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdigit()]
    return sorted(parts, key=lambda path: int(path.suffix[1:]), reverse=True)


def last_lines(folder: Path, name: str, services: Collection[str] | None, count: int) -> list[str]:
    """The newest lines as a person reads them."""
    files = [*rotated(folder, name), folder / name]
    kept: deque[str] = deque(maxlen=count)
    for path in reversed(files):  # only as far back as needed
        older = deque(_lines(path, services), maxlen=count - len(kept))
        kept.extendleft(reversed(older))
        if len(kept) == count:
            break
    return [readable(line) for line in kept]


def matches(folder: Path, pattern: re.Pattern[str], day: date) -> Iterator[str]:
    """Lines of a New York day that match, as a person reads them."""
    for path in [*rotated(folder, MAIN), folder / MAIN]:
        if _day_of(path.stat().st_mtime) < day:
            continue
        for line in _lines(path, None):
            text = readable(line)
            if text.startswith(day.isoformat()) and pattern.search(text):
                yield text


def follow(folder: Path, services: Collection[str] | None, count: int) -> Iterator[str]:
    """The last lines, then new ones as they come, for ever; a file that is rotated away is read to its end first."""
    path = folder / MAIN
    file = path.open(encoding="utf-8", errors="replace")
    try:
        lines = file.readlines()
        begun = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        yield from map(readable, deque((line for line in lines if _wanted(line, services)), maxlen=count))
        del lines
        while True:
            begun += file.readline()
            if begun.endswith("\n"):
                if _wanted(begun, services):
                    yield readable(begun)
                begun = ""
            elif _rotated_away(file, path):
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
            else:
                time.sleep(POLL_S)
    finally:
        file.close()


def readable(line: str) -> str:
    """Time in New York, level, service, phrase, fields; other text as it is.  Safe for a terminal."""
    try:
        fields = json.loads(line)
        when = datetime.fromisoformat(fields["timestamp"]).astimezone(NEW_YORK)
        head = f"{when:%Y-%m-%d %H:%M:%S} ET  {fields['level']:<8} {fields.get('service', '-'):<8} {fields['event']}"
    except (ValueError, KeyError, TypeError):
        return human(line.rstrip("\n"))
    rest = {name: value for name, value in fields.items() if name not in _HEAD}
    return human("  ".join([head, *(f"{name}={value}" for name, value in rest.items())]))


def _lines(path: Path, services: Collection[str] | None) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from (line for line in file if _wanted(line, services))
    except FileNotFoundError:  # rotated away meanwhile, or never written
        return


def _wanted(line: str, services: Collection[str] | None) -> bool:
    if services is None:
        return True
    try:
        return json.loads(line).get("service") in services
    except (ValueError, AttributeError):
        return False


def _rotated_away(file: TextIO, path: Path) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _day_of(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, NEW_YORK).date()

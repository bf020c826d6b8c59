"""The one place that configures logging; everything else only asks `logging.getLogger(__name__)`.

On a terminal a line reads `10:31:02 info  minute stored  contracts=412 underlying=SPY`, its times being
New York's; elsewhere it is JSON, in UTC, and the journal is told each line's priority.  With LOG_DIR,
`main_engine.log` gets everything and `errors.log` the errors, rotated.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import structlog

from zerogex.domain.calendar import NEW_YORK
from zerogex.errors import SettingsError
from zerogex.settings import LogFormat, Settings

_ROTATE_BYTES, _ROTATE_KEEP = 20 * 1024 * 1024, 10
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_QUIET = ("httpx2", "httpcore2", "uvicorn", "uvicorn.access", "numba", "matplotlib", "asyncio", "websockets")


def configure(settings: Settings, *, service: str) -> None:
    """Send every logger to stderr (and LOG_DIR); `service` is a field of each line in files."""
    level = logging.getLevelName(settings.log_level.value)
    root = logging.getLogger()
    formatter = _pretty(settings, sys.stderr.isatty())
    if _is_journal(sys.stderr):
        formatter = _Prioritised(formatter)
    root.handlers[:] = [_handler(logging.StreamHandler(sys.stderr), formatter, level)]
    if settings.log_dir:
        try:
            settings.log_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
            root.handlers.append(_handler(_file(settings.log_dir / "main_engine.log"), _json(service), level))
            root.handlers.append(_handler(_file(settings.log_dir / "errors.log"), _json(service), logging.ERROR))
        except OSError as error:
            raise SettingsError(
                f"LOG_DIR is {settings.log_dir}, where no log can be written ({error.strerror})"
            ) from error
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _is_journal(stream: TextIO) -> bool:
    """Whether a stream is systemd's journal, by JOURNAL_STREAM: systemd.exec(5)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Prioritised(logging.Formatter):
    """Another formatter's lines behind the priority that the journal files them under: sd-daemon(3)."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        number = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return f"<{number}>{self._inner.format(record)}"


def _file(path: Path) -> logging.Handler:
    return _SharedFile(path, maxBytes=_ROTATE_BYTES, backupCount=_ROTATE_KEEP, encoding="utf-8")


class _SharedFile(RotatingFileHandler):
    """A rotated file that several engines write: one rotates it, the others notice and go on in the new one.

    Its owner writes it, the owner's group reads it, nobody else sees it.
    """

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_for_the_group)

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Whether this record would make the file, as it is now on the disk, too long."""
        self._follow()
        return bool(super().shouldRollover(record))

    def doRollover(self) -> None:
        """Rotate, unless another engine has done so while we waited for our turn."""
        with Path(f"{self.baseFilename}.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not self._follow():
                super().doRollover()

    def _follow(self) -> bool:
        """Open the file anew where ours has been renamed; whether that was so."""
        if self.stream is None:
            return False
        try:
            if os.path.samestat(Path(self.baseFilename).stat(), os.fstat(self.stream.fileno())):
                return False
        except FileNotFoundError:
            pass
        self.stream.close()
        self.stream = self._open()
        return True


def _for_the_group(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _handler(handler: logging.Handler, formatter: logging.Formatter, level: int) -> logging.Handler:
    handler.setFormatter(formatter)
    handler.setLevel(level)
    return handler


def _pretty(settings: Settings, terminal: bool) -> logging.Formatter:
    if settings.log_format is LogFormat.JSON or (settings.log_format is LogFormat.AUTO and not terminal):
        return _json(None)
    # Plain, because structlog's own choice shows the local variables of each frame, and an API key is one.
    plain = structlog.dev.plain_traceback
    return _formatter(
        _in_new_york,
        structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=28, exception_formatter=plain),
    )


def _json(service: str | None) -> logging.Formatter:
    def add_service(_: Any, __: str, event: Any) -> Any:
        if service:
            event["service"] = service
        return event

    return _formatter(
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_utc,
        add_service,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str),
    )


def _formatter(*processors: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder(), _plain],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
    )


def _plain(_: Any, __: str, event: Any) -> Any:
    """Fields as a person and any JSON reader take them: numpy's scalars as numbers, dates in ISO 8601."""
    for name, value in event.items():
        if isinstance(value, np.generic):
            event[name] = value.item()
        elif isinstance(value, date) and not isinstance(value, datetime):
            event[name] = value.isoformat()
    return event


def _in_utc(_: Any, __: str, event: Any) -> Any:
    return _instants(event, lambda instant: instant.astimezone(UTC).isoformat().replace("+00:00", "Z"))


def _in_new_york(_: Any, __: str, event: Any) -> Any:
    """The line's time and its instants as the exchange's clocks show them."""
    event["timestamp"] = datetime.now(NEW_YORK).strftime("%H:%M:%S")
    return _instants(event, lambda instant: instant.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S ET"))


def _instants(event: Any, shown: Callable[[datetime], str]) -> Any:
    for name, value in event.items():
        if isinstance(value, datetime) and value.tzinfo is not None:
            event[name] = shown(value)
    return event

"""Changing one value of `.env` and nothing else."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from zerogex.errors import SettingsError

_VALUE = r"""(?P<value>'[^']*'|"(?:[^"\\]|\\.)*"|[^\n]*?)(?P<comment>\s+\#[^\n]*)?"""
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,~-]*")


def set_value(path: Path, name: str, value: str) -> None:
    """Set NAME in a file of settings, mode 0600, whole or not at all; every other line stays as it is.

    An active line keeps its place and its comment.  Raises SettingsError where the file cannot be read or written.
    """
    target = path.resolve()  # the file a link leads to, not the link
    try:
        text = target.read_bytes().decode() if target.exists() else ""
        _replace(target, with_value(text, name, value))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{path} cannot be changed ({why}); set {name} there by hand") from None


def with_value(text: str, name: str, value: str) -> str:
    """The text of a file of settings with one value changed, or added at the end."""
    line = f"{name}={quoted(value)}"
    active = list(re.finditer(rf"^(?P<lead>[ \t]*(?:export[ \t]+)?){name}[ \t]*=[ \t]*{_VALUE}[ \t]*\r?$", text, re.M))
    if active:  # of several the last one counts
        found = active[-1]
        ending = "\r" if found.group().endswith("\r") else ""
        fresh = f"{found['lead']}{line}{found['comment'] or ''}{ending}"
        return text[: found.start()] + fresh + text[found.end() :]
    example = re.search(rf"^\#[ \t]*{name}[ \t]*=.*$", text, re.M)
    if example:
        return f"{text[: example.end()]}\n{line}{text[example.end() :]}"
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}\n"


def quoted(value: str) -> str:
    """A value as a file of settings needs it: as it is where nothing in it means anything there."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _replace(target: Path, text: str) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", newline="") as stream:
            if target.exists():  # root's sudo must not take the file from its owner
                with suppress(OSError):
                    os.fchown(stream.fileno(), target.stat().st_uid, target.stat().st_gid)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(target)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise

"""How a command that a person runs by hand starts: its own words on stderr, the log only where something is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from zerogex import logs
from zerogex.cli.process import load_with
from zerogex.settings import Loaded, LogFormat, LogLevel


def quiet(service: str, overrides: Mapping[str, object], *, debug: bool = False) -> Loaded:
    """Settings with options of the command line over them; the log says warnings, or what LOG_LEVEL asks for."""
    loaded = load_with({**overrides, "log_level": "DEBUG" if debug else None})
    changes: dict[str, object] = {}
    if loaded.origins["log_level"] == "default":
        changes["log_level"] = LogLevel.WARNING
    if loaded.origins["log_format"] == "default":
        changes["log_format"] = LogFormat.TEXT
    logs.configure(loaded.settings.model_copy(update=changes), service=service)
    return loaded

"""The lines of a `.env`: what they set, and which of them set nothing."""

from __future__ import annotations

import io
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Original, parse_stream

from zerogex.errors import SettingsError


def read(path: Path, example: str) -> tuple[dict[str, str | None], list[str]]:
    """What the file sets, by name in lower case, and a sentence for each line that sets nothing.

    `example` is a line that would do.  Raises SettingsError for a file that is no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from None
    wrong = [
        # the line itself may hold a secret
        f"line {_number(line.original)} of {path} sets nothing; expected NAME=value (example: {example})"
        for line in parse_stream(io.StringIO(text))
        if line.error or (line.key and line.value is None)
    ]
    if wrong:
        return {line.key.lower(): line.value for line in parse_stream(io.StringIO(text)) if line.key}, wrong
    return {name.lower(): value for name, value in dotenv_values(stream=io.StringIO(text)).items()}, []


def _number(line: Original) -> int:
    """Where a line stands; blank lines before it are counted to it."""
    blank = line.string[: len(line.string) - len(line.string.lstrip())]
    return line.line + blank.count("\n")

"""SQL lives in .sql files, one named statement after another; this reads them.

-- name --
-- One line that says what it answers or does.
-- symbol: what a parameter means; limit: another (for the read queries)
SELECT …
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import LiteralString

_NAME = re.compile(r"^-- ([a-z0-9_]+) --$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement; parameters are bound, never pasted in."""

    name: str
    description: str
    parameters: dict[str, str]  # name → meaning, in order of first use
    text: LiteralString


def parse(source: str) -> dict[str, Statement]:
    """The statements of a file's text, by name.  Raises ValueError on a name given twice."""
    statements: dict[str, Statement] = {}
    parts = _NAME.split(source)[1:]
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in statements:
            raise ValueError(f"the statement {name} is defined twice")
        lines = body.strip().splitlines()
        comments = []
        while lines and lines[0].startswith("--"):
            comments.append(lines.pop(0).removeprefix("--").strip())
        text = "\n".join(lines).strip()
        said = dict(item.strip().split(": ", 1) for line in comments[1:] for item in line.split(";") if ": " in item)
        used = dict.fromkeys(_PARAMETER.findall(text))
        parameters = {parameter: said.get(parameter, "") for parameter in used}
        # the text is ours, read from the package: as literal as if it stood here
        statements[name] = Statement(name, comments[0] if comments else "", parameters, text)
    return statements


@cache
def statements(file: str) -> dict[str, Statement]:
    """The statements of one of the package's files."""
    return parse((files("zerogex.store") / file).read_text(encoding="utf-8"))


def statement(name: str) -> LiteralString:
    """The text of one of the store's own statements."""
    return statements("statements.sql")[name].text


def queries() -> dict[str, Statement]:
    """The named read queries that people may ask, by name."""
    return statements("queries.sql")


def api_queries() -> dict[str, Statement]:
    """The named read queries that only the HTTP API asks, by name."""
    return statements("api_queries.sql")

"""What JSON Schema cannot say of a valid request, for the fuzzer: times that are known, past, and in order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import schemathesis

YEARS = range(1971, 2026)  # before the served market's now


def into_the_past(text: Any) -> Any:
    """The same time of a year before now; what is no time stays as it is."""
    try:
        year = int(text[:4])
        date.fromisoformat(text[:10])
    except (TypeError, ValueError):
        return text
    if year in YEARS:
        return text
    leap = 1972 if text[4:10] == "-02-29" else 1971 + year % len(YEARS)
    return f"{leap}{text[4:]}"


def moment(text: Any) -> datetime | None:
    """The instant a text names."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Bring the times of a query into the past and into order."""
    if not query:
        return query
    query = query | {name: into_the_past(query[name]) for name in ("as_of", "start", "end", "day") if name in query}
    start = moment(query.get("start"))
    for name in ("end", "as_of"):
        limit = moment(query.get(name))
        if start is not None and limit is not None and start > limit:
            query["start"], start = query[name], limit
    return query

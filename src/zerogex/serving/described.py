"""What OpenAPI says of answers: the common head in full, the rows by name, an example request that works."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from zerogex.serving.tables import MEDIA_TYPES

Schema = dict[str, Any]
PROBLEM: Schema = {
    "description": "RFC 9457 problem document",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def _maybe(kind: str, says: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], "description": says, **more}


HEAD: Schema = {
    "type": "object",
    "description": "How far to trust what stands beside it",
    "required": ["data_timestamp", "computed_at", "age_seconds", "session", "state", "stale", "database", "simulated",
                 "coverage", "market_time", "next_open"],
    "properties": {
        "underlying": _maybe("string", "the symbol"),
        "as_of": _maybe("string", "the past instant asked for", format="date-time"),
        "data_timestamp": _maybe("string", "the instant the numbers are true at", format="date-time"),
        "computed_at": _maybe("string", "when they were computed, by the clock of the feed", format="date-time"),
        "code_version": _maybe("string", "by which program"),
        "market_time": {"type": "string", "format": "date-time", "description": "now, by the clock of the feed"},
        "clock_speed": {"type": "number", "description": "seconds of market time in a second"},
        "age_seconds": _maybe("number", "market seconds since the newest quote the numbers rest on", minimum=0),
        "spot_age_seconds": _maybe("number", "market seconds since the spot was true", minimum=0),
        "spot_stale": {"type": "boolean", "description": "the underlying stalls: these were made at an old price"},
        "session": {"enum": ["pre", "regular", "post", "closed"]},
        "next_open": _maybe("string", "the next 09:30 New York, null while open", format="date-time"),
        "state": {"enum": ["live", "delayed", "stale", "closed", "replay", "simulated"]},
        "stale": {"type": "boolean"},
        "database": {"enum": ["up", "down"]},
        "simulated": {"type": "boolean", "description": "the market is invented"},
        "coverage": _maybe("object", "how many contracts and how much open interest the numbers rest on"),
        "spot": _maybe("number", "price of the underlying"),
        "dealer_model": {"enum": ["naive", "short_all", "long_all", "inverse", None]},
    },
}  # fmt: skip
PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "hint"],
    "properties": {
        "type": {"type": "string", "description": "urn:zerogex:problem: and the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is so"},
        "code": {"type": "string", "description": "for programs"},
        "hint": {"type": "string", "description": "what to do"},
        "instance": {"type": "string"},
    },
}
_ROWS: Schema = {"type": "array", "items": {"type": "object"}}
_GRID: Schema = {"type": "array", "items": {"type": "array", "items": {"type": ["number", "null"]}}}
_CURSOR: Schema = _maybe("string", "give it back as `cursor` for the next page")
_BODIES: dict[str, Schema] = {
    "summary": {"net_gex": {"type": "number"}, "gamma_flip": {"type": ["number", "null"]}},
    "symbols": {"symbols": _ROWS},
    "strikes": {"by_strike": _ROWS},
    "expirations": {"by_expiration": {"type": ["array", "null"], "items": {"type": "object"}}},
    "profile": {"profile": {"type": ["object", "null"]}, "flip_crossings": {"type": ["array", "null"]}},
    "levels": {"levels": {"type": ["object", "array", "null"]}},
    "heatmap": {"by": {"enum": ["expiration", "time"]}, "strikes": {"type": "array", "items": {"type": "number"}},
                "measures": {"type": "array", "items": {"type": "string"}}},
    "smile": {"smiles": _ROWS, "term_structure": _ROWS},
    "chain": {"chain": _ROWS, "next_cursor": _CURSOR},
    "bars": {"bars": _ROWS},
    "history": {"history": _ROWS, "next_cursor": _CURSOR},
    "quality": {"gaps": _ROWS, "lag": _ROWS, "findings": _ROWS},
    "alerts": {"alerting": {"enum": ["off", "ok", "failing"]}, "channels": _ROWS, "rules": _ROWS, "alerts": _ROWS},
    "flow": {"flow": _ROWS, "minutes": {"type": "integer"}},
}  # fmt: skip
EXAMPLES = {
    "summary": "SPY/summary",
    "strikes": "SPY/strikes?expirations=0dte",
    "expirations": "SPY/expirations?format=csv",
    "profile": "SPY/profile?dealer_model=inverse",
    "levels": "SPY/levels",
    "heatmap": "SPY/heatmap?by=time&measures=net_gex&resolution=15m",
    "smile": "SPY/smile?format=parquet",
    "chain": "SPY/chain?expirations=next&limit=100",
    "bars": "SPY/bars?limit=30&format=arrow",
    "history": "SPY/history?resolution=1h&format=ndjson",
    "quality": "SPY/quality",
    "alerts": "alerts?limit=10",
    "flow": "SPY/flow/strike?minutes=30",
}


def answers(body: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that gives rows: JSON under the common head, or a table."""
    own = _BODIES[body]
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Head"},
            {"type": "object", "required": list(own), "properties": own},
        ]
    }
    tables = [kind.partition(";")[0] for kind in MEDIA_TYPES.values()]
    content: dict[str, Schema] = {kind: {"schema": {"type": "string"}} for kind in tables}
    content["application/json"] = {"schema": schema}
    return {200: {"description": "JSON; or the rows in another format", "content": content}}


def options(body: str) -> dict[str, Any]:
    """What a route of this body tells OpenAPI."""
    return {"responses": answers(body), "openapi_extra": {"x-example": f"/api/v1/{EXAMPLES[body]}"}}


def install(app: FastAPI) -> None:
    """Let the application's OpenAPI document name the schemas used here, and the ways to send a key."""
    made = app.openapi

    def whole() -> dict[str, Any]:
        document = made()
        parts = document.setdefault("components", {})
        parts.setdefault("schemas", {}).update({"Head": HEAD, "Problem": PROBLEM_SCHEMA})
        parts["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "an API key; not needed on loopback"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{}, {"bearer": []}, {"header": []}]
        return document

    app.openapi = whole  # type: ignore[method-assign]

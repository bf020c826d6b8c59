"""What a route's own signature says of its parameters, told to whoever asks otherwise."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic.fields import FieldInfo

from zerogex.serving.access import OPEN_PATHS
from zerogex.serving.problems import Problem

_SHOWN = 60  # characters of what came


async def only_known(request: Request) -> None:
    """Refuse a parameter that the route does not have, or that came twice: the answer would be to another question.

    Raises Problem 422.
    """
    if request.url.path in OPEN_PATHS:  # a load balancer may add what it likes to its question
        return
    known = _parameters(request)
    for name in dict.fromkeys(request.query_params):
        if name not in known:
            expected = ", ".join(sorted(known)) or "none"
            detail = f"{name[:_SHOWN]!r} is no parameter of {request.url.path[:200]}: expected {expected}."
            near = get_close_matches(name[:_SHOWN], known, 1)
            hint = f"Did you mean {near[0]}?" if near else "Leave it out; docs/api.md says what each parameter is."
            raise Problem(422, "invalid_parameter", detail, hint)
        values = request.query_params.getlist(name)
        if len(values) > 1:
            detail = f"{name} came {len(values)} times: expected once."
            raise Problem(422, "invalid_parameter", detail, _hint(name, known))


def install(app: FastAPI) -> None:
    """Let a value that does not fit leave as a problem document."""
    app.add_exception_handler(RequestValidationError, _invalid)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    known = _parameters(request)
    faults = [
        {"where": ".".join(map(str, fault["loc"])), "what": _sentence(fault, known)} for fault in error.errors()[:20]
    ]
    names = dict.fromkeys(fault["where"].split(".")[1] for fault in faults)
    hint = " ".join(_hint(name, known) for name in list(names)[:5])
    detail = " ".join(fault["what"] for fault in faults[:5])
    return Problem(422, "invalid_parameter", detail, hint, faults=faults).response(request)


def _parameters(request: Request) -> dict[str, FieldInfo]:
    """The query parameters of the route that was asked, by name."""
    return _of(request.scope["route"].dependant)


def _of(dependant: Dependant) -> dict[str, FieldInfo]:
    found = {field.alias: field.field_info for field in dependant.query_params}
    for part in dependant.dependencies:
        found |= _of(part)
    return found


def _sentence(fault: dict[str, Any], known: dict[str, FieldInfo]) -> str:
    """The parameter, what came, what was expected."""
    name, came = str(fault["loc"][1]), repr(fault["input"])
    if len(came) > _SHOWN:
        came = f"{came[:_SHOWN]}…"
    return f"{name} is {came}: expected {_expected(fault, known.get(name))}."


def _expected(fault: dict[str, Any], field: FieldInfo | None) -> str:
    kind, limits = fault["type"], fault.get("ctx", {})
    if field is not None and (kind.startswith("int_") or kind in ("greater_than_equal", "less_than_equal")):
        least, most = (
            next((getattr(bound, side) for bound in field.metadata if hasattr(bound, side)), None)
            for side in ("ge", "le")
        )
        return f"a whole number from {least} to {most}"
    if field is not None and kind == "string_pattern_mismatch":
        return str(field.description)
    if kind == "string_too_long":
        return f"at most {limits['max_length']} characters"
    if kind == "value_error":
        return str(limits["error"])
    text: str = fault["msg"]
    return text.removeprefix("Input should be ")


def _hint(name: str, known: dict[str, FieldInfo]) -> str:
    """What a parameter means, with an example where there is one."""
    field = known.get(name)
    if field is None:
        return "docs/api.md says what each parameter is."
    example = f" (for example {name}={field.examples[0]})" if field.examples else ""
    return f"{name}: {(field.description or '').rstrip('.')}{example}."

"""What an HTTP answer that is not data means.  Pure: status, headers and body in, an error out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from zerogex.errors import BadPayload, NotAuthorized, ProviderError, RateLimited, Unavailable, UnknownSymbol
from zerogex.providers.tradestation import wire

A = TypeVar("A", bound=wire.Refusal)
LONGEST_WAIT_S = 900.0
LONGEST_PERIOD_S = 3600.0  # of an announced quota
LONGEST_WINDOW_S = 300.5  # of any quota
_EPOCH_LIKE = 1e8  # a "number of seconds" beyond three years is a time of day
_MARGIN_S = 0.5
_SYMBOL_WORDS = ("symbol", "not entitled", "underlying")


class TooLong(ProviderError):
    """414: the list of symbols must be split; the same URL will never be served."""


def no_data(status: int, body: bytes) -> bool:
    """Whether this is the vendor's way of saying that there is nothing: 404 `No data available.`"""
    return status == 404 and "no data" in (_refusal(body).message or "").lower()


def error_of(status: int, headers: Mapping[str, str], body: bytes, request: str, subject: str) -> ProviderError:
    """The error a refused request means; `subject` is what was asked for, in our spelling."""
    said = _refusal(body)
    words = ": ".join(part for part in (said.error, said.message) if part) or _excerpt(body)
    sentence = f"TradeStation {request} answered {status} for {subject}: {words}"
    quota = "quota" in words.lower()
    if status == 429 or (status == 403 and quota):
        wait = wait_s(headers)
        pause = f"wait {wait:.0f} s" if wait is not None else "wait a while"
        return RateLimited(f"TradeStation {request} is over its quota; {pause}", wait)
    if status == 401:
        return NotAuthorized(f"{sentence}; the access token is refused, sign in again")
    if status == 403 and not _is_about_symbol(words):
        return NotAuthorized(f"{sentence}; the API key lacks a scope or an entitlement")
    if status == 414:
        return TooLong(f"{sentence}; ask for fewer symbols at once")
    if status == 404 or (status in (400, 403) and _is_about_symbol(words)):
        return UnknownSymbol(sentence)
    if status >= 500 or status in (408, 425):
        return Unavailable(sentence)
    if 300 <= status < 400:
        return ProviderError(f"{sentence}; redirects are not followed, check TRADESTATION_API_URL")
    return ProviderError(sentence)


def stream_error(code: str, message: str | None, request: str, subject: str) -> ProviderError:
    """The error that an error object means, in a stream or in the body of a 200."""
    words = ": ".join(part for part in (code, message) if part)
    sentence = f"TradeStation {request} for {subject}: {words[:200]}"
    if code in ("InternalServerError", "ServiceUnavailable", "GatewayTimeout"):
        return Unavailable(sentence)
    if code == "NotFound" or _is_about_symbol(words):
        return UnknownSymbol(sentence)
    if code in ("BadRequest", "NotImplemented", "Forbidden"):
        return ProviderError(sentence)
    if code == "TooManyRequests":
        return RateLimited(sentence)
    return Unavailable(sentence)


def read(reader: msgspec.json.Decoder[A], body: bytes, request: str, subject: str) -> A:
    """The answer in the body of a 200.  Raises the error that came in its place, or BadPayload."""
    try:
        answer = wire.decode(reader, body)
    except msgspec.DecodeError as error:
        raise wrong_body(body, request, str(error)) from None
    if answer.error:
        raise stream_error(answer.error, answer.message, request, subject)
    return answer


def is_web_page(body: bytes) -> bool:
    """Whether a gateway answered in the vendor's stead."""
    return body.lstrip()[:1] == b"<"


def wrong_body(body: bytes, request: str, what: str) -> ProviderError:
    """The error for a body that is not the promised JSON.  A gateway's page is trouble, not drift."""
    if is_web_page(body):
        return Unavailable(f"TradeStation {request}: a gateway answered with a web page: {_excerpt(body)}")
    return BadPayload(f"TradeStation {request}: {what}, in {_excerpt(body)}")


def wait_s(headers: Mapping[str, str]) -> float | None:
    """How long the server asks us to wait, 0.5 s to 15 min; None where it does not say anything usable."""
    for name in ("X-RateLimit-Reset", "Retry-After"):
        seconds = _seconds(headers.get(name), headers.get("Date"))
        if seconds is not None and seconds >= 0:
            return min(seconds + _MARGIN_S, LONGEST_WAIT_S)
    return None


def spent_s(headers: Mapping[str, str]) -> float:
    """How long a quota that this good answer used up needs to fill again; 0 where there is more of it."""
    if headers.get("X-RateLimit-Remaining", "").strip() != "0":
        return 0.0
    wait = wait_s(headers)
    return wait if wait is not None and wait <= LONGEST_WINDOW_S else 0.0


def announced(headers: Mapping[str, str]) -> tuple[int, float] | None:
    """The quota an answer announces, requests and window in seconds; None where it names none that makes sense."""
    try:
        requests, window_s = int(headers["X-RateLimit-Limit"]), float(headers["X-RateLimit-Period"])
    except (KeyError, ValueError):
        return None
    return (requests, window_s) if requests >= 1 and 1.0 <= window_s <= LONGEST_PERIOD_S else None


def _seconds(text: str | None, sent: str | None) -> float | None:
    """Seconds from now: as a number, as an epoch, or as an HTTP date compared with the answer's own."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        until = _http_date(text)
    else:
        if not _EPOCH_LIKE <= number < 1e11:
            return number
        until = datetime.fromtimestamp(number, UTC)
    now = _http_date(sent)
    if until is None or now is None:
        return LONGEST_WAIT_S if until is not None and now is None else None
    return (until - now).total_seconds()


def _http_date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _is_about_symbol(words: str) -> bool:
    lowered = words.lower()
    return any(word in lowered for word in _SYMBOL_WORDS)


def _refusal(body: bytes) -> wire.Refusal:
    try:
        return wire.REFUSAL.decode(body)
    except msgspec.DecodeError:
        return wire.Refusal()


def _excerpt(body: bytes) -> str:
    text = body[:160].decode("utf-8", "backslashreplace")
    return repr(" ".join(text.split())[:120]) if text else "an empty body"

import json
from typing import Any

import pytest

from zerogex.errors import BadPayload, NotAuthorized, ProviderError, RateLimited, Unavailable, UnknownSymbol
from zerogex.providers.tradestation import answers, wire

SENT = {"Date": "Mon, 11 May 2026 14:25:30 GMT"}


def body(error: str, message: str | None = None) -> bytes:
    return json.dumps({"Error": error, "Message": message}).encode()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-RateLimit-Reset": "12"}, 12.5),
        ({"X-RateLimit-Reset": "0"}, 0.5),
        ({"X-RateLimit-Reset": "-5"}, None),
        ({"X-RateLimit-Reset": "1000000000"}, 900.0),
        ({"X-RateLimit-Reset": "1e99"}, 900.0),
        ({"X-RateLimit-Reset": "inf"}, 900.0),
        ({"X-RateLimit-Reset": "nan"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Reset": "1778509560", **SENT}, 30.5),  # 14:26:00, as an epoch
        ({"Retry-After": "7"}, 7.5),
        ({"X-RateLimit-Reset": "-5", "Retry-After": "7"}, 7.5),
        ({"Retry-After": "Mon, 11 May 2026 14:26:30 GMT", **SENT}, 60.5),
        ({"Retry-After": "Mon, 11 May 2026 14:20:30 GMT", **SENT}, None),
        ({"Retry-After": "Mon, 11 May 2026 14:26:30 GMT"}, 900.0),
        ({}, None),
    ],
)
def test_the_wait_is_what_the_server_says_within_reason(headers: dict[str, str], expected: float | None) -> None:
    assert answers.wait_s(headers) == expected


def test_a_good_answer_that_used_up_the_quota_says_so() -> None:
    assert answers.spent_s({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "20"}) == 20.5
    assert answers.spent_s({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "20"}) == 0.0
    assert answers.spent_s({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "100000"}) == 0.0
    assert answers.spent_s({}) == 0.0


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (400, body("BadRequest", "Invalid symbol"), UnknownSymbol, "Invalid symbol"),
        (400, body("BadRequest", "interval is wrong"), ProviderError, "interval is wrong"),
        (401, body("Unauthorized", "Authorization Required"), NotAuthorized, "sign in again"),
        (403, body("Forbidden", "Scope missing"), NotAuthorized, "scope"),
        (403, body("Forbidden", "Quota exceeded"), RateLimited, "quota"),
        (403, body("Forbidden", "Not entitled to data for this symbol"), UnknownSymbol, "entitled"),
        (404, b'{"Message":"Not found"}', UnknownSymbol, "Not found"),
        (408, b"", Unavailable, "an empty body"),
        (414, b"<html><h1>414</h1></html>", answers.TooLong, "fewer symbols"),
        (429, body("TooManyRequests", "Rate quota exceeded"), RateLimited, "quota"),
        (500, body("InternalServerError"), Unavailable, "InternalServerError"),
        (502, b"<html>\nBad   Gateway</html>", Unavailable, "<html> Bad Gateway"),
        (301, b"", ProviderError, "TRADESTATION_API_URL"),
    ],
)
def test_a_refusal_is_an_error_that_names_request_and_subject(
    status: int, said: bytes, kind: type[Exception], words: str
) -> None:
    error = answers.error_of(status, {}, said, "quotes", "SPY")
    assert type(error) is kind
    assert words in str(error)
    assert "TradeStation quotes" in str(error)
    assert isinstance(error, RateLimited) or "SPY" in str(error)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("Failed", "Not entitled to data for this symbol", UnknownSymbol),
        ("InvalidSymbol", "Symbol cannot be found", UnknownSymbol),
        ("NotFound", None, UnknownSymbol),
        ("BadRequest", "no such unit", ProviderError),
        ("InternalServerError", "the symbol service is away", Unavailable),
        ("Failed", None, Unavailable),
        ("TooManyRequests", None, RateLimited),
    ],
)
def test_an_error_body_under_http_200_is_an_error(code: str, message: str | None, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="SPY") as caught:
        answers.read(wire.BARS, body(code, message), "barcharts", "SPY")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"<!DOCTYPE html>", Unavailable),
        (b'{"Bars":', BadPayload),
        (b'{"Bars":7}', BadPayload),
        (b"[" * 9999, BadPayload),
    ],
)
def test_a_body_that_is_not_the_promised_json(said: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        answers.read(wire.BARS, said, "barcharts", "SPY")


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (404, {"Message": "No data available."}, True),
        (404, {"Error": "NotFound", "Message": "no data available"}, True),
        (404, {"Message": "Symbol unknown"}, False),
        (400, {"Message": "No data available."}, False),
    ],
)
def test_no_data_is_no_error(status: int, said: Any, expected: bool) -> None:
    assert answers.no_data(status, json.dumps(said).encode()) is expected

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from zerogex.errors import NotAuthorized, ProviderError, RateLimited, Unavailable
from zerogex.providers.tradestation import http as http_module
from zerogex.providers.tradestation.auth import Credentials
from zerogex.providers.tradestation.http import Rest, open_client
from zerogex.providers.tradestation.quota import Governor

PATH = "/v3/marketdata/quotes/SPY"
QUOTA = {"Error": "TooManyRequests", "Message": "Rate quota exceeded"}


@pytest.fixture
async def rest(config: Callable[..., Any]) -> AsyncIterator[Callable[..., Rest]]:
    opened: list[Any] = []

    def build(**changes: Any) -> Rest:
        settings = config(**changes)
        http = open_client(settings)
        opened.append(http)
        return Rest(settings, http, Credentials(settings, http), Governor(settings.request_timeout_s))

    yield build
    for http in opened:
        await http.aclose()


async def test_a_request_carries_the_token_and_its_parameters(server: Any, rest: Any) -> None:
    server.on(PATH, server.says(b"{}"))
    assert await rest().get(PATH, "quotes", "SPY", interval=1) == b"{}"
    asked = server.asked[-1]
    assert asked.headers["authorization"] == "Bearer access-1"
    assert asked.query == {"interval": "1"}


async def test_passing_trouble_is_tried_again(server: Any, rest: Any) -> None:
    async def cut(asked: Any, line: Any) -> None:
        await line.raw(b'{"Quo')
        line.cut()

    server.on(PATH, server.says("", 503), server.says("<html>", 502), cut, server.says(b"{}"))
    assert await rest().get(PATH, "quotes", "SPY") == b"{}"
    assert server.count(PATH) == 4


async def test_a_web_page_under_http_200_is_trouble_too(server: Any, rest: Any) -> None:
    server.on(PATH, server.says(b"<html>maintenance</html>"), server.says(b"{}"))
    assert await rest().get(PATH, "quotes", "SPY") == b"{}"


async def test_lasting_trouble_is_unavailable_after_the_retries(server: Any, rest: Any) -> None:
    server.on(PATH, server.says("", 503))
    with pytest.raises(Unavailable, match="503 for SPY"):
        await rest(retry_attempts=2).get(PATH, "quotes", "SPY")
    assert server.count(PATH) == 3


async def test_a_bad_request_is_not_repeated(server: Any, rest: Any) -> None:
    server.on(PATH, server.says({"Error": "BadRequest", "Message": "interval"}, 400))
    with pytest.raises(ProviderError, match="interval"):
        await rest().get(PATH, "quotes", "SPY")
    assert server.count(PATH) == 1


async def test_no_data_is_none(server: Any, rest: Any) -> None:
    server.on(PATH, server.says({"Message": "No data available."}, 404))
    assert await rest().get(PATH, "barcharts", "SPY") is None


async def test_an_expired_token_is_renewed_once_even_without_a_retry_budget(server: Any, rest: Any) -> None:
    def picky(asked: Any) -> Any:
        fresh = asked.headers["authorization"] == "Bearer access-2"
        return server.says(b"{}") if fresh else server.says({"Error": "Unauthorized"}, 401)

    server.on(PATH, picky)
    client = rest(retry_attempts=0)
    bodies = await asyncio.gather(*(client.get(PATH, "quotes", "SPY") for _ in range(20)))
    assert set(bodies) == {b"{}"}
    assert server.count("/oauth/token") == 2


async def test_a_token_refused_twice_is_not_authorized(server: Any, rest: Any) -> None:
    server.on(PATH, server.says({"Error": "Unauthorized"}, 401))
    with pytest.raises(NotAuthorized):
        await rest().get(PATH, "quotes", "SPY")
    assert server.count(PATH) == 2
    assert server.count("/oauth/token") == 2


async def test_a_429_holds_its_group_back_as_long_as_the_server_says(server: Any, rest: Any) -> None:
    times: list[float] = []
    loop, refused = asyncio.get_running_loop(), asyncio.Event()

    def limited(asked: Any) -> Any:
        times.append(loop.time())
        loop.call_later(0.02, refused.set)
        return server.says(QUOTA, 429, {"X-RateLimit-Reset": "0"}) if len(times) == 1 else server.says(b"{}")

    server.on(PATH, limited)
    client = rest()
    others: list[float] = []

    async def another() -> None:
        await refused.wait()
        await client.get("/v3/other", "options/strikes", "SPY")
        others.append(loop.time())
        await client.get(PATH, "quotes", "QQQ")

    server.on("/v3/other", server.says(b"{}"))
    await asyncio.gather(client.get(PATH, "quotes", "SPY"), another())
    assert all(at - times[0] >= 0.49 for at in times[1:])
    assert others[0] - times[0] < 0.4


async def test_a_ban_beyond_patience_is_an_error_and_asks_nothing_more(server: Any, rest: Any) -> None:
    server.on(PATH, server.says(QUOTA, 429, {"X-RateLimit-Reset": "1000000000"}))
    client = rest()
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await client.get(PATH, "quotes", "SPY")
        assert 890 < (caught.value.retry_after_s or 0) <= 900
    assert server.count(PATH) == 1


async def test_an_answer_that_takes_too_long_is_unavailable(server: Any, rest: Any) -> None:
    async def slow(asked: Any, line: Any) -> None:
        while True:
            await line.raw(b" ")
            await asyncio.sleep(0.02)

    server.on(PATH, slow)
    with pytest.raises(Unavailable, match=r"no whole answer within 0.1 s"):
        await rest(request_timeout_s=0.1, retry_attempts=0).get(PATH, "quotes", "SPY")


async def test_an_answer_without_end_is_refused(server: Any, rest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "LARGEST_BODY", 1 << 20)
    server.on(PATH, server.says(b" " * (3 << 20)))
    with pytest.raises(ProviderError, match="1 MiB"):
        await rest().get(PATH, "quotes", "SPY")


async def test_a_redirect_is_not_followed(server: Any, rest: Any) -> None:
    server.on(PATH, server.says("", 302, {"Location": "http://example.com/"}))
    with pytest.raises(ProviderError, match="redirects are not followed"):
        await rest().get(PATH, "quotes", "SPY")


async def test_a_host_that_is_not_there_is_unavailable(rest: Any) -> None:
    with pytest.raises(Unavailable):
        await rest(api_url="http://127.0.0.1:9", retry_attempts=0).get(PATH, "quotes", "SPY")


async def test_a_token_that_cannot_be_sent_is_not_shown(
    server: Any, rest: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on("/oauth/token", server.says({"access_token": "canary\nsecret", "expires_in": 1200}))
    with pytest.raises(Unavailable) as caught:
        await rest(retry_attempts=1).get(PATH, "quotes", "SPY")
    assert "canary" not in str(caught.value)
    assert "canary" not in caplog.text


async def test_https_is_verified_and_never_downgraded(server: Any, rest: Any) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as impostor:
        port = impostor.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match=r"ConnectError.*SSL"):
            await rest(api_url=f"https://127.0.0.1:{port}", retry_attempts=0).get(PATH, "quotes", "SPY")


async def test_a_closed_client_says_so(rest: Any) -> None:
    client = rest()
    await client._credentials.token()
    await client._http.aclose()
    with pytest.raises(ProviderError, match="closed"):
        await client.get(PATH, "quotes", "SPY")

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from zerogex.errors import NotAuthorized, Unavailable
from zerogex.providers.tradestation.auth import Credentials
from zerogex.providers.tradestation.http import open_client
from zerogex.providers.tradestation.token_file import TokenFile

TOKEN = "/oauth/token"
INVALID = {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}


class Hand:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Hand:
    return Hand()


@pytest.fixture
async def sign_in(config: Callable[..., Any], seconds: Hand) -> AsyncIterator[Callable[..., Credentials]]:
    made: list[tuple[Credentials, Any]] = []

    def build(**changes: Any) -> Credentials:
        settings = config(**changes)
        http = open_client(settings)
        credentials = Credentials(settings, http, seconds)
        made.append((credentials, http))
        return credentials

    yield build
    for credentials, http in made:
        await credentials.aclose()
        await http.aclose()


async def renewed(credentials: Credentials, old: str) -> str:
    """The token after the refresh under way in the background."""
    while (token := await credentials.token()) == old:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    return token


async def test_the_refresh_is_a_form_with_the_four_fields(server: Any, sign_in: Any) -> None:
    assert await sign_in().token() == "access-1"
    (asked,) = server.asked
    assert asked.method == "POST"
    assert {name: values[0] for name, values in parse_qs(asked.body).items()} == {
        "grant_type": "refresh_token",
        "client_id": "the-id",
        "client_secret": "canary-secret",
        "refresh_token": "canary-refresh",
    }


async def test_twenty_requests_at_expiry_make_one_refresh(server: Any, sign_in: Any, seconds: Hand) -> None:
    credentials = sign_in()
    await credentials.token()
    seconds.now += 1201
    tokens = await asyncio.gather(*(credentials.token() for _ in range(20)))
    assert set(tokens) == {"access-2"}
    assert server.count(TOKEN) == 2


async def test_twenty_refused_requests_make_one_refresh(server: Any, sign_in: Any) -> None:
    credentials = sign_in()
    old = await credentials.token()
    assert set(await asyncio.gather(*(credentials.refused(old) for _ in range(20)))) == {"access-2"}
    assert await credentials.refused(old) == "access-2"
    assert server.count(TOKEN) == 2


async def test_a_token_is_renewed_ahead_of_expiry_while_the_old_one_serves(
    server: Any, sign_in: Any, seconds: Hand
) -> None:
    credentials = sign_in()
    assert await credentials.token() == "access-1"
    seconds.now += 1100
    assert await credentials.token() == "access-1"
    seconds.now += 20
    assert await credentials.token() == "access-1"
    assert await renewed(credentials, "access-1") == "access-2"
    assert server.count(TOKEN) == 2


async def test_trouble_at_the_sign_in_host_leaves_the_old_token_until_its_end(
    server: Any, sign_in: Any, seconds: Hand
) -> None:
    credentials = sign_in()
    await credentials.token()
    server.on(TOKEN, server.says("<html>bad gateway</html>", 502))
    seconds.now += 1150
    for _ in range(10):
        assert await credentials.token() == "access-1"
        await asyncio.sleep(0.005)
    assert server.count(TOKEN) == 2, "one try in 5 s"
    seconds.now += 60
    with pytest.raises(Unavailable, match="502"):
        await credentials.token()
    server.on(TOKEN, server.says({"access_token": "later", "expires_in": "1200"}))
    assert await credentials.token() == "later"


async def test_a_revoked_token_says_what_to_do_and_is_tried_once_in_five_minutes(
    server: Any, sign_in: Any, seconds: Hand
) -> None:
    server.on(TOKEN, server.says(INVALID, 403))
    credentials = sign_in()
    for _ in range(5):
        with pytest.raises(NotAuthorized, match="TRADESTATION_REFRESH_TOKEN"):
            await credentials.token()
    assert server.count(TOKEN) == 1
    seconds.now += 301
    with pytest.raises(NotAuthorized):
        await credentials.token()
    assert server.count(TOKEN) == 2


async def test_a_wrong_secret_names_the_settings_and_never_the_secret(server: Any, sign_in: Any) -> None:
    server.on(TOKEN, server.says({"error": "access_denied", "error_description": "canary-secret is wrong"}, 401))
    with pytest.raises(NotAuthorized, match="TRADESTATION_CLIENT_SECRET") as caught:
        await sign_in().token()
    assert "canary" not in str(caught.value)


async def test_a_rotated_token_is_kept_and_the_old_one_where_none_comes(
    server: Any, sign_in: Any, seconds: Hand, tmp_path: Path
) -> None:
    path = tmp_path / "token.json"
    server.on(
        TOKEN,
        server.says({"access_token": "a", "expires_in": 60, "refresh_token": "rotated"}),
        server.says({"access_token": "b", "expires_in": 60}),
    )
    credentials = sign_in(token_file=path)
    await credentials.token()
    assert TokenFile(path, "canary-refresh").read() == "rotated"
    seconds.now += 61
    assert await credentials.token() == "b"
    assert "refresh_token=rotated" in server.asked[-1].body
    assert await sign_in(token_file=path).token() == "b"
    assert "refresh_token=rotated" in server.asked[-1].body, "the next start begins with the rotated token"


async def test_a_token_rotated_by_another_process_is_picked_up(server: Any, sign_in: Any, tmp_path: Path) -> None:
    path = tmp_path / "token.json"

    def grant(asked: Any) -> Any:
        if "rotated-elsewhere" in asked.body:
            return server.says({"access_token": "fresh", "expires_in": 60})
        TokenFile(path, "canary-refresh").write("rotated-elsewhere")
        return server.says(INVALID, 403)

    server.on(TOKEN, grant)
    assert await sign_in(token_file=path).token() == "fresh"
    assert server.count(TOKEN) == 2


async def test_a_token_file_that_cannot_be_written_does_not_stop_the_feed(
    server: Any, sign_in: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    server.on(TOKEN, server.says({"access_token": "a", "expires_in": 60, "refresh_token": "canary-rotated"}))
    assert await sign_in(token_file=tmp_path / "token.json").token() == "a"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["reason"] == "No space left on device"
    assert "canary" not in caplog.text


async def test_a_caller_that_gives_up_does_not_take_the_refresh_with_it(server: Any, sign_in: Any) -> None:
    credentials = sign_in()
    hasty = asyncio.create_task(credentials.token())
    await asyncio.sleep(0)
    hasty.cancel()
    assert await credentials.token() == "access-1"
    assert server.count(TOKEN) == 1


async def test_no_secret_is_logged_at_any_level(server: Any, sign_in: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = sign_in()
    await credentials.token()
    server.on(TOKEN, server.says({"error": "invalid_grant", "refresh_token": "canary"}, 403))
    with pytest.raises(NotAuthorized):
        await credentials.refused("access-1")
    assert "canary" not in caplog.text
    assert "access-1" not in caplog.text
    assert all("canary" not in str(record.__dict__) for record in caplog.records)

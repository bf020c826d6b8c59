"""Who may ask, and what a server refuses to be."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from zerogex.errors import SettingsError
from zerogex.serving.config import ServingConfig
from zerogex.serving.guard import CONTENT_SECURITY_POLICY, Guard


async def nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("not called")


def refusal(headers: dict[str, str], **config: object) -> str | None:
    found = Guard(nothing, ServingConfig(**config).hosts).refusal(Headers(headers))
    return found and found.code


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:8642", "LOCALHOST", "[::1]:8642"])
def test_this_machine_is_welcome(host: str) -> None:
    assert refusal({"host": host}) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "localhost@evil.example"])
def test_another_host_name_is_refused(host: str) -> None:
    assert refusal({"host": host}) == "wrong_host"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9999", "file://", "x://localhost:1", "http://["]
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert refusal({"host": "localhost:1", "origin": origin}) == "foreign_origin"


def test_the_page_itself_is_welcome() -> None:
    assert refusal({"host": "localhost:8642", "origin": "http://localhost:8642"}) is None


def test_a_named_host_is_welcome_once_allowed() -> None:
    assert refusal({"host": "desk.lan:80"}) == "wrong_host"
    assert refusal({"host": "desk.lan:80"}, allowed_hosts=("Desk.lan",)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "desk.lan", "::"])
def test_a_server_without_keys_does_not_listen_to_the_network(host: str) -> None:
    with pytest.raises(SettingsError, match=host):
        ServingConfig(host=host)
    assert ServingConfig(host=host, allow_remote=True).host == host


def test_the_policy_lets_no_inline_script_or_style_run() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY

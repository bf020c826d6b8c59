from pathlib import Path

import pytest

from zerogex.errors import SettingsError
from zerogex.providers.tradestation import TradeStationConfig


def build(**changes: str) -> TradeStationConfig:
    return TradeStationConfig("the-id", "canary-secret", "canary-refresh", **changes)  # type: ignore[arg-type]


def test_secrets_do_not_show_in_the_repr() -> None:
    shown = repr(build())
    assert "canary" not in shown
    assert "the-id" not in shown
    assert "api.tradestation.com" in shown


@pytest.mark.parametrize(
    "url", ["https://api.tradestation.com/v3", "https://api.tradestation.com/v3/", "https://api.tradestation.com"]
)
def test_the_api_host_is_accepted_with_and_without_its_version(url: str) -> None:
    assert build(api_url=url).api_url == "https://api.tradestation.com"


def test_the_sign_in_host_is_accepted_with_its_path() -> None:
    assert build(auth_url="https://signin.tradestation.com/oauth/token").auth_url == "https://signin.tradestation.com"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8123", "http://localhost:8123/v3", "http://[::1]:8123"])
def test_plain_http_is_fine_on_this_machine(url: str) -> None:
    assert build(api_url=url).api_url.startswith("http://")


@pytest.mark.parametrize(
    "url", ["http://api.tradestation.com", "ftp://x", "api.tradestation.com", "https://u:p@host", ""]
)
def test_a_host_that_would_leak_or_is_no_url_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="TRADESTATION_AUTH_URL"):
        build(auth_url=url)


def test_a_batch_holds_at_least_one_symbol() -> None:
    with pytest.raises(SettingsError, match="quote_batch_size"):
        TradeStationConfig("i", "s", "r", quote_batch_size=0, token_file=Path("x"))

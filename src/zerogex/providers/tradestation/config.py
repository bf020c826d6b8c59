"""What the TradeStation client needs to know before it speaks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from zerogex.errors import SettingsError

LIVE_API = "https://api.tradestation.com"
SIM_API = "https://sim-api.tradestation.com"  # the same market data, paper accounts
SIGN_IN = "https://signin.tradestation.com"
STREAMS_AT_ONCE = 10  # what TradeStation grants an account, bars and chains counted together


@dataclass(frozen=True, slots=True)
class TradeStationConfig:
    """Credentials, hosts and patience.  Secrets never show in `repr`; all durations are real seconds.

    Raises SettingsError for a host that is not a URL, or that would carry the credentials in the clear.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    api_url: str = LIVE_API  # with or without /v3
    auth_url: str = SIGN_IN  # with or without /oauth/token
    token_file: Path | None = None  # where a rotated refresh token survives; None: in memory only
    request_timeout_s: float = 30.0  # a whole request, answer included
    retry_attempts: int = 3  # further tries after the first
    retry_delay_s: float = 1.0  # before the first further try
    retry_backoff: float = 2.0  # each pause is this many times the one before
    quote_batch_size: int = 100  # symbols a request; the vendor's limit is 100
    option_batch_size: int = 100
    delay_between_batches_s: float = 0.0
    max_streams: int = STREAMS_AT_ONCE
    poll_interval_s: float = 5.0  # between snapshots of a chain that found no free stream
    inactivity_timeout_s: float = 15.0  # three missed heartbeats
    object_timeout_s: float = 10.0  # from the first byte of an object to its last
    silent_after_s: float = 25.0  # heartbeats without data in the regular session: seen within 30 s
    dual_logon_wait_s: float = 30.0  # before contending for the login again

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_url", _root_of(self.api_url, "TRADESTATION_API_URL", ("/v3", "/v2")))
        object.__setattr__(self, "auth_url", _root_of(self.auth_url, "TRADESTATION_AUTH_URL", ("/oauth/token",)))
        for name in ("quote_batch_size", "option_batch_size", "max_streams"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _root_of(url: str, setting: str, suffixes: tuple[str, ...]) -> str:
    """Scheme, host and port alone, with the known paths cut off."""
    root = url.strip().rstrip("/")
    for suffix in suffixes:
        root = root.removesuffix(suffix).rstrip("/")
    parts = urlsplit(root)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query:
        raise SettingsError(f"{setting} is {root[:80]!r}; expected something like {LIVE_API}")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(f"{setting} is {root[:80]!r}; plain http is for this machine only, use https")
    return root

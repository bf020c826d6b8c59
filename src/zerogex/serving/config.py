"""What the web server needs to know before it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from zerogex.analytics.config import DEFAULTS, AnalysisConfig
from zerogex.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """Where to listen, what to offer first, and when to lose patience.  Times in seconds of wall time."""

    host: str = "127.0.0.1"
    port: int = 8642
    symbols: tuple[str, ...] = ("SPY",)  # offered before any data is there; the first is the page's default
    version: str = "0"
    allowed_hosts: tuple[str, ...] = ()  # further names a browser may call this server by
    allow_remote: bool = False  # a proxy before us looks after TLS
    tls_cert: Path | None = None  # certificate chain and private key, PEM; both or neither
    tls_key: Path | None = None
    chain_to_keys: bool = False  # whether keys with scope `chain` may have the vendor's raw quotes
    stale_after_s: float = 30.0  # data older than this in an open market is called stale
    heartbeat_s: float = 5.0  # pause between heartbeats on a WebSocket
    slow_client_s: float = 10.0  # a client that takes no bytes for this long is closed with 1013
    request_s: float = 10.0  # a request that is not whole this long after its first byte is answered 408
    store_timeout_s: float = 10.0  # a read that takes longer answers 504
    max_clients: int = 1000  # WebSockets at once
    analysis: AnalysisConfig = DEFAULTS  # how chains of past minutes are analysed: as the analyze engine does it
    bucket_seconds: int = 60  # length of a stored minute

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("TLS needs both: SERVE_TLS_CERT, the certificate chain, and SERVE_TLS_KEY, its key")
        for path in filter(None, (self.tls_cert, self.tls_key)):
            if not path.is_file():
                raise SettingsError(f"the TLS file {path} does not exist or cannot be read")
        if not is_loopback(self.host) and not self.allow_remote and self.tls_cert is None:
            raise SettingsError(
                f"host {self.host!r} is reachable from other machines, and API keys must not travel without TLS; "
                "use 127.0.0.1, or set SERVE_TLS_CERT and SERVE_TLS_KEY, or put a proxy with TLS before it and say so: "
                "SERVE_BEHIND_PROXY=true"
            )

    @property
    def needs_keys(self) -> bool:
        """Whether callers must show a key: always, unless only this machine can call."""
        return self.allow_remote or not is_loopback(self.host)

    @property
    def hosts(self) -> frozenset[str]:
        """Host names a request may carry; empty: any (behind a proxy that already decided)."""
        if self.allow_remote and not self.allowed_hosts:
            return frozenset()
        return frozenset({"localhost", "127.0.0.1", "::1", self.host.lower(), *map(str.lower, self.allowed_hosts)})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

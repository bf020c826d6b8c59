"""What the web server needs to know before it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from zerogex.analytics.analysis import DEFAULTS, AnalysisConfig
from zerogex.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """Where to listen, what to offer first, and when to lose patience.  Times in seconds of wall time."""

    host: str = "127.0.0.1"
    port: int = 8642
    symbols: tuple[str, ...] = ("SPY",)  # offered before any data is there; the first is the page's default
    version: str = "0"
    allowed_hosts: tuple[str, ...] = ()  # further names a browser may call this server by
    allow_remote: bool = False  # somebody else (a proxy) looks after TLS and who may come in
    stale_after_s: float = 30.0  # data older than this in an open market is called stale
    heartbeat_s: float = 5.0  # pause between heartbeats on a WebSocket
    slow_client_s: float = 10.0  # a client that takes no bytes for this long is closed with 1013
    store_timeout_s: float = 10.0  # a read that takes longer answers 504
    max_clients: int = 1000  # WebSockets at once
    analysis: AnalysisConfig = DEFAULTS  # how chains of past minutes are analysed: as the analyze engine does it
    bucket_seconds: int = 60  # length of a stored minute

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.allow_remote:
            raise SettingsError(
                f"host {self.host!r} is reachable from other machines, and this server has no keys or TLS of its own; "
                "use 127.0.0.1, or put a proxy with TLS and authentication before it and say so (allow_remote)"
            )

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

"""Where the database is and how to enter it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# The server lets go of a vanished machine's session, and so of its locks, within 20 s.
_NOTICED = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2"


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """One PostgreSQL database; the password never shows in a repr or a message."""

    host: str = "localhost"  # a name, an address, or the folder of a Unix socket
    port: int = 5432
    dbname: str = "zerogex"
    user: str = "postgres"
    password: str | None = field(default=None, repr=False)  # None: libpq looks in ~/.pgpass
    sslmode: str | None = None  # libpq's words: disable, prefer, require, verify-ca, verify-full
    pool_min: int = 1
    pool_max: int = 8
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 30.0
    application: str = "zerogex"

    @property
    def place(self) -> str:
        """How messages name the database."""
        return f"database {self.dbname!r} at {self.host}:{self.port} as {self.user!r}"

    def parameters(self, application: str | None = None) -> dict[str, Any]:
        """Keyword arguments of `psycopg.connect`; sessions speak UTC."""
        timeout_ms = int(self.statement_timeout_s * 1000)
        given = {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            "connect_timeout": max(2, round(self.connect_timeout_s)),
            "application_name": (application or self.application)[:63],
            # no question of ours is long enough for compiling it (jit) to pay
            "options": f"-c timezone=UTC -c jit=off -c statement_timeout={timeout_ms} "
            f"-c lock_timeout={timeout_ms} {_NOTICED}",
            # a peer that vanished is noticed within about half a minute, not after two hours
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        }
        return {name: value for name, value in given.items() if value is not None}

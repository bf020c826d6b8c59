"""Every setting in one table: read once at start, checked together, explained by itself.

A value comes from the environment, else from `.env` (inline comments are fine), else from the
default here.  No other module reads the environment; engines and edges receive plain values
from `app.py`.  `zerogex config` shows the result with the origin of each value.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from zerogex import env_lines
from zerogex.domain.exposure import DealerModel
from zerogex.domain.iv import IvSource
from zerogex.errors import SettingsError
from zerogex.expected import expected

LIVE_API, SANDBOX_API = "https://api.tradestation.com", "https://sim-api.tradestation.com"
_SYMBOL = re.compile(r"[A-Za-z0-9$^/][A-Za-z0-9$.\-/^]{0,31}")
_FRAMEWORK = {"ge", "gt", "le", "lt", "max_length"}


class PasswordProvider(StrEnum):
    """Where the database password comes from."""

    PGPASS = "pgpass"
    ENV = "env"
    AWS_SECRETS_MANAGER = "aws_secrets_manager"


class SslMode(StrEnum):
    """libpq's words for how much TLS a connection needs."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class LogLevel(StrEnum):
    """How much the log says."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class LogFormat(StrEnum):
    """How a line of the log looks; auto: pretty on a terminal, JSON elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


def setting(default: Any, section: str, help: str, *, unit: str = "", example: object = None, **limits: Any) -> Any:
    """A row of the table: default, section, help; `example` is what an error message suggests."""
    shown = str(default).lower() if isinstance(default, bool) else str(default if example is None else example)
    extra: dict[str, Any] = {"section": section, "unit": unit, "example": shown}
    assert set(limits) <= _FRAMEWORK
    return Field(default, description=help, json_schema_extra=extra, **limits)


TS, DB, API = "TradeStation", "Database", "API calls"
AN, GR, ST = "Analytics", "Greeks and IV", "Streaming"
AG, FL, AL, PL = "Aggregation", "Features and logs", "Alerts", "Platform"


class Settings(BaseSettings):
    """The effective settings; immutable.  Field names are the environment's, in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, use_enum_values=False, allow_inf_nan=False
    )

    tradestation_client_id: SecretStr | None = setting(None, TS, "API key of your application.", example="abc123")
    tradestation_client_secret: SecretStr | None = setting(None, TS, "Its secret.", example="xyz789")
    tradestation_refresh_token: SecretStr | None = setting(None, TS, "OAuth refresh token.", example="def456")
    tradestation_use_sandbox: bool = setting(False, TS, "Use the SIM host: same market data, paper accounts.")
    tradestation_api_url: str | None = setting(
        None, TS, "Host of the API; the live host (or the SIM host) when not set.", example=LIVE_API
    )
    tradestation_auth_url: str = setting("https://signin.tradestation.com", TS, "Host of the OAuth sign-in.")

    db_host: str = setting("localhost", DB, "Server, or a folder with its socket.")
    db_port: int = setting(5432, DB, "Port.", ge=1, le=65535)
    db_name: str = setting("zerogex", DB, "Database name.")
    db_user: str = setting("postgres", DB, "Role to connect as.")
    db_password_provider: PasswordProvider = setting(
        PasswordProvider.PGPASS, DB, "Where the password comes from: pgpass, env or aws_secrets_manager.", example="env"
    )
    db_password: SecretStr | None = setting(None, DB, "Password, for DB_PASSWORD_PROVIDER=env.", example="s3cret")
    db_secret_name: str = setting("zerogex/db/password", DB, "Name of the AWS secret.")
    aws_region: str = setting("us-east-1", DB, "AWS region of the secret.")
    db_sslmode: SslMode = setting(
        SslMode.PREFER, DB, "libpq sslmode: disable, allow, prefer, require, verify-ca, verify-full.", example="require"
    )
    db_pool_min: int = setting(1, DB, "Connections kept open per process.", ge=0, le=100)
    db_pool_max: int = setting(8, DB, "Most connections per process.", ge=1, le=500)

    api_request_timeout: float = setting(30.0, API, "Longest wait for one answer.", unit="s", gt=0, le=600)
    api_retry_attempts: int = setting(3, API, "Tries of one request after the first.", ge=0, le=20)
    api_retry_delay: float = setting(1.0, API, "Pause before the first retry.", unit="s", ge=0, le=300)
    api_retry_backoff: float = setting(2.0, API, "Factor by which the pause grows.", ge=1, le=10)
    quote_batch_size: int = setting(100, API, "Symbols in one quote request.", ge=1, le=100)
    option_batch_size: int = setting(100, API, "Option symbols in one quote request.", ge=1, le=100)
    delay_between_batches: float = setting(0.0, API, "Pause between two batches.", unit="s", ge=0, le=60)
    delay_between_bars: float = setting(0.0, API, "Pause between two bar requests.", unit="s", ge=0, le=60)

    analytics_enabled: bool = setting(True, AN, "Run the analytics engine in `zerogex up`.")
    analytics_underlying: str | None = setting(
        None, AN, "Symbols to analyse, comma separated; what STREAM_UNDERLYING follows when not set.", example="SPY"
    )
    analytics_interval: float = setting(
        60.0, AN, "Time between two rows of gex_summary.", unit="s", ge=1, le=86400, example=60
    )
    dealer_model: DealerModel = setting(
        DealerModel.NAIVE, AN, "Assumed dealer positions: naive (long calls, short puts), short_all, long_all, inverse."
    )
    gex_enabled: bool = setting(True, AN, "Compute gamma exposure at all.")

    greeks_enabled: bool = setting(True, GR, "Compute Greeks for every contract.")
    iv_calculation_enabled: bool = setting(True, GR, "Solve implied volatility from prices.")
    iv_max_iterations: int = setting(100, GR, "Most steps of the solver.", ge=1, le=10000)
    iv_tolerance: float = setting(0.00001, GR, "Largest accepted error of an IV.", gt=0, le=0.1, example="0.00001")
    iv_min: float = setting(0.01, GR, "Smallest accepted IV (0.01 is 1 %); below it there is no IV.", gt=0, le=10)
    iv_max: float = setting(5.0, GR, "Largest accepted IV (5 is 500 %); above it there is no IV.", gt=0, le=100)
    iv_priority: str = setting(
        "api,mid,last,default", GR, "Order in which the sources of an IV are tried; leave one out to never use it."
    )
    risk_free_rate: float = setting(0.05, GR, "Continuous, per year.", ge=-0.2, le=1)
    dividend_yield: float = setting(
        0.0, GR, "Continuous, per year; used where put-call parity gives no forward.", ge=-0.2, le=1
    )
    implied_volatility_default: float = setting(0.20, GR, "Stands in for an IV nothing gives; flagged.", gt=0, le=10)

    stream_underlying: str = setting("SPY", ST, "Symbols to follow, comma separated.", example="SPY,QQQ")
    stream_expirations: int = setting(3, ST, "How many of the nearest expirations to follow.", ge=1, le=100)
    stream_strike_distance: str = setting(
        "5%", ST, "Strikes followed on each side of spot: dollars (20) or percent (5%)."
    )
    market_hours_poll_interval: float = setting(
        5.0, ST, "Pause between polls in the regular session.", unit="s", ge=0.5, le=3600
    )
    extended_hours_poll_interval: float = setting(
        30.0, ST, "Pause between polls before and after it.", unit="s", ge=0.5, le=3600
    )
    closed_hours_poll_interval: float = setting(
        300.0, ST, "Pause between polls when the market is closed.", unit="s", ge=0.5, le=86400
    )
    strike_recalc_interval: int = setting(10, ST, "Polls between two looks at which strikes to follow.", ge=1, le=10000)
    price_move_threshold: float = setting(
        1.0, ST, "Move of spot that re-centres the strikes at once.", unit="dollars", gt=0
    )
    strike_cleanup_interval: int = setting(50, ST, "Polls between two removals of expired contracts.", ge=1, le=100000)

    aggregation_bucket_seconds: int = setting(60, AG, "Length of a stored interval.", unit="s", ge=1, le=3600)
    max_buffer_size: int = setting(1000, AG, "Rows held back before they are written at once.", ge=1, le=1_000_000)
    buffer_flush_interval: float = setting(60.0, AG, "Longest time a row is held back.", unit="s", gt=0, le=3600)

    backfill_on_startup: bool = setting(True, FL, "Fill gaps of the last days: bars before streaming, options beside.")
    ingest_standby: bool = setting(
        False, FL, "Share the underlyings with other ingest processes that do, and stand by for what others write."
    )
    websocket_enabled: bool = setting(True, FL, "Push streams; false: polling.")
    metrics_enabled: bool = setting(False, FL, "Serve Prometheus metrics at /metrics of METRICS_PORT.")
    metrics_host: str = setting("127.0.0.1", FL, "Address /metrics listens on; it asks for no password.")
    metrics_port: int = setting(
        9090, FL, "Port of ingest's /metrics; analyze takes the next one, serve the one after.", ge=1, le=65533
    )
    log_level: LogLevel = setting(LogLevel.INFO, FL, "DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    log_format: LogFormat = setting(LogFormat.AUTO, FL, "text, json, or auto: text on a terminal, JSON elsewhere.")
    log_dir: Path | None = setting(
        None, FL, "Folder for main_engine.log and errors.log; stderr alone when not set.", example="/var/log/zerogex"
    )

    alert_ntfy_url: SecretStr | None = setting(
        None, AL, "Topic of an ntfy server, for alerts on a phone.", example="https://ntfy.sh/my-long-secret-topic"
    )
    alert_ntfy_token: SecretStr | None = setting(None, AL, "Access token of that server.", example="tk_abc123")
    alert_webhook_url: SecretStr | None = setting(
        None, AL, "Where alerts are sent as JSON by POST.", example="https://example.org/hook"
    )
    alert_allow_lan: bool = setting(
        False, AL, "Let alerts go to this machine and the local network, and by plain http."
    )
    alert_on_trouble: bool = setting(
        True, AL, "Tell of old data in the regular session and of a feed that refuses us, without a rule."
    )

    zerogex_simulate: bool = setting(False, PL, "Use the simulator even where credentials are set.")
    zerogex_home: Path = setting(
        Path("~/.zerogex"), PL, "Folder for the embedded database, the spool and tokens.", example="~/.zerogex"
    )
    serve_host: str = setting("127.0.0.1", PL, "Address the page and the API listen on.")
    serve_behind_proxy: bool = setting(
        False, PL, "A proxy with TLS stands before SERVE_HOST, which may then be any address; callers need API keys."
    )
    serve_tls_cert: Path | None = setting(
        None, PL, "Certificate chain (PEM), to serve TLS; callers need API keys.", example="/etc/zerogex/cert.pem"
    )
    serve_tls_key: Path | None = setting(None, PL, "Its private key (PEM).", example="/etc/zerogex/key.pem")
    serve_allowed_hosts: str | None = setting(
        None, PL, "Names callers may call this server by, comma separated.", example="gex.example.org"
    )
    serve_chain_to_keys: bool = setting(
        False, PL, "Give raw vendor quotes to API keys with scope chain; check your licence first."
    )
    serve_port: int = setting(8642, PL, "Port of the page and the API; 0 picks a free one.", ge=0, le=65535)

    @field_validator("iv_priority")
    @classmethod
    def _known_sources(cls, value: str) -> str:
        words = _words(value)
        unknown = [word for word in words if word.upper() not in ("API", "MID", "LAST", "DEFAULT")]
        if unknown or not words or len(set(words)) != len(words):
            raise ValueError("expected a comma separated order of api, mid, last, default, each at most once")
        return value

    @field_validator("stream_strike_distance")
    @classmethod
    def _dollars_or_percent(cls, value: str) -> str:
        try:
            positive = 0 < float(value.strip().removesuffix("%")) < math.inf
        except ValueError:
            positive = False
        if not positive:
            raise ValueError("expected dollars such as 20, or percent of spot such as 5%")
        return value.strip()

    @field_validator("aggregation_bucket_seconds")
    @classmethod
    def _part_of_an_hour(cls, value: int) -> int:
        if 60 % value and (value % 60 or 3600 % value):
            raise ValueError("expected a part of a minute (5, 15, 30 …) or minutes that divide the hour (60, 300 …)")
        return value

    @field_validator("stream_underlying", "analytics_underlying")
    @classmethod
    def _symbols(cls, value: str | None) -> str | None:
        words = _words(value or "")
        if value is not None and (not words or not all(map(_SYMBOL.fullmatch, words))):
            raise ValueError("expected symbols separated by commas: letters, digits and $ . - / ^")
        return value

    @field_validator("tradestation_api_url", "tradestation_auth_url")
    @classmethod
    def _host_address(cls, value: str | None) -> str | None:
        if value is not None and not _is_web_address(value):
            raise ValueError("expected the address of a web server, with http:// or https://")
        return value

    @field_validator("alert_ntfy_url", "alert_webhook_url")
    @classmethod
    def _web_address(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            return value
        parts = urlsplit(value.get_secret_value())
        if not _is_web_address(value.get_secret_value()) or parts.username or parts.password:
            raise ValueError("expected the address of a web server, without a user in it")
        if info.field_name == "alert_ntfy_url" and parts.path in ("", "/"):
            raise ValueError("expected the address of a topic, not only of a server")
        return value

    @field_validator("zerogex_home", "log_dir", "serve_tls_cert", "serve_tls_key")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else value

    @property
    def api_url(self) -> str:
        """The host of the market-data API."""
        return self.tradestation_api_url or (SANDBOX_API if self.tradestation_use_sandbox else LIVE_API)

    @property
    def has_credentials(self) -> bool:
        """Whether all three TradeStation credentials are there."""
        return all((self.tradestation_client_id, self.tradestation_client_secret, self.tradestation_refresh_token))

    @property
    def simulated(self) -> bool:
        """Whether the feed is the simulator: asked for, on loopback, or for want of credentials."""
        host = urlsplit(self.tradestation_api_url or "").hostname or ""
        loopback = host in ("localhost", "::1") or host.startswith("127.")
        return self.zerogex_simulate or loopback or not (self.has_credentials or host)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """The symbols to follow."""
        return _symbols(self.stream_underlying)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """SERVE_ALLOWED_HOSTS as names."""
        return tuple(_words(self.serve_allowed_hosts or ""))

    @property
    def analysed(self) -> tuple[str, ...]:
        """The symbols to analyse."""
        return _symbols(self.analytics_underlying or self.stream_underlying)

    @property
    def iv_sources(self) -> tuple[IvSource, ...]:
        """IV_PRIORITY as codes."""
        return tuple(IvSource[word.upper()] for word in _words(self.iv_priority))


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # no host, or no port up to 65535
        return False
    return reachable and parts.scheme in ("https", "http") and text.isprintable()


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.upper() for word in _words(text)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, where each came from, and what was not understood."""

    settings: Settings
    origins: Mapping[str, str]  # environment | .env | default
    unknown: tuple[str, ...]  # names in .env that are no settings
    env_file: Path

    @property
    def has_database(self) -> bool:
        """Whether a PostgreSQL server is configured; otherwise the embedded one is used."""
        where = ("db_host", "db_port", "db_name", "db_user", "db_password", "db_password_provider", "db_secret_name")
        return any(self.origins[name] != "default" for name in where)


def load(env_file: Path | None = None, *, signed_in: bool = True) -> Loaded:
    """Read environment and `.env`; raises SettingsError naming every wrong setting, with an example for each.

    `signed_in=False` is for the sign-in itself: a key and secret may then lack their refresh token.
    """
    path = env_file or Path(os.environ.get("ZEROGEX_ENV_FILE", ".env"))
    dotenv, wrong = env_lines.read(path, example("db_host")) if path.is_file() else ({}, [])
    environment = {name.lower() for name, value in os.environ.items() if value}
    given = {
        name: value
        for name, value in dotenv.items()
        if value and name in Settings.model_fields and name not in environment
    }
    unusable: set[str] = set()
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong += _sentences(error)
        unusable = {str(problem["loc"][0]) for problem in error.errors()}
        settings = Settings(**{**given, **{name: Settings.model_fields[name].default for name in unusable}})
    together = _wrong_together(settings, signed_in)
    wrong += [line for line in together if not any(name.upper() in line for name in unusable)]
    if wrong:
        raise SettingsError(_count(wrong))
    origins = {
        name: "environment" if name in environment else ".env" if dotenv.get(name) else "default"
        for name in Settings.model_fields
    }
    unknown = tuple(name.upper() for name in dotenv if name not in Settings.model_fields)
    return Loaded(settings, origins, unknown, path)


def suggestion(name: str) -> str | None:
    """The setting a misspelt name was probably meant to be."""
    close = get_close_matches(name.lower(), Settings.model_fields, n=1)
    return close[0].upper() if close else None


def example(name: str) -> str:
    """NAME=value that would be accepted."""
    extra = Settings.model_fields[name].json_schema_extra
    value = extra["example"] if isinstance(extra, dict) else ""
    return f"{name.upper()}={value}"


def is_secret(name: str) -> bool:
    """Whether a setting's value must never be shown."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def _sentences(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        came = "(hidden)" if is_secret(name) else repr(str(problem["input"]))
        lines.append(f"{name.upper()} is {came}; expected {expected(problem)} (example: {example(name)})")
    return lines


def _wrong_together(settings: Settings, signed_in: bool) -> list[str]:
    """A sentence for each pair of settings that cannot both be meant."""
    lines = []
    credentials = ["tradestation_client_id", "tradestation_client_secret"]
    credentials += ["tradestation_refresh_token"] if signed_in else []
    missing = [name for name in credentials if not getattr(settings, name)]
    if signed_in and 0 < len(missing) < 3:
        names = ", ".join(name.upper() for name in missing)
        lines.append(
            f"{names} not set; TradeStation needs all three credentials, or none for the simulator "
            f"(example: {example(missing[0])})"
        )
    if settings.iv_min >= settings.iv_max:
        lines.append(f"IV_MIN is {settings.iv_min}, not below IV_MAX {settings.iv_max} (example: {example('iv_min')})")
    if settings.db_pool_min > settings.db_pool_max:
        lines.append(
            f"DB_POOL_MIN is {settings.db_pool_min}, above DB_POOL_MAX {settings.db_pool_max} "
            f"(example: {example('db_pool_min')})"
        )
    if settings.db_password_provider is PasswordProvider.ENV and settings.db_password is None:
        lines.append("DB_PASSWORD is not set, but DB_PASSWORD_PROVIDER=env reads it (example: DB_PASSWORD=s3cret)")
    for name in ("alert_ntfy_url", "alert_webhook_url"):
        address: SecretStr | None = getattr(settings, name)
        if address and address.get_secret_value().startswith("http://") and not settings.alert_allow_lan:
            lines.append(
                f"{name.upper()} is http, which everybody on the way can read; expected https, or "
                "ALERT_ALLOW_LAN=true for a server of your own network "
                f"(example: {example(name)})"
            )
    return lines


def _count(lines: list[str]) -> str:
    head = "1 setting is wrong" if len(lines) == 1 else f"{len(lines)} settings are wrong"
    return f"{head}: " + "; ".join(lines) if len(lines) == 1 else f"{head}:\n  " + "\n  ".join(lines)

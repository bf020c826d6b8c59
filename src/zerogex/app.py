"""Wiring: the only file that names a vendor.

Turns settings into the parts that engines receive: a `MarketData`, a `Store`, a `Clock`, and
configurations of plain values.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from zerogex import __version__, announced
from zerogex.clock import Clock, SystemClock
from zerogex.errors import SettingsError
from zerogex.settings import Loaded, PasswordProvider, Settings

if TYPE_CHECKING:
    from zerogex.analytics.config import AnalysisConfig
    from zerogex.domain.chain import OptionChain
    from zerogex.engines.analyze import AnalyzeConfig
    from zerogex.engines.backfill import BackfillConfig
    from zerogex.engines.ingest import IngestConfig
    from zerogex.pipeline.enrich import EnrichConfig
    from zerogex.ports import AlertChannel, MarketData, Store
    from zerogex.providers.tradestation.config import TradeStationConfig
    from zerogex.providers.tradestation.probes import Probes, Question
    from zerogex.serving.config import ServingConfig
    from zerogex.simulator.server import Simulator
    from zerogex.store.config import DatabaseConfig
    from zerogex.store.postgres import PostgresStore

log = logging.getLogger(__name__)
SIMULATOR_PORT = 31022
_LIVE_DATABASE, _SIMULATED_DATABASE = "zerogex", "zerogex_simulated"


@contextmanager
def database(loaded: Loaded) -> Iterator[DatabaseConfig]:
    """The configured PostgreSQL server, or the embedded one, running while the block lasts.

    Embedded, simulated data has a database of its own, so that it never mixes with the market's.
    """
    settings = loaded.settings
    if loaded.has_database:
        yield _configured(settings)
        return
    from zerogex.store.embedded import EmbeddedServer

    with EmbeddedServer(settings.zerogex_home) as server:
        yield server.config(_SIMULATED_DATABASE if settings.simulated else _LIVE_DATABASE)


def _configured(settings: Settings) -> DatabaseConfig:
    from zerogex.store.config import DatabaseConfig

    return DatabaseConfig(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=settings.db_user,
        password=_password(settings),
        sslmode=settings.db_sslmode.value,
        pool_min=settings.db_pool_min,
        pool_max=settings.db_pool_max,
    )


def _password(settings: Settings) -> str | None:
    """The database password by DB_PASSWORD_PROVIDER; None leaves it to libpq's ~/.pgpass."""
    if settings.db_password_provider is PasswordProvider.ENV:
        return settings.db_password.get_secret_value() if settings.db_password else None
    if settings.db_password_provider is PasswordProvider.AWS_SECRETS_MANAGER:
        return _aws_secret(settings)
    return None


def _aws_secret(settings: Settings) -> str:
    try:
        import boto3
    except ImportError:
        raise SettingsError(
            "DB_PASSWORD_PROVIDER is aws_secrets_manager, but boto3 is not installed; "
            "install the extra: pip install 'zerogex[aws]'"
        ) from None
    client = boto3.client("secretsmanager", region_name=settings.aws_region)
    try:
        secret = client.get_secret_value(SecretId=settings.db_secret_name)["SecretString"]
    except Exception as error:
        raise SettingsError(
            f"AWS Secrets Manager in {settings.aws_region} gave no secret {settings.db_secret_name!r} "
            f"({type(error).__name__}); check DB_SECRET_NAME, AWS_REGION and the machine's AWS credentials"
        ) from None
    return _password_of(str(secret))


def _password_of(secret: str) -> str:
    """A secret is the password itself or a JSON object with a `password` member, as RDS writes it."""
    import json

    try:
        parsed = json.loads(secret)
    except ValueError:
        return secret
    return str(parsed["password"]) if isinstance(parsed, dict) and "password" in parsed else secret


@contextmanager
def open_store(loaded: Loaded, *, migrate: bool = False, spool: bool = False) -> Iterator[PostgresStore]:
    """The store of these settings; `migrate` brings the schema up to date, otherwise it must be.

    The embedded database is ours alone, so it is brought up to date whoever opens it.
    """
    from zerogex.store.postgres import PostgresStore

    with database(loaded) as where:
        folder = loaded.settings.zerogex_home / "spool" / where.dbname if spool else None
        if spool:
            with suppress(OSError):  # the spool says it better
                loaded.settings.zerogex_home.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = PostgresStore(where, spool=folder)
        try:
            if migrate or not loaded.has_database:
                store.migrate()
            else:
                store.check_schema()
            yield store
        finally:
            store.close()


async def market_clock(loaded: Loaded) -> Clock:
    """The clock of the feed: the simulator's where one feeds us, otherwise the machine's."""
    if not loaded.settings.simulated:
        return SystemClock()
    from zerogex.providers.tradestation.clock import discover_clock

    url = simulator_url(loaded.settings)
    clock = await discover_clock(url)
    if clock is None:
        raise SettingsError(
            f"there are no TradeStation credentials, and no simulator answers at {url}; run `zerogex up`, "
            "start `zerogex simulate` first, or set TRADESTATION_CLIENT_ID, TRADESTATION_CLIENT_SECRET "
            "and TRADESTATION_REFRESH_TOKEN"
        )
    return clock


def simulator(chains: Sequence[OptionChain], faults: Sequence[str], **options: Any) -> Simulator:
    """The simulated market as a server, from `zerogex simulate`'s options."""
    from zerogex.simulator.config import SimulatorConfig
    from zerogex.simulator.server import Simulator
    from zerogex.simulator.verbs import parse

    return Simulator(SimulatorConfig(chains=tuple(chains), faults=parse(faults), **options))


def simulator_url(settings: Settings) -> str:
    """Where the simulator is expected: as set, else where `zerogex up` of this home has it, else at its usual port."""
    announced_url = announced.simulator(settings.zerogex_home)
    return settings.tradestation_api_url or announced_url or f"http://127.0.0.1:{SIMULATOR_PORT}"


def feed_url(settings: Settings) -> str:
    """Where the feed is, simulated or not."""
    return simulator_url(settings) if settings.simulated else settings.api_url


def market_data(loaded: Loaded, clock: Clock, store: Store | None = None) -> MarketData:
    """The provider of these settings; with a store, its requests are counted together with other processes'."""
    from zerogex.providers.tradestation.client import TradeStation

    return TradeStation(_feed_config(loaded), clock, None if store is None else store.request_quotas)


def _feed_config(loaded: Loaded) -> TradeStationConfig:
    from zerogex.providers.tradestation.config import TradeStationConfig

    settings = loaded.settings
    simulated = settings.simulated
    api_url = simulator_url(settings) if simulated else settings.api_url
    return TradeStationConfig(
        client_id=_secret(settings.tradestation_client_id),
        client_secret=_secret(settings.tradestation_client_secret),
        refresh_token=_secret(settings.tradestation_refresh_token),
        api_url=api_url,
        auth_url=_auth_url(loaded, api_url),
        token_file=settings.zerogex_home / ("token-simulated.json" if simulated else "token.json"),
        request_timeout_s=settings.api_request_timeout,
        retry_attempts=settings.api_retry_attempts,
        retry_delay_s=settings.api_retry_delay,
        retry_backoff=settings.api_retry_backoff,
        quote_batch_size=settings.quote_batch_size,
        option_batch_size=settings.option_batch_size,
        delay_between_batches_s=settings.delay_between_batches,
    )


def probes(loaded: Loaded, clock: Clock) -> Probes:
    """What a person asks the vendor by hand."""
    from zerogex.providers.tradestation.probes import Probes

    return Probes(_feed_config(loaded), clock)


def probe_question(symbol: str, bars_back: int) -> Question:
    """What a probe asks about."""
    from zerogex.providers.tradestation.probes import Question

    return Question(symbol, bars_back)


async def sign_in(
    loaded: Loaded, *, port: int, timeout_s: float, scope: str | None, show: Callable[[str], None]
) -> str:
    """A refresh token, by way of the browser; `show` is given the page's address."""
    from zerogex.providers.tradestation.sign_in import SCOPES
    from zerogex.providers.tradestation.sign_in import sign_in as go

    config = _feed_config(_as_signed_in(loaded))
    return await go(config, port=port, timeout_s=timeout_s, scope=scope or SCOPES, show=show)


def _as_signed_in(loaded: Loaded) -> Loaded:
    """Settings that lack only the refresh token, so that they mean the vendor and not the simulator."""
    if loaded.settings.tradestation_refresh_token is not None:
        return loaded
    token = {"tradestation_refresh_token": SecretStr("none yet")}
    return replace(loaded, settings=loaded.settings.model_copy(update=token))


def sign_in_ports() -> tuple[int, ...]:
    """The callback ports that every key of the vendor may use."""
    from zerogex.providers.tradestation.sign_in import DEFAULT_PORTS

    return DEFAULT_PORTS


def _secret(value: Any) -> str:
    """A credential, or the word the simulator is content with."""
    return value.get_secret_value() if value else "simulated"


def _auth_url(loaded: Loaded, api_url: str) -> str:
    """A simulator signs in by itself unless another host was named."""
    named = loaded.origins["tradestation_auth_url"] != "default"
    return loaded.settings.tradestation_auth_url if named or not loaded.settings.simulated else api_url


def enrich_config(settings: Settings) -> EnrichConfig:
    """How IV and Greeks are computed."""
    from zerogex.pipeline.enrich import EnrichConfig
    from zerogex.pricing.implied_vol import IvLimits

    limits = IvLimits(settings.iv_min, settings.iv_max, settings.iv_tolerance, settings.iv_max_iterations)
    return EnrichConfig(
        rate=settings.risk_free_rate,
        dividend=settings.dividend_yield,
        default_iv=settings.implied_volatility_default,
        iv_enabled=settings.iv_calculation_enabled,
        greeks_enabled=settings.greeks_enabled,
        limits=limits,
        priority=settings.iv_sources,
    )


def ingest_config(settings: Settings) -> IngestConfig:
    """What to follow, and how."""
    from zerogex.engines.ingest import IngestConfig

    return IngestConfig(
        underlyings=settings.underlyings,
        expirations=settings.stream_expirations,
        strike_distance=settings.stream_strike_distance,
        push=settings.websocket_enabled,
        regular_poll_s=settings.market_hours_poll_interval,
        extended_poll_s=settings.extended_hours_poll_interval,
        closed_poll_s=settings.closed_hours_poll_interval,
        strike_recalc_interval=settings.strike_recalc_interval,
        price_move_threshold=settings.price_move_threshold,
        strike_cleanup_interval=settings.strike_cleanup_interval,
        bucket_seconds=settings.aggregation_bucket_seconds,
        max_buffer=settings.max_buffer_size,
        flush_interval_s=settings.buffer_flush_interval,
        backfill_on_startup=settings.backfill_on_startup,
        standby=settings.ingest_standby,
        enrich=enrich_config(settings),
    )


def backfill_config(settings: Settings, *, lookback_days: int, sample_every: int, options: bool) -> BackfillConfig:
    """What to fill, and how."""
    from zerogex.engines.backfill import BackfillConfig

    return BackfillConfig(
        underlyings=settings.underlyings,
        lookback_days=lookback_days,
        sample_every=sample_every,
        expirations=settings.stream_expirations,
        strike_distance=settings.stream_strike_distance,
        bucket_seconds=settings.aggregation_bucket_seconds,
        delay_between_bars_s=settings.delay_between_bars,
        options=options,
        enrich=enrich_config(settings),
    )


def analyze_config(loaded: Loaded) -> AnalyzeConfig:
    """What to analyse, and how often; every symbol in the store where no setting names one."""
    from zerogex.engines.analyze import AnalyzeConfig

    settings = loaded.settings
    named = any(loaded.origins[name] != "default" for name in ("analytics_underlying", "stream_underlying"))
    return AnalyzeConfig(
        underlyings=settings.analysed if named else None,
        interval_s=settings.analytics_interval,
        bucket_seconds=settings.aggregation_bucket_seconds,
        analysis=_analysis_config(settings),
    )


def _analysis_config(settings: Settings) -> AnalysisConfig:
    from zerogex.analytics.config import AnalysisConfig

    return AnalysisConfig(dealer_model=settings.dealer_model, rate=settings.risk_free_rate)


def alert_channels(settings: Settings) -> list[AlertChannel]:
    """Where alerts go; none where no channel is set."""
    if settings.alert_ntfy_url is None and settings.alert_webhook_url is None:
        return []  # an HTTP client costs memory
    from zerogex.notify.channels import Ntfy, Target, Webhook

    channels: list[AlertChannel] = []
    if settings.alert_ntfy_url is not None:
        topic = Target(settings.alert_ntfy_url.get_secret_value(), settings.alert_allow_lan)
        token = settings.alert_ntfy_token
        channels.append(Ntfy(topic, token.get_secret_value() if token is not None else None))
    if settings.alert_webhook_url is not None:
        hook = Target(settings.alert_webhook_url.get_secret_value(), settings.alert_allow_lan)
        channels.append(Webhook(hook))
    return channels


def watched_for_trouble(settings: Settings) -> tuple[str, ...]:
    """Whose data are watched without a rule: what is followed here, or nothing."""
    return settings.underlyings if settings.alert_on_trouble else ()


def serving_config(settings: Settings) -> ServingConfig:
    """Where the page is served."""
    from zerogex.serving.config import ServingConfig

    return ServingConfig(
        host=settings.serve_host,
        port=settings.serve_port,
        symbols=settings.underlyings,
        version=__version__,
        allow_remote=settings.serve_behind_proxy,
        allowed_hosts=settings.allowed_hosts,
        tls_cert=settings.serve_tls_cert,
        tls_key=settings.serve_tls_key,
        chain_to_keys=settings.serve_chain_to_keys,
        analysis=_analysis_config(settings),
        bucket_seconds=settings.aggregation_bucket_seconds,
    )


def read_chain(path: Path) -> Any:
    """An option chain from a file of any known format: a `ChainFile`."""
    from zerogex.providers.chain_files import read_chain_file

    return read_chain_file(path)

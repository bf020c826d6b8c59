"""`zerogex up`: the whole platform in one command, and one Ctrl-C to stop it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zerogex import __version__, app, logs
from zerogex.announced import announce
from zerogex.cli.demo_start import demo_start
from zerogex.cli.process import load_with
from zerogex.cli.run import Distance, Expirations, Underlying
from zerogex.domain.calendar import NEW_YORK
from zerogex.errors import LockHeld
from zerogex.settings import Loaded

if TYPE_CHECKING:
    from zerogex.engines.supervise import Probe, Service

_FEED_URL = "TRADESTATION_API_URL"
# Starting again mends none of these: usage, another writer, credentials, configuration.
FATAL_CODES = frozenset({2, 75, 77, 78})


@dataclass(frozen=True, slots=True)
class Simulation:
    """The options of `up` that shape the simulated market."""

    start: datetime | None
    speed: float
    seed: int
    chains: tuple[Path, ...]
    faults: tuple[str, ...]


def up(
    underlying: Underlying = None,
    expirations: Expirations = None,
    strike_distance: Distance = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port of the page; 0: a free one.")
    ] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Use the simulator even with credentials.")] = False,
    speed: Annotated[
        float, typer.Option("--speed", min=0.01, max=1000, help="Simulator: market seconds in a second.")
    ] = 1.0,
    start: Annotated[
        datetime | None, typer.Option("--start", help="Simulator: market time to begin at, New York.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Simulator: the same seed is the same market.")] = 7,
    chain: Annotated[
        list[Path] | None, typer.Option("--chain", help="Simulator: seed positions from a real chain file.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Simulator: a fault to play, name or name=value.")
    ] = None,
) -> None:
    """Start everything: database, feed, ingest, analytics, page.  Ctrl-C drains and stops all."""
    simulation = Simulation(start, speed, seed, tuple(chain or ()), tuple(fault or ()))
    if simulation.chains and underlying is None:
        underlying = ",".join(dict.fromkeys(app.read_chain(path).chain.underlying for path in simulation.chains))
    loaded = load_with(
        {
            "stream_underlying": underlying,
            "stream_expirations": expirations,
            "stream_strike_distance": strike_distance,
            "serve_port": port,
            "zerogex_simulate": "true" if simulate or simulation.chains else None,
            "log_format": os.environ.get("LOG_FORMAT") or "text",
        }
    )
    logs.configure(loaded.settings, service="up")
    code = _run(loaded, simulation)
    say("stopped", "everything drained" if code == 0 else f"exit code {code}")
    raise typer.Exit(code)


def say(what: str, detail: str) -> None:
    """One line of talk for each thing that starts or ends."""
    typer.echo(f"{what:<10} {detail}", err=True)


def _run(loaded: Loaded, simulation: Simulation) -> int:
    from zerogex.engines.supervise import Supervisor

    settings = loaded.settings
    say("zerogex", f"{__version__}, following {', '.join(settings.underlyings)}")
    with app.database(loaded) as where:  # held while the children run: the embedded server stays up
        say("database", f"{where.dbname} on {'this machine, embedded' if not loaded.has_database else where.host}")
        begin = _prepare(loaded, simulation)
        page = free_port(settings.serve_host, settings.serve_port)
        services = _services(loaded, simulation, begin, page)
        supervisor = Supervisor(services, emit=_emit, on_ready=lambda service: say(service.name, "running"))
        ours = (services[0].env or {}).get(_FEED_URL) if begin is not None else None
        with announce(settings.zerogex_home, ours) if ours else nullcontext():
            return asyncio.run(supervisor.run())


def _prepare(loaded: Loaded, simulation: Simulation) -> datetime | None:
    """Bring the schema up to date; for a simulated market, decide when it begins.

    What an earlier run stored of a later simulated time is forgotten: that future is simulated anew.
    """
    from zerogex.store.upkeep import writers

    with app.open_store(loaded, migrate=True) as store:
        for symbol in loaded.settings.underlyings:
            with store.writer_lock(symbol):  # refuses at once where another ingest writes already
                pass
        if not loaded.settings.simulated or loaded.settings.tradestation_api_url:
            return None
        if others := writers(store.config):
            raise LockHeld(
                f"{', '.join(others)} writes here from a simulated market with another clock; stop that one first, "
                "or follow the same market: TRADESTATION_API_URL is the url of its log line `simulator listening`"
            )
        # of every symbol, followed now or not: what is stored must not lie in the market's future
        bars = [bar for symbol in store.underlyings() if (bar := store.last_bar(symbol))]
        last = max((bar.timestamp for bar in bars), default=None)
        begin = _begin(simulation, last)
        if last is not None and last >= begin:
            say("database", f"simulated rows after {begin.astimezone(NEW_YORK):%Y-%m-%d %H:%M} ET are simulated anew")
            store.forget_after(begin)
        return begin


def _begin(simulation: Simulation, last: datetime | None) -> datetime:
    if simulation.start is not None:
        return simulation.start if simulation.start.tzinfo else simulation.start.replace(tzinfo=NEW_YORK)
    if simulation.chains:
        return demo_start(app.read_chain(simulation.chains[0]).chain.as_of, last)
    return demo_start(datetime.now(UTC), last)


def _services(loaded: Loaded, simulation: Simulation, begin: datetime | None, page: int) -> list[Service]:
    """The children, in the order they start."""
    from zerogex.engines.supervise import Service

    settings = loaded.settings
    env = {**os.environ, "SERVE_PORT": str(page), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "zerogex"]
    services = []
    if begin is not None:
        feed = _feed_socket()
        url = f"http://127.0.0.1:{feed.getsockname()[1]}"
        env |= {_FEED_URL: url}
        argv = [*command, "simulate", "--listen-fd", str(feed.fileno()), *_simulator_options(simulation, begin)]
        services.append(Service("simulator", argv, env, ready=_answers(f"{url}/simulator/clock"), sockets=(feed,)))
        local = begin.astimezone(NEW_YORK)
        say(
            "feed", f"SIMULATED market from {local:%a %Y-%m-%d %H:%M} ET, {simulation.speed:g}x, seed {simulation.seed}"
        )
        if not settings.has_credentials:
            say("", "no TradeStation credentials are set; .env.example says how to use real data")
    else:
        what = "SIMULATED market" if settings.simulated else "TradeStation"
        say("feed", f"{what} at {app.feed_url(settings)}")
    services.append(_engine("ingest", command, env))
    if settings.analytics_enabled and settings.gex_enabled:
        services.append(_engine("analyze", command, env))
    else:
        say("analyze", "off (ANALYTICS_ENABLED or GEX_ENABLED is false)")
    host = f"[{settings.serve_host}]" if ":" in settings.serve_host else settings.serve_host
    url = f"{'https' if settings.serve_tls_cert else 'http'}://{host}:{page}"
    services.append(_engine("serve", command, env, _listens(settings.serve_host, page)))
    say("page", url)
    return services


def _engine(name: str, command: list[str], env: Mapping[str, str], ready: Probe | None = None) -> Service:
    from zerogex.engines.supervise import Service

    return Service(name, [*command, name], env, ready=ready, fatal_codes=FATAL_CODES)


def _simulator_options(simulation: Simulation, begin: datetime) -> list[str]:
    options = ["--start", begin.astimezone(NEW_YORK).strftime("%Y-%m-%dT%H:%M:%S")]
    options += ["--speed", f"{simulation.speed:g}", "--seed", str(simulation.seed)]
    options += [word for path in simulation.chains for word in ("--chain", str(path))]
    return options + [word for fault in simulation.faults for word in ("--fault", fault)]


def _answers(url: str) -> Probe:
    """A probe: whether a GET of this address succeeds."""

    async def probe() -> bool:
        import httpx2

        try:
            async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
                return (await client.get(url)).is_success
        except httpx2.HTTPError:
            return False

    return probe


def _listens(host: str, port: int) -> Probe:
    """A probe: whether somebody accepts connections there, with TLS or without."""

    async def probe() -> bool:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return probe


def _feed_socket() -> socket.socket:
    """A listening socket for our simulator: held from here on, so that nobody else's market can answer in its place."""
    for port in (app.SIMULATOR_PORT, 0):
        try:
            return socket.create_server(("127.0.0.1", port), backlog=256)
        except OSError:
            say("", f"port {port} is taken; another one is used")
    raise OSError("no free port on 127.0.0.1")


def free_port(host: str, wanted: int) -> int:
    """The wanted port if it is free, otherwise (or for 0) any that is."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                say("", f"port {wanted} is taken; another one is used")
                continue
            return int(listener.getsockname()[1])
    raise OSError(f"no free port on {host}")


def _emit(name: str, line: str) -> None:
    """A line of a child's log, under its name."""
    typer.echo(f"{name:<10} {line}", err=True)

"""What `zerogex doctor` looks at: each check says what it found, why, and what mends it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from zerogex import app
from zerogex import settings as table
from zerogex.domain.calendar import NEW_YORK, Session, session_at
from zerogex.errors import NotAuthorized, ProviderError, SchemaBehind, StoreError, ZerogexError
from zerogex.feed_clock import clock_of
from zerogex.settings import Loaded

if TYPE_CHECKING:
    from zerogex.store.config import DatabaseConfig
    from zerogex.store.postgres import PostgresStore

SKEW_S = 2.0  # an analysis of 0DTE options is wrong by as much
LITTLE_DISK, NO_DISK = 5 << 30, 1 << 30  # bytes
STALE = timedelta(minutes=5)  # of the newest stored minute, in the regular session
ASK_S = 5.0
CROWDED = 0.9  # of the server's connections


class State(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"  # worth knowing, nothing is broken
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    state: State
    finding: str
    cause: str = ""
    command: str = ""  # what mends it


Findings = Iterator[Finding]


def ok(check: str, finding: str) -> Finding:
    return Finding(check, State.OK, finding)


def problem(check: str, finding: str, cause: str, command: str) -> Finding:
    return Finding(check, State.PROBLEM, finding, cause, command)


def settings_of(env_file: Path | None = None) -> tuple[Loaded | None, list[Finding]]:
    """The settings, and what is wrong with them; without settings nothing else can be looked at."""
    try:
        loaded = table.load(env_file)
    except ZerogexError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        wrong = lines[1:] or [lines[0].partition(": ")[2] or lines[0]]
        return None, [
            problem("settings", line, "a value in the environment or in .env", "edit .env; see `zerogex config`")
            for line in wrong
        ]
    chosen = sum(origin != "default" for origin in loaded.origins.values())
    return loaded, [ok("settings", f"{chosen} set, {len(loaded.origins) - chosen} by default, none wrong")]


def env_file(loaded: Loaded) -> Findings:
    """Who may read `.env`, and names in it that mean nothing."""
    path = loaded.env_file
    if not path.is_file():
        yield Finding(".env", State.NOTE, f"there is no {path}: environment and defaults are used", "",
                      "cp .env.example .env")  # fmt: skip
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield problem(".env", f"{path} has mode {mode:04o}: others on this machine may read your secrets",
                      "it was made with the usual mode of new files", f"chmod 600 {path}")  # fmt: skip
    else:
        yield ok(".env", f"{path}, mode {mode:04o}")
    for name in loaded.unknown:
        meant = table.suggestion(name)
        yield Finding(".env", State.NOTE, f"{path} sets {name}, which is no setting",
                      f"probably {meant} is meant" if meant else "a setting of another program or an old one",
                      f"edit {path}")  # fmt: skip


def feed(loaded: Loaded) -> Findings:
    """Whether the feed answers, accepts us, and agrees with our clock."""
    return iter(asyncio.run(_feed(loaded)))


async def _feed(loaded: Loaded) -> list[Finding]:
    simulated, url = loaded.settings.simulated, app.feed_url(loaded.settings)
    found: list[Finding] = []
    sent = await _date_of(url)
    if sent is None:
        if simulated:
            wanted = loaded.settings.tradestation_api_url or loaded.settings.zerogex_simulate
            state = State.PROBLEM if wanted else State.NOTE
            return [Finding("feed", state, f"no simulator answers at {url}",
                            "no credentials are set, and the simulator runs only while it is started",
                            "zerogex up")]  # fmt: skip
        return [problem("feed", f"{url} does not answer", "no network, a firewall, or a wrong TRADESTATION_API_URL",
                        "zerogex probe auth --debug")]  # fmt: skip
    skew_s = (sent - datetime.now(UTC)).total_seconds() + 0.5  # the feed says whole seconds, cut off
    if abs(skew_s) > SKEW_S:
        found.append(problem("clock", f"this machine's clock is {abs(skew_s):.0f} s "
                             f"{'behind' if skew_s > 0 else 'ahead of'} the feed's",
                             "the clock is not synchronised", "sudo timedatectl set-ntp true"))  # fmt: skip
    else:
        found.append(ok("clock", f"within {SKEW_S:g} s of the feed's"))
    return [*found, await _credentials(loaded, "the simulator" if simulated else "TradeStation", url)]


async def _credentials(loaded: Loaded, who: str, url: str) -> Finding:
    try:
        clock = await app.market_clock(loaded)
        probes = app.probes(loaded, clock)
        try:
            await probes.ask("auth", app.probe_question(loaded.settings.underlyings[0], 1))
        finally:
            await probes.aclose()
    except NotAuthorized as error:
        return problem("credentials", str(error), "the key, its secret or the refresh token is not the right one",
                       "zerogex auth login")  # fmt: skip
    except (ProviderError, ZerogexError) as error:
        return problem("credentials", str(error), "the feed answered, but not as it should", "zerogex probe --debug")
    mark = f", SIMULATED market, {clock.now().astimezone(NEW_YORK):%Y-%m-%d %H:%M} ET" if clock.simulated else ""
    return ok("credentials", f"{who} at {url} accepts us{mark}")


async def _date_of(url: str) -> datetime | None:
    """The time of day in the answer of a server; None where none answers."""
    import httpx2

    try:
        async with httpx2.AsyncClient(timeout=ASK_S, trust_env="127.0.0.1" not in url) as http:
            answer = await http.get(url)
        found = parsedate_to_datetime(answer.headers.get("date", ""))
    except httpx2.HTTPError:
        return None
    except ValueError:
        return datetime.now(UTC)  # a server that does not say the time does not disagree either
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def database(loaded: Loaded) -> Findings:
    """The server, the schema, who writes, who waits, and how old the data is."""
    if not loaded.has_database and not (loaded.settings.zerogex_home / "postgres" / "PG_VERSION").exists():
        yield Finding("database", State.NOTE, "none is configured, and the embedded one was never started", "",
                      "zerogex up")  # fmt: skip
        return
    start = "sudo systemctl start postgresql" if loaded.has_database else "zerogex up"
    try:
        with app.database(loaded) as where:
            yield from _server(where, embedded=not loaded.has_database)
            yield from _stored(loaded)
    except SchemaBehind as error:
        yield problem("schema", str(error), "the program is newer than the database, or the reverse",
                      "zerogex db migrate")  # fmt: skip
    except StoreError as error:
        yield problem("database", str(error), "the server is not running, or DB_HOST, DB_PORT, DB_USER or the password "
                      "is wrong", start)  # fmt: skip
    except ZerogexError as error:
        yield problem("database", str(error), "the settings of the database", "zerogex config")


def _server(where: DatabaseConfig, *, embedded: bool) -> Findings:
    from zerogex.store.health import health

    state = health(where)
    kind = "embedded PostgreSQL" if embedded else "PostgreSQL"
    yield ok("database", f"{state.place}: {kind} {state.server_version}, {state.size_bytes / 1e6:,.0f} MB")
    if state.schema_version < state.newest_schema:
        yield problem("schema", f"version {state.schema_version}, this program needs {state.newest_schema}",
                      "the program is newer than the database", "zerogex db migrate")  # fmt: skip
    if state.read_only:
        yield problem("database", "it takes no writes", "it is a standby, or default_transaction_read_only is on",
                      "point DB_HOST at the primary server")  # fmt: skip
    if state.sessions > CROWDED * state.sessions_max:
        yield problem("database", f"{state.sessions} of {state.sessions_max} connections are taken",
                      "too many programs share the server", "lower DB_POOL_MAX, or raise max_connections")  # fmt: skip
    for blocked in state.blocked:
        yield problem("locks", f"{blocked.session or 'a session'} waits for {blocked.waiting_s:.0f} s",
                      f"{blocked.blocked_by} holds a lock", "end the session that holds it")  # fmt: skip
    writers = ", ".join(f"{underlying} by {holder}" for underlying, holder in state.writers)
    yield ok("locks", f"written: {writers}" if writers else "nobody writes now, nobody waits")


def _stored(loaded: Loaded) -> Findings:
    with app.open_store(loaded) as store:
        state = store.feed_state()
        if state is not None and state.trouble is not None and state.trouble_since is not None:
            since = f"{state.trouble_since.astimezone(NEW_YORK):%Y-%m-%d %H:%M} ET"
            yield problem("credentials", f"ingest cannot hear the feed since {since}: {state.trouble}",
                          "the refresh token expired or was revoked; minutes and spool go on without the feed",
                          "zerogex auth login, then restart ingest")  # fmt: skip
        for underlying in loaded.settings.underlyings:
            yield _age(store, underlying)


def _age(store: PostgresStore, underlying: str) -> Finding:
    bar, state = store.last_bar(underlying), store.feed_state()
    if bar is None:
        return Finding("data", State.NOTE, f"nothing is stored of {underlying}", "ingest never ran", "zerogex up")
    clock = clock_of(state)
    now, stored = clock.now(), f"{bar.timestamp.astimezone(NEW_YORK):%Y-%m-%d %H:%M} ET"
    age = now - bar.timestamp
    if session_at(now) is not Session.REGULAR or age < STALE:
        mark = " (SIMULATED)" if clock.simulated else ""
        return ok("data", f"{underlying} is stored up to {stored}{mark}")
    minutes = int(age.total_seconds() // 60)
    if clock.simulated:  # a simulated market does not go on while its simulator is stopped
        return Finding("data", State.NOTE, f"{underlying} is stored up to {stored}, {minutes} simulated minutes ago",
                       "the simulator or ingest is stopped", "zerogex up")  # fmt: skip
    return problem("data", f"the newest minute of {underlying} is of {stored}, {minutes} minutes ago",
                   "ingest is stopped, or the feed is silent", "zerogex ingest, then zerogex backfill")  # fmt: skip


def disk(loaded: Loaded) -> Findings:
    """Room for data, and minutes that wait in the spool."""
    places = {"home": loaded.settings.zerogex_home, "logs": loaded.settings.log_dir}
    for what, path in places.items():
        if path is None:
            continue
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        if not os.access(there, os.W_OK):
            yield problem("disk", f"{there} cannot be written", "it belongs to another user",
                          f"sudo chown -R $USER {there}")  # fmt: skip
        free = shutil.disk_usage(there).free
        said = f"{free / 2**30:,.1f} GB free for {what} at {path}"
        if free < NO_DISK:
            yield problem("disk", said, "the disk is nearly full", f"free space on the disk of {there}")
        else:
            yield Finding("disk", State.NOTE if free < LITTLE_DISK else State.OK, said)
    waiting = [path for path in (loaded.settings.zerogex_home / "spool").glob("*/*.spool") if path.stat().st_size]
    if waiting:
        names = ", ".join(sorted({path.stem for path in waiting}))
        yield Finding("spool", State.NOTE, f"minutes of {names} wait on disk for the database",
                      "the database was away, or ingest was killed", "zerogex ingest")  # fmt: skip
    refused = [
        str(path) for path in (loaded.settings.zerogex_home / "spool").glob("*/*.refused") if path.stat().st_size
    ]
    if refused:
        yield Finding("spool", State.NOTE, f"the database refused minutes kept in {', '.join(refused)}",
                      "a value that no column takes", "zerogex backfill")  # fmt: skip


def page(loaded: Loaded) -> Findings:
    """Whether the page's port is free, ours, or somebody else's."""
    host, port = loaded.settings.serve_host, loaded.settings.serve_port
    if port == 0:
        yield ok("page", "any free port")
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except PermissionError:
            yield problem("page", f"port {port} of {host} may not be opened", "ports below 1024 belong to root",
                          "SERVE_PORT=8642 zerogex serve")  # fmt: skip
            return
        except OSError as error:
            yield _taken(host, port, error.strerror or "taken")
            return
    yield ok("page", f"port {port} of {host} is free; `zerogex serve` or `zerogex up` serves it")


def _taken(host: str, port: int, why: str) -> Finding:
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if asyncio.run(_is_ours(f"{url}/api/v1/health/live")):
        return ok("page", f"served at {url}")
    return problem("page", f"{url} cannot be served ({why})", "another program uses the port, or the address is not "
                   "this machine's", "SERVE_PORT=0 zerogex serve")  # fmt: skip


async def _is_ours(url: str) -> bool:
    import httpx2

    try:
        async with httpx2.AsyncClient(timeout=ASK_S, trust_env=False) as http:
            answer = await http.get(url)
        return answer.is_success and answer.json().get("status") == "alive"
    except (httpx2.HTTPError, ValueError, AttributeError):
        return False


CHECKS = (env_file, feed, database, disk, page)

"""`zerogex db …`: make, migrate, check, clear, vacuum and enter the database, ours or the embedded one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zerogex import app as wiring
from zerogex import settings
from zerogex.cli.output import Output, counted, emit
from zerogex.errors import StoreError, StoreUnavailable
from zerogex.settings import Loaded

if TYPE_CHECKING:
    from zerogex.store.config import DatabaseConfig
    from zerogex.store.upkeep import Part

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The database: make, migrate, check, clear, vacuum, enter."
)
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NoDump = Annotated[bool, typer.Option("--no-dump", help="Do not save the data first.")]
STOP_TIMEOUT_S = 20.0
PSQL_NOT_CONNECTED = 2  # psql(1), exit status; ours for wrong usage


def say(text: str) -> None:
    """Talk, on stderr."""
    typer.echo(f"zerogex: {text}", err=True)


@app.command()
def init() -> None:
    """Make the database if it is missing, and its schema."""
    from zerogex.store.upkeep import create_database

    loaded = settings.load()
    with wiring.database(loaded) as where:
        if loaded.has_database and create_database(where):
            say(f"made database {where.dbname!r}")
        _migrate(where)


@app.command()
def migrate() -> None:
    """Bring the schema up to this program's version."""
    with wiring.database(settings.load()) as where:
        _migrate(where)


def _migrate(where: DatabaseConfig) -> None:
    from zerogex.store.migrate import migrate as bring_up
    from zerogex.store.migrate import newest
    from zerogex.store.upkeep import unsummed

    applied = bring_up(where)
    for name in applied:
        say(f"applied {name}")
    say(f"{where.place} is at version {newest()}" + ("" if applied else ", nothing to do"))
    if applied and (count := unsummed(where)):
        say(f"flow of {count} older minutes is computed when asked, slowly; `zerogex db refresh-views` sums it up once")


@app.command()
def check() -> None:
    """Whether the database answers and fits this program.  Exit code 69, 77 or 78 where not."""
    with wiring.open_store(settings.load()) as store:
        say(f"{store.config.place} answers, its schema is this program's")


@app.command()
def status(
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
) -> None:
    """Where the database is, its versions, size and users."""
    from zerogex.store.connections import connect
    from zerogex.store.migrate import current, newest
    from zerogex.store.upkeep import facts

    loaded = settings.load()
    with wiring.database(loaded) as where, connect(where, "zerogex status") as connection:
        known = facts(connection)
        schema = f"{current(connection)} (this program: {newest()})"
    rows = [
        ("kind", "configured" if loaded.has_database else f"embedded, under {loaded.settings.zerogex_home}"),
        ("host", where.host),
        ("port", str(where.port)),
        ("database", where.dbname),
        ("role", where.user),
        ("PostgreSQL", known.version),
        ("TimescaleDB", known.timescale or "not installed"),
        ("schema version", schema),
        ("size", f"{known.size_bytes / 1e6:,.1f} MB"),
        ("connections", str(known.connections)),
        ("writing now", ", ".join(known.writers) or "nobody"),
    ]
    emit(("what", "value"), rows, output)


@app.command("clear-data")
def clear_data(yes: Yes = False, no_dump: NoDump = False) -> None:
    """Erase all market data and analyses, after a dump.  The schema stays."""
    from zerogex.store.upkeep import Part

    _clear(Part.DATA, "all market data and analyses", yes, no_dump)


@app.command("clear-options")
def clear_options(yes: Yes = False, no_dump: NoDump = False) -> None:
    """Erase option chains only, after a dump."""
    from zerogex.store.upkeep import Part

    _clear(Part.OPTIONS, "all option chains", yes, no_dump)


@app.command("clear-underlying")
def clear_underlying(yes: Yes = False, no_dump: NoDump = False) -> None:
    """Erase underlying quotes only, after a dump."""
    from zerogex.store.upkeep import Part

    _clear(Part.UNDERLYING, "all underlying quotes", yes, no_dump)


def _clear(part: Part, what: str, yes: bool, no_dump: bool) -> None:
    """Ask for the database's name, dump, erase: in this order, and nothing after a step that failed."""
    from zerogex.store import upkeep

    loaded = settings.load()
    with wiring.open_store(loaded) as store:
        where = store.config
        if writers := upkeep.writers(where):
            say(f"{', '.join(writers)} is writing now and will go on; stop it first to start from nothing")
        if not yes:
            _confirm(where, what)
        if not no_dump:
            say("saving a dump first ...")
            saved = upkeep.dump(where, loaded.settings.zerogex_home / "dumps", datetime.now(UTC), os.environ)
            say(f"saved to {saved}")
        upkeep.clear(where, part)
    say(f"cleared {what} of database {where.dbname!r}: {', '.join(upkeep.TABLES[part])}")


def _confirm(where: DatabaseConfig, what: str) -> None:
    """Only the typed name of the database counts as a yes."""
    say(f"this erases {what} of {where.place}")
    try:
        typed = typer.prompt("Type the name of the database to go on", default="", show_default=False, err=True)
    except typer.Abort:
        typed = ""
    if typed.strip() != where.dbname:
        say(f"{typed.strip()!r} is not {where.dbname!r}; nothing was cleared")
        raise typer.Exit(1)


@app.command()
def restore(
    dump: Annotated[Path, typer.Argument(help="What a clear-… saved: a .dump file or a .csv folder.")],
    into: Annotated[
        str | None, typer.Option("--into", help="Name of the new database; NAME_restored if left out.")
    ] = None,
) -> None:
    """Bring a saved dump back, into a new database.  What is there is never touched."""
    from zerogex.store.restore import restore as bring_back

    with wiring.database(settings.load()) as where:
        target = bring_back(where, dump, into or f"{where.dbname}_restored", os.environ)
        say(f"restored {dump} into database {target.dbname!r}")
    old, new = f'"{where.dbname}"', f'"{target.dbname}"'
    say(
        "look at it: "
        + f"DB_HOST={where.host} DB_PORT={where.port} DB_USER={where.user} DB_NAME={target.dbname} zerogex show stats"
    )
    say(
        "put it in place, once nothing runs: zerogex db psql -d postgres -c "
        f"'ALTER DATABASE {old} RENAME TO \"{where.dbname}_before\"' -c 'ALTER DATABASE {new} RENAME TO {old}'"
    )


@app.command()
def vacuum() -> None:
    """VACUUM ANALYZE, table by table.  Gives space back and renews the planner's statistics."""
    from zerogex.store.upkeep import vacuum as each

    with wiring.open_store(settings.load()) as store:
        count = 0
        for table in each(store.config):
            count += 1
            say(f"vacuumed {table}")
    say(f"{count} tables done")


@app.command("refresh-views")
def refresh_views() -> None:
    """Sum the flow of the stored minutes anew.

    Needed once after a migration that brought sums, and after option_chains was changed by hand.
    Materialized views of your own are refreshed, too.
    """
    from zerogex.domain.calendar import trading_date
    from zerogex.store import upkeep

    with wiring.open_store(settings.load()) as store:
        minutes = upkeep.refresh_views(store.config)
        total = 0
        for (underlying, day), group in groupby(minutes, key=lambda minute: (minute[0], trading_date(minute[1]))):
            count = len(list(group))
            total += count
            say(f"summed {counted(count, 'minute')} of {underlying} on {day}")
        done = upkeep.refresh_materialized_views(store.config)
    say(
        f"{counted(total, 'minute')} summed, "
        + (f"refreshed {', '.join(done)}" if done else "no materialized view to refresh")
    )


@app.command()
def timescale(
    compress_after: Annotated[int, typer.Option("--compress-after", min=1, help="Days after which to compress.")] = 7,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Days after which data is dropped; left out: never.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Turn tables kept by day into TimescaleDB hypertables.  Compressed, once, where the server has it."""
    from zerogex.store.timescale import convert

    with wiring.open_store(settings.load()) as store:
        if keep is not None and not yes:
            _confirm(store.config, f"everything older than {keep} days")
        done = convert(store.config, compress_after_days=compress_after, keep_days=keep)
    say(
        f"TimescaleDB {done.version}: " + (", ".join(done.tables) + " converted" if done.tables else "converted before")
    )
    if done.refused:
        say(f"neither compression nor retention: {done.refused}")
    else:
        say(f"compressed after {compress_after} days, " + (f"dropped after {keep}" if keep else "never dropped"))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database.  What follows goes to psql, for example: zerogex db psql -c '\\dt'."""
    from zerogex.store.upkeep import libpq_environment, program

    with wiring.database(settings.load()) as where:
        found = program("psql")
        if found is None:
            raise StoreUnavailable("psql is not on this machine; install the PostgreSQL client, or use zerogex query")
        # Ctrl-C belongs to psql; a handler, unlike SIG_IGN, is not inherited
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            done = subprocess.run([str(found), *context.args], env=libpq_environment(where, os.environ), check=False)
        finally:
            signal.signal(signal.SIGINT, before)
    raise typer.Exit(StoreUnavailable.exit_code if done.returncode == PSQL_NOT_CONNECTED else done.returncode)


@app.command()
def start(
    detach: Annotated[bool, typer.Option("--detach", help="Keep it running in the background.")] = False,
) -> None:
    """Keep the embedded database running until Ctrl-C.  It also starts by itself with whatever needs it."""
    loaded = _embedded()
    if detach:
        _detach(loaded)
        return
    from zerogex.store.keeper import held

    ended = threading.Event()
    for number_ in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_, lambda number, frame: ended.set())
    with held(_hold_file(loaded)) as ours:
        if not ours:
            raise StoreError("the embedded database is kept running already; `zerogex db stop` ends that")
        with wiring.database(loaded) as where:
            _pid_file(loaded).write_text(str(_pid()))
            say(f"{where.place} is running")
            ended.wait()
        _pid_file(loaded).unlink(missing_ok=True)
    say("no longer kept running")


@app.command()
def stop() -> None:
    """End `zerogex db start`.  The embedded database stops when nobody else uses it either."""
    from zerogex.store.keeper import held

    loaded = _embedded()
    with held(_hold_file(loaded)) as free:
        if free:
            say("nothing keeps the embedded database running by itself; it stops with its last user")
            return
    os.kill(int(_pid_file(loaded).read_text()), signal.SIGTERM)
    say("the embedded database is let go; it stops when its last user is gone")


def _pid() -> int:
    return os.getpid()


def _detach(loaded: Loaded) -> None:
    """Run `db start` as a process of its own; returns when the database answers."""
    child = subprocess.Popen(
        [sys.executable, "-m", "zerogex", "db", "start"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    said = child.stderr.readline().strip()
    child.stderr.close()
    typer.echo(said, err=True)
    if "is running" not in said:
        raise typer.Exit(child.wait(timeout=STOP_TIMEOUT_S))
    child.returncode = 0  # it outlives us on purpose


def _embedded() -> Loaded:
    loaded = settings.load()
    if loaded.has_database:
        raise StoreError(
            f"the database is configured (DB_HOST or another DB_ setting: {loaded.settings.db_host}), not embedded; "
            "start and stop it as its server is, for example: sudo systemctl start postgresql"
        )
    return loaded


def _hold_file(loaded: Loaded) -> Path:
    home = loaded.settings.zerogex_home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home / "db-start.lock"


def _pid_file(loaded: Loaded) -> Path:
    return loaded.settings.zerogex_home / "db-start.pid"

"""`zerogex service`: the engines under systemd, and their journal.

Every action takes one service (ingestion, analytics, api) or, without a name, all three.  Where systemd does not
run the machine, the logs are the files of LOG_DIR.
"""

from __future__ import annotations

import getpass
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from zerogex import settings
from zerogex.cli import log_files
from zerogex.cli.output import counted, human
from zerogex.domain.calendar import NEW_YORK
from zerogex.errors import SettingsError, ZerogexError


@dataclass(frozen=True, slots=True)
class Unit:
    """One engine as a systemd service."""

    name: str  # what operators type
    unit: str
    command: str  # the zerogex command it runs
    description: str


UNITS = {
    unit.name: unit
    for unit in (
        Unit("ingestion", "zerogex-oa-ingestion.service", "ingest", "ZeroGEX ingestion: feed to PostgreSQL"),
        Unit("analytics", "zerogex-analytics.service", "analyze", "ZeroGEX analytics: gamma exposure"),
        Unit("api", "zerogex-api.service", "serve", "ZeroGEX page and API"),
    )
}
TELLER = Unit(
    "alert", "zerogex-alert@.service", "alerts tell", "ZeroGEX: tell that a service failed"
)  # started by systemd
UNIT_FOLDER = Path("/etc/systemd/system")
BOOTED = Path("/run/systemd/system")  # there where systemd is process 1: sd_booted(3)
HEALTH_WINDOW = "1 hour ago"
FOLLOWED_FROM = 50  # lines shown before the new ones

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The engines under systemd, and their journal.")
Lines = Annotated[int, typer.Option("-n", min=1, help="How many lines.")]
Name = Annotated[str | None, typer.Argument(help="ingestion, analytics or api; all three when left out.")]


class ServiceManagerMissing(ZerogexError):
    """This machine has no systemd to ask."""

    exit_code = 69


def chosen(name: str | None) -> list[Unit]:
    """The units a name stands for."""
    if name is None:
        return list(UNITS.values())
    if name not in UNITS:
        raise typer.BadParameter(f"{name!r} is not a service; expected {', '.join(UNITS)}", param_hint="NAME")
    return [UNITS[name]]


def tool(program: str) -> str:
    """The path of a systemd program; ServiceManagerMissing where there is none."""
    path = shutil.which(program)
    if path is None or not BOOTED.is_dir():
        files = ", and where LOG_DIR is set its files are read" if program == "journalctl" else ""
        raise ServiceManagerMissing(
            f"systemd ({program}) does not run this machine, so there are no services here; "
            f"`zerogex up` runs without{files}"
        )
    return path


def log_folder() -> Path | None:
    """Where the log is read from files: LOG_DIR, on a machine without a journal."""
    if BOOTED.is_dir() and shutil.which("journalctl"):
        return None
    folder = settings.load().settings.log_dir
    if folder is not None and not (folder / log_files.MAIN).is_file():
        raise ServiceManagerMissing(f"LOG_DIR is {folder}, where no engine has written a log yet; `zerogex up` does")
    return folder


def commands(name: str | None) -> frozenset[str] | None:
    """The `service` field of the lines a name stands for; all lines without one."""
    return None if name is None else frozenset(unit.command for unit in chosen(name))


def systemctl(action: str, units: Sequence[Unit]) -> None:
    """Run one systemctl action and hand on its exit code."""
    _show([tool("systemctl"), "--no-pager", action, *(unit.unit for unit in units)])


def journal(units: Sequence[Unit], *options: str) -> list[str]:
    """The journalctl command for these units."""
    return [tool("journalctl"), "--no-pager", *(f"--unit={unit.unit}" for unit in units), *options]


def _show(command: Sequence[str]) -> None:
    """Run a command on our terminal and hand on its exit code."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)


def _register(action: str, help: str) -> None:
    def run(name: Name = None) -> None:
        systemctl(action, chosen(name))

    run.__doc__ = help
    app.command(action)(run)


for _action, _help in (
    ("start", "Start."),
    ("stop", "Stop; the engine drains first."),
    ("restart", "Stop, then start."),
    ("status", "Show the state."),
    ("enable", "Start at boot."),
    ("disable", "Do not start at boot."),
):
    _register(_action, _help)


@app.command()
def logs(name: Name = None) -> None:
    """Follow the log; Ctrl-C ends."""
    if folder := log_folder():
        with suppress(KeyboardInterrupt):
            for line in log_files.follow(folder, commands(name), FOLLOWED_FROM):
                typer.echo(line)
        return
    _show(journal(chosen(name), "--follow", f"--lines={FOLLOWED_FROM}"))


@app.command("logs-tail")
def logs_tail(name: Name = None, lines: Lines = 100) -> None:
    """The last lines."""
    if folder := log_folder():
        _print(log_files.last_lines(folder, log_files.MAIN, commands(name), lines), "no line yet")
        return
    _show(journal(chosen(name), f"--lines={lines}"))


@app.command("logs-errors")
def logs_errors(name: Name = None, lines: Lines = 100) -> None:
    """Recent errors only."""
    if folder := log_folder():
        _print(log_files.last_lines(folder, log_files.ERRORS, commands(name), lines), "no error is in the log")
        return
    _show(journal(chosen(name), "--priority=err", f"--lines={lines}"))


@app.command("logs-grep")
def logs_grep(pattern: Annotated[str, typer.Argument(help="A regular expression.")]) -> None:
    """Today's lines that match a pattern.  Small letters match large ones, too.  Exit 1 where none does."""
    if not pattern:
        raise typer.BadParameter("a pattern is needed, for example PATTERN='Greek'", param_hint="PATTERN")
    if folder := log_folder():
        try:
            wanted = re.compile(pattern, re.IGNORECASE if pattern.islower() else 0)
        except re.error as error:
            raise typer.BadParameter(f"{pattern!r} is no regular expression: {error}", param_hint="PATTERN") from None
        today = datetime.now(NEW_YORK).date()
        if not _print(log_files.matches(folder, wanted, today), f"no line of {today} matches {pattern!r}"):
            raise typer.Exit(1)
        return
    _show(journal(chosen(None), "--since=today", f"--grep={pattern}"))


@app.command("logs-clear")
def logs_clear(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Drop archived logs, after a question.  Those of the journal, or of LOG_DIR."""
    if folder := log_folder():
        _clear_files(folder, yes)
        return
    journalctl = tool("journalctl")
    if not yes and not typer.confirm("This removes archived journal files of every service on this machine. Go on?"):
        raise typer.Exit(1)
    _show([journalctl, "--rotate"])
    _show([journalctl, "--vacuum-time=1s"])


def _print(lines: Iterable[str], otherwise: str) -> int:
    """Lines on stdout; a word on stderr where there are none.  How many there were."""
    count = 0
    for line in lines:
        typer.echo(line)
        count += 1
    if not count:
        typer.echo(f"zerogex: {otherwise}", err=True)
    return count


def _clear_files(folder: Path, yes: bool) -> None:
    files = [*log_files.rotated(folder, log_files.MAIN), *log_files.rotated(folder, log_files.ERRORS)]
    if not files:
        typer.echo(f"zerogex: {folder} has no archived log; what engines write now stays", err=True)
        return
    size = f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB"
    if not yes and not typer.confirm(
        f"This removes {counted(len(files), 'archived log')} ({size}) of {folder}. Go on?"
    ):
        raise typer.Exit(1)
    for path in files:
        path.unlink(missing_ok=True)
    typer.echo(f"zerogex: removed {counted(len(files), 'archived log')}, {size}", err=True)


@app.command()
def health(name: Name = None) -> None:
    """State, memory, recent errors and warnings.  Exit 1 where one is not running."""
    well = True
    for unit in chosen(name):
        properties = _properties(unit)
        running = properties.get("ActiveState") == "active"
        well = well and running
        memory = properties.get("MemoryCurrent", "")
        size = f"{int(memory) / 1_048_576:.0f} MB" if memory.isdigit() else "unknown"
        typer.echo(f"{unit.name:<10} {properties.get('ActiveState', 'unknown')} ({properties.get('SubState', '-')})")
        typer.echo(f"  memory    {size}")
        typer.echo(f"  restarts  {properties.get('NRestarts', '-')}")
        for priority, word in (("err", "errors"), ("warning..warning", "warnings")):
            lines = _recent(unit, priority)
            typer.echo(f"  {word:<9} {len(lines)} in the last hour")
            for line in lines[-3:]:
                typer.echo(f"    {line}")
    if not well:
        raise typer.Exit(1)


def _properties(unit: Unit) -> dict[str, str]:
    names = "ActiveState,SubState,MemoryCurrent,NRestarts"
    done = subprocess.run(
        [tool("systemctl"), "show", unit.unit, f"--property={names}"], check=False, capture_output=True, text=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _recent(unit: Unit, priority: str) -> list[str]:
    command = journal([unit], f"--priority={priority}", f"--since={HEALTH_WINDOW}", "--output=json")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    messages = []
    for line in done.stdout.splitlines():
        try:
            messages.append(human(_readable(str(json.loads(line).get("MESSAGE", ""))))[:200])
        except ValueError:
            continue
    return messages


def _readable(message: str) -> str:
    """A line of our JSON log as phrase and fields; anything else as it is."""
    try:
        fields = json.loads(message)
    except ValueError:
        return message
    if not isinstance(fields, dict) or "event" not in fields:
        return message
    rest = {name: value for name, value in fields.items() if name not in ("event", "timestamp", "level", "service")}
    return " ".join([str(fields["event"]), *(f"{name}={value}" for name, value in rest.items())])


def unit_text(
    unit: Unit,
    *,
    project: Path,
    home: Path,
    user: str,
    executable: Path,
    log_dir: Path | None = None,
    env_file: Path | None = None,
) -> str:
    """The unit file of one service; `home` and `log_dir` are all it may write to.

    `env_file` is named where the settings are elsewhere than in `.env` of `project`.
    """
    name = "alert.unit" if unit is TELLER else "service.unit"
    template = files("zerogex.cli").joinpath("templates", name).read_text()
    return template.format(
        description=unit.description,
        command=unit.command,
        project=project,
        home=home,
        env_file=f"\nEnvironment=ZEROGEX_ENV_FILE={env_file}" if env_file else "",
        writable=f"{home} {log_dir}" if log_dir else home,
        user=user,
        executable=executable,
    )


@app.command()
def install(
    folder: Annotated[Path, typer.Option("--folder", help="Where the unit files go.")] = UNIT_FOLDER,
    user: Annotated[str | None, typer.Option("--user", help="The user the engines run as.")] = None,
) -> None:
    """Write the unit files for this installation.  Then `zerogex service enable` and `start`."""
    loaded = settings.load()
    home, log_dir = loaded.settings.zerogex_home, loaded.settings.log_dir
    owner = user or os.environ.get("SUDO_USER") or getpass.getuser()
    if not _is_there(owner):
        raise SettingsError(
            f"there is no user {owner!r} on this machine for the engines to run as; make it (sudo useradd --system "
            f"{owner}), or name another with --user"
        )
    executable = (
        Path(sys.argv[0]).absolute() if Path(sys.argv[0]).name == "zerogex" else Path(sys.prefix, "bin/zerogex")
    )
    env_file = loaded.env_file.absolute()
    named = env_file if os.environ.get("ZEROGEX_ENV_FILE") else None
    for unit in (*UNITS.values(), TELLER):
        text = unit_text(
            unit, project=Path.cwd(), home=home, user=owner, executable=executable, log_dir=log_dir, env_file=named
        )
        typer.echo(str(_write(folder, unit.unit, text)))
    for needed in filter(None, (home, log_dir)):
        _make_folder(needed, owner)
    if not env_file.is_file():
        typer.echo(f"zerogex: there is no {env_file}; the services would start with the defaults alone", err=True)
    if not loaded.has_database:
        typer.echo(
            "zerogex: no database is configured (DB_HOST …); the services would share the embedded one", err=True
        )
    if folder == UNIT_FOLDER and (systemctl := shutil.which("systemctl")):
        subprocess.run([systemctl, "daemon-reload"], check=False)


def _write(folder: Path, name: str, text: str) -> Path:
    """Write one unit file; raises SettingsError saying what mends it."""
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    except PermissionError as error:
        raise SettingsError(f"{target} cannot be written ({error.strerror}); run this with sudo") from None
    except (FileExistsError, NotADirectoryError):
        raise SettingsError(f"{folder} is a file, or within one; name a folder with --folder") from None
    except OSError as error:
        raise SettingsError(
            f"{target} cannot be written ({error.strerror}); name another folder with --folder"
        ) from None
    return target


def _is_there(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _make_folder(folder: Path, owner: str) -> None:
    """A folder the engines write to must be there and theirs before systemd opens it to them."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0 and folder.owner() != owner:
            shutil.chown(folder, owner)
    except (OSError, LookupError) as error:
        typer.echo(f"zerogex: {folder} is not ready for user {owner}: {error}", err=True)

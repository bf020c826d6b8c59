"""The parent of an embedded PostgreSQL: starts it, restarts it if it dies, stops it when nobody uses it.

Run as `python -m zerogex.store.keeper HOME BIN [--grace S] [--set NAME=VALUE]…` by
`embedded.EmbeddedServer`, detached from the terminal.  Everything it knows lies in HOME:

    postgres/           the data folder; made under another name first, so half a one never counts
    postgres.users      each process that uses the server holds a shared flock on it
    postgres.keeper     the keeper holds an exclusive flock on it: there is one keeper a home
    postgres.password   of the role `zerogex`, for TCP
    postgres.port       the TCP port of last time, taken again if it is free
    postgres.log        what server and keeper say

The kernel drops the flocks of a killed process, so a crash ends a use as surely as a clean exit.
While the last user's lock is gone for `grace` seconds, the keeper takes the users' lock for itself,
which holds newcomers off, and shuts the server down.  If the keeper itself is killed, the kernel
sends the server SIGINT, PostgreSQL's fast shutdown.

PostgreSQL refuses uid 0.  As root the server runs in a user namespace of its own, where root's
files belong to uid 1000, and where namespaces are refused, as uid 65534 with the one capability to
reach files below folders that only root may enter.

This module imports the standard library only: it stays resident beside the server.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("zerogex.store.keeper")

ROLE = "zerogex"
NOBODY = 65534
POLL_S = 0.1
STARTS_MAX = 8  # failed starts in a row before giving up on a server that once ran
FIRST_STARTS_MAX = 3  # and on one that never did
STARTED_S = 5.0  # a server that lived this long had started
STOP_S = 30.0  # a fast shutdown that takes longer becomes an immediate one
LOG_BYTES_MAX = 8_000_000
SOCKET_PATH_MAX = 107  # sun_path, without its final NUL

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE, _CAPABILITY_VERSION_3 = 1, 0x20080522

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "max_connections": "50",
    "work_mem": "8MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Identity:
    """As whom the server runs: `assume` is called in the child between fork and exec."""

    name: str
    owner: int | None  # uid that the data folder must have; None: whoever we are
    assume: Callable[[], None]


class Halt(Exception):
    """The server cannot be kept running; the sentence goes to the log."""


# --- processes ---------------------------------------------------------------------------------


def _call(function: str, *arguments: object) -> None:
    """A libc call that raises OSError when it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _enter_namespace() -> None:
    """A user namespace in which our root is uid 1000."""
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")


def _become_nobody() -> None:
    """Uid 65534, still able to pass through folders closed to it (where the system lets us keep that)."""
    os.setgroups([])
    with contextlib.suppress(OSError, AttributeError):
        _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    with contextlib.suppress(OSError, AttributeError):
        bit = 1 << _CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low then high
        _call("capset", header, sets)
        _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _die_with_parent() -> None:
    """Linux: SIGINT (fast shutdown) for us when the parent is gone."""
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)


IDENTITIES = {
    "self": Identity("self", None, lambda: None),
    "namespace": Identity("namespace", 0, _enter_namespace),
    "nobody": Identity("nobody", NOBODY, _become_nobody),
}


def choose_identity(binaries: Path, home: Path) -> Identity:
    """The first identity under which the server's program runs and HOME can be reached.

    Raises Halt naming what was tried.
    """
    if os.geteuid() != 0:
        return IDENTITIES["self"]
    problems = []
    for name in ("namespace", "nobody"):
        identity = IDENTITIES[name]

        def assume(identity: Identity = identity) -> None:
            identity.assume()
            home.stat()

        try:
            subprocess.run([binaries / "postgres", "-V"], preexec_fn=assume, check=True, capture_output=True)
            return identity
        except (OSError, subprocess.SubprocessError) as error:
            problems.append(f"{name}: {error}")
    raise Halt(f"PostgreSQL refuses to run as root, and no other identity works ({'; '.join(problems)})")


def _own(folder: Path, owner: int | None) -> None:
    """Give a folder and all in it to the server's identity, unless it has them already."""
    if owner is None or folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


# --- the data folder -----------------------------------------------------------------------------


def make_data(home: Path, binaries: Path, identity: Identity) -> None:
    """Run initdb beside the final place and move the finished folder there."""
    data, fresh = home / "postgres", home / "postgres.new"
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    _own(fresh, identity.owner)
    password = home / "postgres.password"
    command = [str(binaries / "initdb"), "-D", str(fresh), "-U", ROLE, "-E", "UTF8", "--locale=C", "--no-instructions",
               "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]  # fmt: skip
    done = subprocess.run(command, preexec_fn=identity.assume, capture_output=True, text=True, cwd="/")
    if done.returncode != 0:
        raise Halt(f"initdb failed with {done.returncode}: {done.stderr.strip()[-1500:]}")
    if data.exists():  # a folder that never became a database: keep it, out of the way
        data.rename(home / f"postgres.broken.{time.time_ns()}")
    fresh.rename(data)


def clear_stale_pid(data: Path) -> None:
    """Remove the postmaster.pid of a server that is gone; end a live one whose keeper was killed.

    PostgreSQL itself only asks whether *some* process has that number, which after a power cut
    may be anyone.  A postmaster is ours if it works in our data folder.
    """
    file = data / "postmaster.pid"
    deadline = time.monotonic() + STOP_S
    while file.exists() and sys.platform == "linux":
        try:
            pid = int(file.read_text().splitlines()[0])
            ours = Path(f"/proc/{pid}/cwd").resolve() == data.resolve()
        except (OSError, ValueError, IndexError):
            ours = False
        if not ours:
            file.unlink(missing_ok=True)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline - STOP_S / 2 else signal.SIGQUIT)
        if time.monotonic() > deadline:
            raise Halt(f"process {pid} still works in {data} and does not end")
        time.sleep(POLL_S)


# --- where it listens ----------------------------------------------------------------------------


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_port(home: Path) -> int:
    """The port of last time if it is free, otherwise any free one, which is remembered."""
    file = home / "postgres.port"
    with contextlib.suppress(OSError, ValueError):
        port = int(file.read_text())
        if 1024 <= port <= 65535 and _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    file.write_text(f"{port}\n")
    return port


def socket_folder(home: Path, owner: int | None) -> Path:
    """An empty folder with mode 0700: HOME/run, or a short one in the temporary folder if that is too long a path."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.65535")) > SOCKET_PATH_MAX or set(str(folder)) & set(",\"'\\ "):
        folder = Path(tempfile.mkdtemp(prefix="zerogex-"))
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for stale in folder.glob(".s.PGSQL.*"):
        stale.unlink(missing_ok=True)
    if owner is not None:
        os.chown(folder, owner, owner)
    return folder


# --- the watch -----------------------------------------------------------------------------------


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """An exclusive flock on a file for the length of the block; False where somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


class Keeper:
    """Runs the server until its users are gone."""

    def __init__(self, home: Path, binaries: Path, grace_s: float, settings: dict[str, str]) -> None:
        self.home, self.binaries, self.grace_s = home, binaries, grace_s
        self.settings = {**SETTINGS, **settings}
        self.asked_to_stop = False

    def run(self) -> None:
        """Make, start, watch, stop.  Raises Halt when the server cannot be kept running."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        identity = choose_identity(self.binaries, self.home)
        make_data(self.home, self.binaries, identity)
        data = self.home / "postgres"
        _own(data, identity.owner)
        failures, failures_max = 0, FIRST_STARTS_MAX
        while failures < failures_max:
            clear_stale_pid(data)
            folder = socket_folder(self.home, identity.owner)
            started = time.monotonic()
            server = subprocess.Popen(self._command(data, folder), preexec_fn=lambda: _start_as(identity), cwd="/")
            try:
                if self._watch(server):
                    return
            finally:
                if folder.parent != self.home:
                    shutil.rmtree(folder, ignore_errors=True)
            failures += 1
            if time.monotonic() - started > STARTED_S:
                failures, failures_max = 1, STARTS_MAX
            log.warning("server ended by itself with %s; starting it again", server.returncode)
            time.sleep(POLL_S * failures)
        raise Halt(f"the server failed to start {failures} times in a row; the log above says why")

    def _on_signal(self, number: int, frame: object) -> None:
        self.asked_to_stop = True  # without a grace, but never while somebody uses the server

    def _command(self, data: Path, folder: Path) -> Sequence[str | Path]:
        settings = {**self.settings, "port": str(choose_port(self.home)), "unix_socket_directories": str(folder)}
        version = int((data / "PG_VERSION").read_text().strip())
        if version >= 18:
            settings.setdefault("io_method", "sync")  # three processes fewer
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.binaries / "postgres", "-D", data, *options]

    def _watch(self, server: subprocess.Popen[bytes]) -> bool:
        """True when the users are gone and the server is stopped; False when it ended by itself."""
        users = self.home / "postgres.users"
        idle_since: float | None = None
        while server.poll() is None:
            grace = 0.0 if self.asked_to_stop else self.grace_s
            with held(users) as free:
                now = time.monotonic()
                idle_since = (idle_since if idle_since is not None else now) if free else None
                if idle_since is not None and now - idle_since >= grace:
                    _stop(server)
                    return True
            time.sleep(POLL_S)
        return False


def _start_as(identity: Identity) -> None:
    identity.assume()
    _die_with_parent()  # after the change of identity, which would clear it


def _stop(server: subprocess.Popen[bytes]) -> None:
    """A fast shutdown; an immediate one if that takes too long."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the server of one home; 0 when it was stopped in good order or another keeper has it."""
    parser = argparse.ArgumentParser(prog="zerogex.store.keeper")
    parser.add_argument("home", type=Path)
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--grace", type=float, default=2.0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s keeper: %(message)s")
    settings = dict(pair.split("=", 1) for pair in options.set)
    with held(options.home / "postgres.keeper") as mine:
        if not mine:
            return 0
        try:
            Keeper(options.home, options.binaries, options.grace, settings).run()
        except Halt as halt:
            log.error("%s", halt)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The embedded server's life: started once, shared, restarted, and gone when nobody needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from zerogex.errors import StoreUnavailable
from zerogex.store import keeper
from zerogex.store.embedded import EmbeddedServer, find_binaries, server_version

USER = """
import sys
from pathlib import Path
from zerogex.store.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1]), grace_s=0.0) as server:
    print(server.port, server.config("shared").place, flush=True)
    sys.stdin.read()
"""


def user(home: Path) -> subprocess.Popen[str]:
    """Another process that uses the server of a home until its standard input closes."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def postmaster(server: EmbeddedServer) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    EmbeddedServer(home).stop(wait_s=20)


def ask(server: EmbeddedServer, text: str) -> object:
    with psycopg.connect(**server.config("postgres").parameters()) as connection:
        row = connection.execute(text).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_share_one_server_and_the_last_one_out_stops_it(home: Path) -> None:
    starters = [user(home) for _ in range(3)]  # at once, on a home where there is nothing yet
    try:
        assert len({line(process) for process in starters}) == 1
        server = EmbeddedServer(home)
        server.start()
        pid = postmaster(server)
        starters[0].communicate("")  # a clean end
        starters[1].kill()  # and one by kill -9
        starters[1].wait()
        server.stop()
        assert is_alive(pid)
        starters[2].kill()
        assert eventually(lambda: not is_alive(pid))
        assert not (home / "postgres" / "postmaster.pid").exists()
        assert "database system is shut down" in server.log_file.read_text()
    finally:
        for process in starters:
            process.kill()
            process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_data_survive_kills_of_server_and_keeper_and_a_stale_pid_file(home: Path) -> None:
    server = EmbeddedServer(home, grace_s=0.0)
    with server:
        with psycopg.connect(server.dsn("kept"), autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
        first = postmaster(server)
        os.kill(first, signal.SIGKILL)  # the keeper restarts it on the same port
        assert eventually(lambda: (server.data / "postmaster.pid").exists() and postmaster(server) != first)
        port = server.port
        server.start()
        assert server.port == port

        second = postmaster(server)
        parent = int(Path(f"/proc/{second}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(parent, signal.SIGKILL)  # the kernel tells the server to shut down
        assert eventually(lambda: not is_alive(second))
        (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")  # a number used by somebody else
        server.start()
        with psycopg.connect(server.dsn("kept")) as connection:
            assert connection.execute("SELECT answer FROM t").fetchone() == (42,)
    server.stop(wait_s=20)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux")
def test_as_root_without_namespaces_the_server_runs_as_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = home / "nobody"
    nobody.mkdir(parents=True)
    home.chmod(0o700)  # which uid 65534 may not enter by itself
    (nobody / "postgres.password").write_text("secret")
    identity = keeper.IDENTITIES["nobody"]
    binaries = find_binaries()
    keeper.make_data(nobody, binaries, identity)
    assert (nobody / "postgres").stat().st_uid == keeper.NOBODY
    monkeypatch.setattr(keeper, "choose_identity", lambda binaries, home: identity)
    watched = keeper.Keeper(nobody, binaries, 0.0, {})
    folder = keeper.socket_folder(nobody, identity.owner)
    server = subprocess.Popen(
        watched._command(nobody / "postgres", folder), preexec_fn=identity.assume, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        found = EmbeddedServer(nobody)
        monkeypatch.setattr(found, "_keeper_lives", lambda: True)
        assert eventually(lambda: found._running() is not None)
        assert Path(f"/proc/{server.pid}").stat().st_uid == keeper.NOBODY
    finally:
        keeper._stop(server)


def test_the_servers_promises_to_durability_and_privacy(postgres_server: EmbeddedServer, home: Path) -> None:
    with EmbeddedServer(home, grace_s=0.0) as server:
        for setting, value in {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}.items():
            assert ask(server, f"SHOW {setting}") == value
        assert ask(server, "SHOW TimeZone") == "UTC"
        assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
        folder = Path(server.config("postgres").host)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (home / "postgres.password").stat().st_mode & 0o777 == 0o600
        over_tcp = {"host": "127.0.0.1", "port": server.port, "user": "zerogex", "dbname": "postgres"}
        with psycopg.connect(**over_tcp, password=server.password) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**over_tcp, password="wrong")


def test_a_home_with_a_long_path_gets_a_short_socket_folder(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    home.mkdir()
    folder = keeper.socket_folder(home, None)
    try:
        assert len(str(folder)) < 60
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        folder.rmdir()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(home: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"did not start; its log .*shared_buffers"):
        EmbeddedServer(home, settings={"shared_buffers": "nonsense"}, grace_s=0.0).start()


def test_a_configured_folder_without_a_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"looked in {tmp_path} \(no server\)"):
        find_binaries(tmp_path)


def test_initdb_and_postgres_of_different_versions_are_no_server(tmp_path: Path) -> None:
    for program, version in (("initdb", "18.6"), ("postgres", "15.17 (Debian 15.17-0+deb12u1)")):
        (tmp_path / program).write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")
        (tmp_path / program).chmod(0o755)
    assert server_version(tmp_path) is None
    (tmp_path / "initdb").write_text("#!/bin/sh\necho 'initdb (PostgreSQL) 15.2'\n")
    assert server_version(tmp_path) == 15


def test_a_data_folder_wants_a_server_of_its_own_version(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no PostgreSQL 9 server, which made the data folder, was found"):
        find_binaries(version=9)


def test_a_server_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is not started"):
        EmbeddedServer(tmp_path).dsn()


def test_the_keeper_imports_nothing_heavy() -> None:
    program = "import sys, zerogex.store.keeper; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "psycopg", "msgspec", "zerogex.domain"} & set(loaded)

"""Real child processes, started, kept and drained."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from zerogex.engines import supervise
from zerogex.engines.supervise import Service, Supervisor

PATIENT = """
    import signal, sys, time
    def drain(number, frame):
        print("draining", flush=True)
        time.sleep({drain_s})
        print("drained", flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, drain)
    print("ready at last", flush=True)
    while True:
        time.sleep(0.01)
"""


def child(name, code, **options):
    return Service(name, [sys.executable, "-c", textwrap.dedent(code)], **options)


def patient(name, drain_s=0.0, **options):
    return child(name, PATIENT.format(drain_s=drain_s), ready=re.compile("ready"), **options)


class Told:
    """What a supervisor said, and a way to wait for it."""

    def __init__(self):
        self.lines = []
        self.ready = []

    def line(self, name, text):
        self.lines.append((name, text))

    async def until(self, condition, timeout_s=20.0):
        async with asyncio.timeout(timeout_s):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.005)

    def supervisor(self, *services, **options):
        return Supervisor(services, emit=self.line, on_ready=lambda s: self.ready.append(s.name), **options)


async def test_services_start_in_order_each_after_the_one_before_is_ready():
    told = Told()
    supervisor = told.supervisor(patient("first"), patient("second"))
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: told.ready == ["first", "second"])
    supervisor.stop()
    assert await running == 0
    first_ready = told.lines.index(("first", "ready at last"))
    assert first_ready < told.lines.index(("second", "ready at last"))


async def test_children_are_asked_once_and_drain_last_started_first():
    told = Told()
    supervisor = told.supervisor(patient("store", 0.05), patient("writer", 0.05))
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: len(told.ready) == 2)
    supervisor.stop()
    assert await running == 0
    said = [line for line in told.lines if "drain" in line[1]]
    assert said == [("writer", "draining"), ("writer", "drained"), ("store", "draining"), ("store", "drained")]


async def test_a_fallen_child_is_started_again(monkeypatch, tmp_path):
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.01)
    marker = tmp_path / "fell"
    code = f"""
        import pathlib, sys, time
        marker = pathlib.Path({str(marker)!r})
        if not marker.exists():
            marker.touch()
            sys.exit(3)
        print("standing", flush=True)
        time.sleep(60)
    """
    told = Told()
    supervisor = told.supervisor(child("worker", code, ready=re.compile("standing")))
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: told.ready)
    supervisor.stop()
    assert await running == 0


@pytest.mark.parametrize(
    "options", [{"restart": False}, {"fatal_codes": frozenset({75})}], ids=["not restarted", "fatal code"]
)
async def test_a_child_that_must_not_be_started_again_ends_the_run_with_its_code(options):
    told = Told()
    code = "import sys; print('lock held', file=sys.stderr); sys.exit(75)"
    assert await told.supervisor(patient("feed"), child("worker", code, **options)).run(handle_signals=False) == 75
    assert ("worker", "lock held") in told.lines
    assert ("feed", "drained") in told.lines


async def test_a_child_that_cannot_be_started_ends_the_run():
    told = Told()
    assert await told.supervisor(Service("ghost", ["/does/not/exist"])).run(handle_signals=False) == 127


async def test_a_child_that_is_never_ready_ends_the_run():
    told = Told()
    mute = child("mute", "import time; time.sleep(60)", ready=re.compile("never"), ready_within_s=0.2)
    assert await told.supervisor(mute).run(handle_signals=False) == 1


async def test_readiness_may_be_a_question(tmp_path):
    marker = tmp_path / "up"

    async def is_up():
        return marker.exists()

    told = Told()
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    supervisor = told.supervisor(child("server", code, ready=is_up))
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: told.ready == ["server"])
    supervisor.stop()
    assert await running == 0


async def test_what_does_not_drain_is_killed_at_the_deadline():
    told = Told()
    stubborn = child("stubborn", PATIENT.format(drain_s=60), ready=re.compile("ready"))
    supervisor = told.supervisor(stubborn, drain_s=0.3)
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: told.ready)
    supervisor.stop()
    assert await running == 1


async def test_a_second_request_kills():
    told = Told()
    supervisor = told.supervisor(patient("slow", drain_s=60), drain_s=30)
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: told.ready)
    supervisor.stop()
    await told.until(lambda: ("slow", "draining") in told.lines)
    supervisor.stop()
    assert await running == 130


async def test_a_line_longer_than_the_limit_stops_nothing(monkeypatch):
    monkeypatch.setattr(supervise, "_LINE_MAX", 1000)
    told = Told()
    code = "import time; print('x' * 5000, flush=True); print('after', flush=True); time.sleep(60)"
    supervisor = told.supervisor(child("loud", code, ready=re.compile("after")))
    running = asyncio.ensure_future(supervisor.run(handle_signals=False))
    await told.until(lambda: told.ready)
    supervisor.stop()
    assert await running == 0


def alive(process_id):
    try:
        os.kill(process_id, 0)
        return "Z" not in Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_killing_the_supervisor_drains_its_children(tmp_path):
    """The child writes a file when it drains: proof that it was asked and not killed."""
    said = tmp_path / "said"
    worker = tmp_path / "worker.py"
    worker.write_text(
        textwrap.dedent(f"""
        import os, pathlib, signal, sys, time
        def drain(number, frame):
            pathlib.Path({str(said)!r}).write_text("drained")
            sys.exit(0)
        signal.signal(signal.SIGTERM, drain)
        print("ready", os.getpid(), flush=True)
        while True:
            time.sleep(0.01)
        """)
    )
    boss = textwrap.dedent(f"""
        import asyncio, re, sys
        from zerogex.engines.supervise import Service, Supervisor
        service = Service("worker", [sys.executable, {str(worker)!r}], ready=re.compile("ready"))
        asyncio.run(Supervisor([service], emit=lambda name, line: print(line, flush=True)).run())
    """)
    supervisor = subprocess.Popen([sys.executable, "-c", boss], stdout=subprocess.PIPE, text=True)
    with supervisor:
        process_id = int(supervisor.stdout.readline().split()[1])
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
        deadline = time.monotonic() + 20
        while alive(process_id) and time.monotonic() < deadline:
            time.sleep(0.01)
        supervisor.stdout.close()
    assert said.read_text() == "drained"


def test_sigint_to_the_supervisor_alone_drains_everything(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        textwrap.dedent("""
        import signal, sys, time
        signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
        signal.signal(signal.SIGTERM, lambda *_: (print("asked", flush=True), sys.exit(0)))
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
        """)
    )
    boss = textwrap.dedent(f"""
        import asyncio, re, sys
        from zerogex.engines.supervise import Service, Supervisor
        service = Service("worker", [sys.executable, {str(worker)!r}], ready=re.compile("ready"))
        sys.exit(asyncio.run(Supervisor([service], emit=lambda name, line: print(line, flush=True)).run()))
    """)
    group = subprocess.Popen([sys.executable, "-c", boss], stdout=subprocess.PIPE, text=True, start_new_session=True)
    with group:
        assert group.stdout.readline() == "ready\n"
        os.killpg(group.pid, signal.SIGINT)  # what a terminal's Ctrl-C does
        assert group.stdout.read() == "asked\n"
        assert group.wait(20) == 0


async def test_a_child_inherits_a_listening_socket_and_answers_on_it():
    code = """
        import socket, sys
        with socket.socket(fileno=int(sys.argv[1])) as listener:
            while True:
                with listener.accept()[0] as caller:
                    caller.sendall(b"mine")
    """
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as held:
        argv = [sys.executable, "-c", textwrap.dedent(code), str(held.fileno())]
        supervisor = told.supervisor(Service("feed", argv, sockets=(held,)))
        running = asyncio.ensure_future(supervisor.run(handle_signals=False))
        reader, writer = await asyncio.open_connection(*held.getsockname())
        assert await reader.read() == b"mine"
        writer.close()
        supervisor.stop()
        await running

"""Run every `make` target for real, as an operator would, and say which ended otherwise than expected.

    .venv/bin/python tools/walk_targets.py [--clear] [--keep FOLDER] [TARGET ...]
    .venv/bin/python tools/walk_targets.py --down           # the database is away: every target that needs it says so

The database and the feed are those of this environment and its `.env`; without TRADESTATION_API_URL a simulator is
started for the walk.  Nothing is erased without --clear (then it is, after a dump).  Expectations are in
walk_targets.toml: a code and a regular expression for what was said.  A target without one fails the walk, and so do a
traceback, and lines wider than 80 columns.  Exit 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SYSTEMD = Path("/run/systemd/system").is_dir()
WIDE = 80
NO_SERVICES = "systemd .* does not run this machine"
NO_DATABASE = "cannot reach database"


@dataclass(frozen=True, slots=True)
class Case:
    """How one target is run, and what must come of it."""

    target: str
    words: tuple[str, ...] = ()  # NAME=value, as typed after `make TARGET`
    typed: str = ""  # on its standard input
    until: str = ""  # Ctrl-C once it said this
    code: tuple[int, ...] = (0,)  # of the program, not of make
    says: str = "."
    wide: bool = False  # may be wider than a terminal
    left_out: str = ""  # why it is not run


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it."""

    code: int
    seconds: float
    out: str
    err: str
    late: bool

    @property
    def text(self) -> str:
        return self.out + self.err


def targets() -> list[str]:
    """All that `make help` lists."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z0-9-]+) ", listed, re.MULTILINE)


def case_of(target: str, table: Mapping[str, Any], *, down: bool, clear: bool, folder: Path) -> Case | None:
    """The expectation of a target; None where nobody wrote one."""
    if re.fullmatch(table["service"]["targets"], target):
        if SYSTEMD:
            return Case(target, left_out="systemd runs this machine; services are not touched")
        kind = re.search(r"logs(-[a-z]+)?$", target)
        if kind is None or log_folder() is None:
            words = ("PATTERN=x",) if target == "logs-grep" else ()
            return Case(target, words, code=(69,), says=NO_SERVICES)
        row = dict(table["log"][kind[0]])
    else:
        row = dict(table["target"].get(target, {}))
    if not row:
        return None
    row |= row.pop("clear", {}) if clear else {}
    row.pop("clear", None)
    needs = row.pop("needs", "")
    if down and "database" in needs:
        row |= {"code": 69, "says": NO_DATABASE, "typed": ""} | row.pop("down", {})
        if row["says"] == NO_DATABASE:
            row["until"] = ""
    elif down and not row.get("left_out"):
        row["left_out"] = "asks no database"
    if target in table["embedded"]["targets"] and configured() and not row.get("left_out"):
        row |= {"code": 74, "says": "is configured", "until": ""}
    code = row.get("code", 0)
    row.pop("down", None)
    row["code"] = tuple(code) if isinstance(code, list) else (code,)
    row["words"] = tuple(word.replace("{folder}", str(folder)) for word in row.get("words", ()))
    return Case(target, **row)


@cache
def loaded() -> Any:
    """The settings of this environment and of the `.env` beside the Makefile."""
    from zerogex import settings

    os.chdir(ROOT)
    return settings.load()


def configured() -> bool:
    """Whether a PostgreSQL server is configured; otherwise the embedded one is walked."""
    return bool(loaded().has_database)


def log_folder() -> Path | None:
    """LOG_DIR: its files are read where there is no journal."""
    folder: Path | None = loaded().settings.log_dir
    return folder


def run(case: Case, env: Mapping[str, str], limit_s: float) -> Ran:
    """One target, on a terminal of eighty columns, ended by Ctrl-C where it does not end by itself."""
    begun = time.monotonic()
    process = subprocess.Popen(
        ["make", "--no-print-directory", case.target, *case.words], cwd=ROOT, env={**env, "COLUMNS": str(WIDE)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    said: dict[str, list[str]] = {"out": [], "err": []}
    heard = threading.Event()

    def read(name: str, pipe: Any) -> None:
        for line in pipe:
            said[name].append(line)
            if case.until and re.search(case.until, line):
                heard.set()

    readers = [
        threading.Thread(target=read, args=(n, p)) for n, p in (("out", process.stdout), ("err", process.stderr))
    ]
    for reader in readers:
        reader.start()
    assert process.stdin is not None
    process.stdin.write(case.typed)
    process.stdin.close()
    late = False
    if case.until:
        while process.poll() is None and not heard.wait(0.1) and not late:
            late = time.monotonic() - begun > limit_s
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        late = True
        os.killpg(process.pid, signal.SIGKILL)
    for reader in readers:
        reader.join()
    out, err = "".join(said["out"]), "".join(said["err"])
    return Ran(program_code(process.returncode, err), time.monotonic() - begun, out, err, late)


def program_code(code: int, err: str) -> int:
    """The program's exit code: make says it, and ends with 2 itself."""
    told = re.findall(r"^make: \*\*\* .*Error (\d+)", err, re.MULTILINE)
    return int(told[-1]) if told else code


def faults(case: Case, ran: Ran) -> list[str]:
    """What is wrong with how a target ended."""
    found = []
    if ran.late:
        found.append("did not end" if not case.until else f"never said {case.until!r}")
    if ran.code not in case.code and not (case.until and ran.code == -signal.SIGINT):
        found.append(f"exit {ran.code}, expected {' or '.join(map(str, case.code))}")
    if "Traceback (most recent call last)" in ran.text:
        found.append("traceback")
    if not re.search(case.says, ran.text, re.MULTILINE):
        found.append(f"does not say {case.says!r}")
    widest = max((len(line.rstrip()) for line in ran.out.splitlines()), default=0)
    if widest > WIDE and not case.wide:
        found.append(f"{widest} columns")
    return found


@contextmanager
def feed(env: dict[str, str]) -> Iterator[None]:
    """A simulator for the targets that ask the feed, unless the environment names one."""
    if env.get("TRADESTATION_API_URL"):
        yield
        return
    command = [ROOT / ".venv/bin/zerogex", "simulate", "--port", "0", "--start", "2026-02-20T10:30"]
    server = subprocess.Popen(command, env={**env, "LOG_FORMAT": "text"}, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        told = next(filter(None, (re.search(r"url=(http\S+)", line) for line in server.stderr)))
        threading.Thread(target=server.stderr.read, daemon=True).start()
        env["TRADESTATION_API_URL"] = told[1]
        yield
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def walk(names: Sequence[str], arguments: argparse.Namespace, env: dict[str, str], folder: Path) -> int:
    """Run them one after the other and print a line for each; the number that failed."""
    table = tomllib.loads((ROOT / "tools/walk_targets.toml").read_text())
    failed = ran_count = 0
    print(f"{'target':<22} {'code':>4} {'s':>6} {'lines':>5}  said first")
    for name in names:
        case = case_of(name, table, down=arguments.down, clear=arguments.clear, folder=folder)
        if case is None or case.left_out:
            failed += case is None
            print(
                f"{name:<22}    -      -     -  {case.left_out if case else 'FAILED: walk_targets.toml expects nothing'}"
            )
            continue
        ran = run(case, env, arguments.limit)
        ran_count += 1
        wrong = faults(case, ran)
        failed += bool(wrong)
        first = next((line for line in ran.text.splitlines() if line.strip()), "")
        lines = len(ran.text.splitlines())
        said = f"FAILED: {'; '.join(wrong)} | {first}" if wrong else first
        print(f"{name:<22} {ran.code!s:>4} {ran.seconds:>6.1f} {lines:>5}  {said[: 200 if wrong else 100]}", flush=True)
        if arguments.keep:
            (arguments.keep / f"{name}.txt").write_text(f"{ran.out}--- stderr, exit {ran.code}\n{ran.err}")
    print(f"{ran_count} of {len(names)} targets run, {failed} failed")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", help="only these; all when left out")
    parser.add_argument("--clear", action="store_true", help="let clear-… erase")
    parser.add_argument("--down", action="store_true", help="expect that the database is away")
    parser.add_argument("--keep", type=Path, help="folder for what each target said")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a target is given up")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    env = {
        name: value for name, value in os.environ.items() if name not in ("SQL", "PATTERN", "MAKEFLAGS", "MAKELEVEL")
    }
    with tempfile.TemporaryDirectory() as folder, feed(env):
        return 1 if walk(arguments.target or targets(), arguments, env, Path(folder)) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Where the market of a home listens: said while its process runs, and not believed after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from zerogex.announced import NAME, announce, simulator

URL = "http://127.0.0.1:4711"


def test_it_is_said_while_the_block_lasts(tmp_path: Path) -> None:
    home = tmp_path / "new"
    assert simulator(home) is None
    with announce(home, URL):
        assert simulator(home) == URL
        with announce(home, "http://127.0.0.1:1"):  # a second platform leaves the first one's word
            assert simulator(home) == URL
        assert simulator(home) == URL
    assert simulator(home) is None
    assert not (home / NAME).exists()


def test_what_a_killed_process_left_behind_is_not_believed(tmp_path: Path) -> None:
    talk = f"""
import os, pathlib, sys
from zerogex.announced import announce
with announce(pathlib.Path(sys.argv[1]), {URL!r}):
    print("said", flush=True)
    sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", talk, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "said\n"
        assert simulator(tmp_path) == URL
        process.kill()
    assert (tmp_path / NAME).read_text() == URL
    assert simulator(tmp_path) is None
    with announce(tmp_path, "http://127.0.0.1:4712"):  # and it is in nobody's way
        assert simulator(tmp_path) == "http://127.0.0.1:4712"


def test_a_home_that_takes_no_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with announce(tmp_path / "file", URL):
        assert simulator(tmp_path / "file") is None

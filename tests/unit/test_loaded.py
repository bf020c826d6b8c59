"""What a process loads before it is asked for anything: memory that every installation pays for."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "polars", "pyarrow", "matplotlib", "pandas", "scipy")


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["zerogex.cli.main", "zerogex.engines.supervise", "zerogex.serving.app"])
def test_whoever_computes_nothing_loads_no_kernels_and_no_tables(module: str) -> None:
    assert not loaded_by(module).intersection(HEAVY)


@pytest.mark.parametrize("module", ["zerogex.engines.ingest", "zerogex.engines.analyze"])
def test_engines_that_compute_load_the_kernels_and_no_tables(module: str) -> None:
    assert loaded_by(module).intersection(HEAVY) == {"numba"}

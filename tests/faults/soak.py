"""Hours of faults: the room again and again with other seeds, until the hours are over or something fails.

    python tests/faults/soak.py --hours 8 --first-seed 100

Each failure stops it, with the seed and the command that repeats it.  Run by `make soak`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the room of faults with seed after seed.")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--first-seed", type=int, default=1)
    asked = parser.parse_args()
    end, seed = time.monotonic() + 3600 * asked.hours, asked.first_seed
    while time.monotonic() < end:
        command = [sys.executable, "-m", "pytest", "-m", "faults", "-x", "tests/faults"]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "FAULT_SEED": str(seed)})
        if done.returncode:
            sys.stderr.write(f"soak: seed {seed} failed; repeat it with FAULT_SEED={seed} make test-faults\n")
            return 1
        sys.stderr.write(f"soak: seed {seed} holds\n")
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

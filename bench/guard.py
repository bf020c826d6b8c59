"""Compare two runs of `zerogex bench -o json` by their ratios, so that a slow-down between two revisions is seen.

    zerogex bench -o json > old.json        # before the change
    zerogex bench -o json > new.json        # after it
    python bench/guard.py old.json new.json

A ratio is the best time of a row over the time of a fixed piece of work, measured at the same moment:
seconds of two machines differ, ratios hardly.  The exit code is 1 where a row became slower by more than
the allowance, or is missing; rows of other libraries are not judged.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ALLOWANCE = 1.5  # times slower; a shared machine moves a best time by a third


def ratios(document: dict[str, Any]) -> dict[str, float]:
    """Name to ratio of every row of ours; less is better."""
    return {row["name"]: float(row["ratio"]) for row in document["rows"] if not row["name"].startswith("peer.")}


def slower(old: dict[str, Any], new: dict[str, Any], allowance: float = ALLOWANCE) -> list[str]:
    """One sentence a row that became slower than allowed or is gone; empty where all is well."""
    before, after = ratios(old), ratios(new)
    sentences = [f"{name} is no longer measured" for name in before if name not in after]
    for name in before.keys() & after.keys():
        times = after[name] / before[name]
        if times > allowance:
            sentences.append(f"{name} is {times:.2f} times as slow as before, allowed are {allowance:g}")
    return sorted(sentences)


def main(arguments: list[str] | None = None) -> int:
    """Read two files, print what became slower, return the exit code."""
    parser = argparse.ArgumentParser(description="Compare two runs of `zerogex bench -o json`.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--allowance", type=float, default=ALLOWANCE, help="how many times slower is still fine")
    given = parser.parse_args(arguments)
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (given.old, given.new))
    sentences = slower(old, new, given.allowance)
    for sentence in sentences:
        print(sentence)
    if not sentences:
        print(f"{len(ratios(new))} rows, none slower than allowed")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())

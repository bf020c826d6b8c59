"""Known vulnerabilities of everything that is installed: exit 0 none, 1 some, 69 no verdict.

    make audit

pip-audit ends well also where its index knows none of the packages (a mirror without advisories), so that what it
could not look up is counted here: an audit of nothing is no verdict.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = (sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json")
FINE, FOUND, NO_VERDICT = 0, 1, 69


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code and what to say of pip-audit's report."""
    packages = [package for package in report["dependencies"] if package["name"] != "zerogex"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    lines = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    if lines:
        return FOUND, lines
    if skipped:
        return NO_VERDICT, [
            f"no verdict: {len(skipped)} of {len(packages)} packages could not be looked up ({', '.join(skipped[:3])} …)"
        ]
    return FINE, [f"no known vulnerability in {len(packages)} packages"]


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    try:
        code, lines = verdict(json.loads(done.stdout))
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        code, lines = NO_VERDICT, [f"no verdict: pip-audit could not ask its index ({reason[:200]})"]
    print("\n".join(f"audit: {line}" for line in lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

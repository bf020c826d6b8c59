"""Write the generated pages: docs/settings.md and .env.example from the settings, docs/metrics.md from the metrics.

    python tools/make_docs.py

tests/unit/test_generated_docs.py fails when a page is out of date.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from zerogex import measure, metrics
from zerogex.cli import service
from zerogex.cli.config import shown
from zerogex.settings import Settings

ROOT = Path(__file__).parent.parent


def rows() -> list[tuple[str, str, str, str, str, str]]:
    """(section, NAME, default, unit, help, example) in the table's order."""
    found = []
    for name, field in Settings.model_fields.items():
        extra: dict[str, Any] = field.json_schema_extra  # type: ignore[assignment]
        default = shown(field.default)
        text = "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        found.append((extra["section"], name.upper(), text, extra["unit"], field.description or "", extra["example"]))
    return found


def settings_page() -> str:
    """docs/settings.md."""
    parts = [
        "# Settings\n\n"
        "A setting is taken from the environment, else from `.env` in the working folder (inline comments are fine;\n"
        "`ZEROGEX_ENV_FILE` names another file), else from the default below. `zerogex config` shows the effective values\n"
        "and where each comes from. Every wrong setting is reported at once, with an example that would be accepted.\n\n"
        "This page is generated from `src/zerogex/settings.py` by `tools/make_docs.py`.\n"
    ]
    for section, group in groupby(rows(), key=lambda row: row[0]):
        parts.append(f"\n## {section}\n\n| setting | default | unit | meaning |\n|---|---|---|---|\n")
        parts += [f"| `{name}` | {f'`{default}`' if default else '–'} | {unit} | {help} |\n"
                  for _, name, default, unit, help, _ in group]  # fmt: skip
    return "".join(parts)


def env_example() -> str:
    """.env.example: every setting, commented out, with its default or an example."""
    parts = ["# Copy to .env and change what you need; every line shows the default or an example.\n"
             "# A description of each setting: docs/settings.md, `zerogex config`.\n"]  # fmt: skip
    for section, group in groupby(rows(), key=lambda row: row[0]):
        parts.append(f"\n# {section}\n")
        parts += [f"# {name}={default or example}  # {help}\n" for _, name, default, _, help, example in group]
    return "".join(parts)


def metrics_page() -> str:
    """docs/metrics.md."""
    port = Settings.model_fields["metrics_port"].default
    places = ", ".join(f"`{engine}` {port + place}" for engine, place in measure.PLACES.items())
    head = (
        "# Metrics\n\n"
        "With `METRICS_ENABLED=true` every engine answers `GET /metrics` in Prometheus' text format, each on a port of its\n"
        f"own counted from `METRICS_PORT`: {places}; under `zerogex up` and under systemd\n"
        "alike. A port that is taken costs the metrics and a line in the log, never the data. `METRICS_HOST` is loopback\n"
        "unless you say otherwise.\n"
        "Beside these, the process's own (`process_resident_memory_bytes`, `process_cpu_seconds_total` …) are there.\n\n"
        "Ages and lags are market seconds: under a simulator at 10x they grow ten times as fast. Rules to alert by and a\n"
        "scrape example are in `deploy/prometheus/`, a dashboard in `deploy/grafana/`.\n\n"
        "This page is generated from `src/zerogex/metrics.py` by `tools/make_docs.py`.\n"
    )
    parts = [head]
    for who in dict.fromkeys(metric.who for metric in metrics.TABLE.values()):
        parts.append(f"\n## {'Every engine' if ' ' in who else who.capitalize()}\n\n"
                     "| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n")  # fmt: skip
        parts += [f"| `{m.name}` | {m.kind} | {m.unit} | {' '.join(f'`{label}`' for label in m.labels)} | {m.help} |\n"
                  for m in metrics.TABLE.values() if m.who == who]  # fmt: skip
    return "".join(parts)


def unit_file(unit: service.Unit) -> str:
    """deploy/systemd/…: a unit as `zerogex service install` writes it for an installation in /opt/zerogex."""
    project = Path("/opt/zerogex")
    return service.unit_text(
        unit, project=project, home=Path("/var/lib/zerogex"), user="zerogex", executable=project / ".venv/bin/zerogex"
    )


PAGES = {"docs/settings.md": settings_page, "docs/metrics.md": metrics_page, ".env.example": env_example}
PAGES |= {f"deploy/systemd/{unit.unit}": partial(unit_file, unit) for unit in service.UNITS.values()}

if __name__ == "__main__":
    for path, page in PAGES.items():
        (ROOT / path).write_text(page())

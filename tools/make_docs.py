"""Write the generated pages: settings, metrics, commands and views under docs/, .env.example, deploy/systemd.

    python tools/make_docs.py

tests/unit/test_generated_docs.py fails when a page is out of date; for docs/views.md, which asks a
database, tests/integration/test_store_docs.py.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from zerogex import measure, metrics
from zerogex.cli import main, service, show
from zerogex.cli.config import shown
from zerogex.settings import Settings
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore
from zerogex.store.sql import queries

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


def commands_page() -> str:
    """docs/commands.md: every command with its options, and every make target."""
    parts = [
        "# Commands\n\n"
        "Data goes to stdout, talk to stderr. `-o` gives `table` (for people: New York time), `json`, `csv` or `ndjson`\n"
        '(for programs: UTC). Every `make` target only forwards to a command; `ARGS="…"` adds options to it.\n\n'
        "| exit code | meaning |\n|---|---|\n"
        "| 0 | done |\n| 1 | a finding, or you did not confirm |\n| 2 | wrong usage |\n"
        "| 65 | a chain file or SQL that is wrong |\n| 69 | database, feed or service manager not reachable |\n"
        "| 74 | the database or the disk refused, or a dump is damaged |\n| 75 | another process writes this underlying |\n"
        "| 77 | credentials refused |\n| 78 | settings or schema are wrong |\n| 130 | Ctrl-C |\n\n"
        "This page is generated from the program and the Makefile by `tools/make_docs.py`.\n\n## zerogex\n"
    ]
    for words, command in walk(typer.main.get_command(main.app)):
        kinds: dict[str, list[Any]] = {"argument": [], "option": []}
        for parameter in command.params:
            kinds[parameter.param_type_name].append(parameter)
        named = [(a.metavar or a.name.upper(), a.required) for a in kinds["argument"]]
        arguments = [name if required else f"[{name}]" for name, required in named]
        parts.append(f"\n### `{' '.join(['zerogex', *words, *arguments])}`\n\n{inspect.cleandoc(command.help or '')}\n")
        options = [option for option in kinds["option"] if not option.hidden]
        if options:
            parts.append("\n| option | meaning |\n|---|---|\n")
            parts += [
                f"| `{' '.join([*option.opts, *option.secondary_opts])}` | {option.help or ''} |\n"
                for option in options
            ]
    parts.append("\n## make\n")
    for line in (ROOT / "Makefile").read_text().splitlines():
        if line.startswith("##@ "):
            parts.append(f"\n### {line[4:]}\n\n| target | what it does |\n|---|---|\n")
        elif match := re.match(r"([a-z0-9 -]+):.*?## (.*)", line):
            names = " ".join(f"`make {name}`" for name in match[1].split())
            parts.append(f"| {names} | {match[2].replace('|', '/')} |\n")
    return "".join(parts)


def walk(command: Any) -> Iterator[tuple[list[str], Any]]:
    """(words, command) of every command below one, in the order of `--help`."""
    if not hasattr(command, "commands"):
        yield [], command
        return
    for name, below in command.commands.items():
        for words, found in walk(below):
            yield [name, *words], found


def views_page(store: PostgresStore) -> str:
    """docs/views.md: what `zerogex show` offers, with the columns an (empty) database answers."""
    parts = [
        "# Views\n\n"
        "`zerogex show VIEW` prints one; with `-o json`, `csv` or `ndjson` the columns below are the names. They are the\n"
        "queries of `src/zerogex/store/queries.sql`; formulas are in `operations.md`, the tables in `schema.md`.\n\n"
        "This page is generated by `tools/make_docs.py`.\n"
    ]
    for query in queries().values():
        columns, _ = store.query(query.name)
        parts.append(f"\n## `{query.name.replace('_', '-')}`\n\n{query.description}\n\n")
        known = {show.OPTIONS[name]: said for name, said in query.parameters.items() if name in show.OPTIONS}
        parts += [f"- `{option}`: {meaning}\n" for option, meaning in known.items()]
        parts.append(("\n" if known else "") + " · ".join(f"`{column}`" for column in columns) + "\n")
    for name, description in show.CALENDAR_VIEWS.items():
        parts.append(f"\n## `{name}`\n\n{description}\n")
    return "".join(parts)


def with_database(page: Callable[[PostgresStore], str]) -> str:
    """A page made with a fresh database of the embedded server."""
    with TemporaryDirectory() as folder, EmbeddedServer(Path(folder) / "home", grace_s=0) as server:
        store = PostgresStore(server.config("docs"))
        store.migrate()
        text = page(store)
        store.close()
        server.stop(wait_s=10)
    return text


PAGES = {"docs/settings.md": settings_page, "docs/metrics.md": metrics_page, ".env.example": env_example}
PAGES["docs/commands.md"] = commands_page
DATABASE_PAGES = {"docs/views.md": views_page}
PAGES |= {f"deploy/systemd/{unit.unit}": partial(unit_file, unit) for unit in (*service.UNITS.values(), service.TELLER)}

if __name__ == "__main__":
    for path, page in PAGES.items():
        (ROOT / path).write_text(page())
    for path, database_page in DATABASE_PAGES.items():
        (ROOT / path).write_text(with_database(database_page))

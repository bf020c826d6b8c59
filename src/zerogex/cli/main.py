"""The command line: a command parses, calls one function, prints.

Data goes to stdout, talk to stderr.  Every error of ours becomes one sentence and its exit
code (see zerogex.errors); a traceback means a bug.
"""

from __future__ import annotations

import os
import sys

import typer

from zerogex import __version__, crashpoints
from zerogex.cli import (
    alerts,
    auth,
    backfill,
    bench,
    config,
    db,
    doctor,
    flow,
    gex,
    keys,
    option,
    probe,
    quality,
    query,
    run,
    service,
    show,
    stream,
    up,
    usage,
)
from zerogex.errors import ZerogexError

app = typer.Typer(
    name="zerogex",
    cls=usage.Commands,
    help="Where option dealers stand, and what their hedging will do to the price.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version.")) -> None:
    if version:
        typer.echo(f"zerogex {__version__}")
        raise typer.Exit


app.command("up")(up.up)
app.command("gex")(gex.gex)
app.command("ingest")(run.ingest)
app.command("analyze")(run.analyze)
app.command("serve")(run.serve)
app.command("backfill")(backfill.backfill)
app.command("stream")(stream.stream)
app.command("probe")(probe.probe)
app.command("simulate")(run.simulate)
app.command("show")(show.show)
app.command("flow")(flow.flow)
app.command("quality")(quality.quality)
app.command("query")(query.query)
app.command("config")(config.config)
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)
app.command("greeks")(option.greeks)
app.command("iv")(option.iv)
app.add_typer(db.app, name="db")
app.add_typer(service.app, name="service")
app.add_typer(auth.app, name="auth")
app.add_typer(keys.app, name="keys")
app.add_typer(alerts.app, name="alerts")


def main() -> None:
    """Entry point of the `zerogex` command."""
    try:
        crashpoints.arm(os.environ.get("ZEROGEX_CRASH_AT", ""))
        app()
    except ZerogexError as error:
        typer.echo(f"zerogex: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away: `zerogex show … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.filename is None:  # not about a file of the operator's: a bug to be seen
            raise
        typer.echo(f"zerogex: {error.filename}: {error.strerror}", err=True)
        sys.exit(74)

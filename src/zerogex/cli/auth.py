"""`zerogex auth login`: sign in at TradeStation once, and keep the refresh token in `.env`."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from zerogex import app as wiring
from zerogex import settings
from zerogex.cli.env_file import set_value
from zerogex.cli.process import run_until_stopped
from zerogex.errors import SettingsError

app = typer.Typer(help="Sign in at the vendor.", no_args_is_help=True)
NAME = "TRADESTATION_REFRESH_TOKEN"


@app.callback()
def _auth() -> None:
    """Sign in at the vendor."""


@app.command()
def login(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the callback on this machine.")] = 3000,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the sign-in page, or print it.")] = True,
    timeout: Annotated[float, typer.Option("--timeout", min=1, max=3600, help="Seconds to wait for you.")] = 300.0,
    scope: Annotated[str | None, typer.Option("--scope", help="Scopes to ask for, separated by spaces.")] = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Where the token goes; .env when left out.")
    ] = None,
) -> None:
    """Sign in, and write TRADESTATION_REFRESH_TOKEN to .env (mode 0600)."""
    loaded = settings.load(env_file, signed_in=False)
    _check(loaded)
    if port and port not in wiring.sign_in_ports():
        allowed = ", ".join(str(one) for one in sorted(wiring.sign_in_ports()))
        typer.echo(f"zerogex: port {port} must be registered with your key; every key may use {allowed}", err=True)

    def show(url: str) -> None:
        opened = browser and sys.stderr.isatty() and webbrowser.open(url)
        typer.echo("zerogex: sign in on the page that opened, or open this one:" if opened else
                   "zerogex: open this page and sign in:", err=True)  # fmt: skip
        typer.echo(url, err=True)
        typer.echo(f"zerogex: waiting {timeout:g} s for the answer (Ctrl-C gives up)", err=True)

    tokens: list[str] = []

    async def work() -> None:
        tokens.append(await wiring.sign_in(loaded, port=port, timeout_s=timeout, scope=scope, show=show))

    run_until_stopped(work())
    if not tokens:
        raise typer.Exit(130)
    set_value(loaded.env_file, NAME, tokens[0])
    typer.echo(f"zerogex: signed in; {NAME} is written to {loaded.env_file}", err=True)
    if loaded.origins[NAME.lower()] == "environment":
        typer.echo(f"zerogex: the environment sets {NAME} too and wins; unset it there", err=True)


def _check(loaded: settings.Loaded) -> None:
    """The two values without which no sign-in page opens."""
    names = ("tradestation_client_id", "tradestation_client_secret")
    missing = [name.upper() for name in names if getattr(loaded.settings, name) is None]
    if missing:
        raise SettingsError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set; "
            f"put the key and secret of your TradeStation application into {loaded.env_file}"
        )

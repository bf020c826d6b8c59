"""`zerogex keys`: who may ask this server over the network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerogex import app as wiring
from zerogex import settings
from zerogex.cli.output import Output, emit
from zerogex.errors import WrongUsage

if TYPE_CHECKING:
    from zerogex.ports import ApiKey, KeyStore

app = typer.Typer(help="API keys: make, list, revoke, replace.", no_args_is_help=True, rich_markup_mode=None)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `zerogex keys list` shows it.")]
COLUMNS = ("key_id", "name", "state", "scopes", "requests_per_minute", "created_at", "expires_at", "last_used_at")


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Whose key this is.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="data (derived numbers), chain (raw quotes), alerts; may be repeated."),
    ] = None,
    requests_per_minute: Annotated[
        int, typer.Option("--requests-per-minute", min=1, max=1_000_000, help="Rate limit.")
    ] = 600,
    expires_in_days: Annotated[
        int | None, typer.Option("--expires-in-days", min=1, max=36_500, help="Never, if left out.")
    ] = None,
) -> None:
    """Make a key and show it, this once."""
    from zerogex.ports import ApiKey

    scopes = _scopes(scope)
    if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
        raise typer.BadParameter(f"{name!r} is not a name of 1 to 100 printable characters", param_hint="--name")
    until = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    with wiring.open_store(settings.load(), migrate=True) as store:
        _make(store.api_keys, ApiKey("", name.strip(), scopes, requests_per_minute, expires_at=until))


@app.command("list")
def list_keys(
    output: Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")] = Output.TABLE,
) -> None:
    """Every key ever made.  Whose it is, what it may, and when it was used last."""
    with wiring.open_store(settings.load()) as store:
        rows = [_row(key) for key in store.api_keys.all()]
    emit(COLUMNS, rows, output)
    if not rows:
        typer.echo("zerogex: no keys yet; make one with `zerogex keys create --name NAME`", err=True)


@app.command()
def revoke(key_id: KeyId) -> None:
    """End a key; a running server refuses it within seconds."""
    with wiring.open_store(settings.load()) as store:
        if not store.api_keys.revoke(key_id):
            raise _not_in_force(key_id)
    typer.echo(f"zerogex: key {key_id} is revoked", err=True)


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, max=720, help="How long the old key lives on beside the new one.")
    ] = 0.0,
) -> None:
    """Replace a key by a new one with the same name, scopes and limit."""
    with wiring.open_store(settings.load()) as store:
        keys = store.api_keys
        old = next((key for key in keys.all() if key.key_id == key_id and state(key) == "in force"), None)
        if old is None:
            raise _not_in_force(key_id)
        _make(keys, old)
        keys.revoke(key_id, datetime.now(UTC) + timedelta(hours=overlap_hours) if overlap_hours else None)
    typer.echo(f"zerogex: key {key_id} ends {f'in {overlap_hours:g} h' if overlap_hours else 'now'}", err=True)


def _make(keys: KeyStore, like: ApiKey) -> None:
    """Store a new key like this one; its text goes to stdout, the talk to stderr."""
    from dataclasses import replace

    from zerogex.serving.keys import digest, new_key

    key_id, text = new_key()
    keys.add(replace(like, key_id=key_id), digest(text))
    typer.echo(f"zerogex: key {key_id} for {like.name}; this is the only time it is shown:", err=True)
    typer.echo(text)


def _scopes(asked: list[str] | None) -> tuple[str, ...]:
    from zerogex.serving.keys import SCOPES

    for scope in asked or ():
        if scope not in SCOPES:
            known = ", ".join(SCOPES)
            raise typer.BadParameter(f"{scope!r} is not a scope; expected {known}", param_hint="--scope")
    return tuple(dict.fromkeys(["data", *(asked or ())]))


def state(key: ApiKey) -> str:
    """One word or two for whether a key can be used."""
    if key.revoked_at is not None:
        return "revoked"
    expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if expired else "in force"


def _row(key: ApiKey) -> tuple[Any, ...]:
    return (key.key_id, key.name, state(key), " ".join(key.scopes), key.requests_per_minute, key.created_at,
            key.expires_at, key.last_used_at)  # fmt: skip


def _not_in_force(key_id: str) -> WrongUsage:
    return WrongUsage(f"there is no key {key_id[:40]!r} in force; `zerogex keys list` shows them all")

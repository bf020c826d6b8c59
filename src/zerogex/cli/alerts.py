"""`zerogex alerts`: what to be told of, and what was told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerogex import app as wiring
from zerogex import settings
from zerogex.cli.nothing import say_nothing
from zerogex.cli.output import Output, emit
from zerogex.errors import ChannelError, SettingsError, WrongUsage

if TYPE_CHECKING:
    from zerogex.domain.alert import Alert, AlertRule, Standing
    from zerogex.ports import AlertChannel

app = typer.Typer(help="Alerts: rules, channels, what was told.", no_args_is_help=True, rich_markup_mode=None)

As = Annotated[Output, typer.Option("-o", "--output", help="table, json, csv or ndjson.")]
NOTHING_TOLD = "no alerts yet; `zerogex alerts list` shows what is watched"
RULES = ("rule", "words", "band", "cooldown_s", "side", "alerts", "last_alert", "created_at")
LOG = ("timestamp", "title", "message", "delivered", "simulated", "alert_id")


@app.command(context_settings={"ignore_unknown_options": True})  # a threshold may begin with a minus
def add(
    words: Annotated[list[str], typer.Argument(help="UNDERLYING FIELD above|below|crosses NUMBER-OR-FIELD")],
    band: Annotated[
        str | None, typer.Option("--band", help="How far beyond is crossed: 0.5, or 0.05% of the threshold.")
    ] = None,
    cooldown: Annotated[str, typer.Option("--cooldown", help="At most one alert in this time: 30s, 5m, 2h.")] = "5m",
) -> None:
    """Make a rule: `zerogex alerts add SPY spot crosses gamma_flip`.

    Fields: spot gamma_flip call_wall put_wall max_gamma_strike max_pain net_gex call_gex put_gex
    put_call_ratio_oi put_call_ratio_volume.  Numbers may end in k, M or bn.
    """
    from zerogex.alerts.words import parse_rule, spelled

    rule = parse_rule(" ".join(words), "", band=band, cooldown=cooldown)
    loaded = settings.load()
    with wiring.open_store(loaded, migrate=True) as store:
        _refuse_a_second(rule, store.alerts.rules())
        rule_id = store.alerts.add_rule(rule)
        known = store.underlyings()
    typer.echo(f"zerogex: rule {rule_id}: {spelled(rule)}, band {rule.band}, at most every {cooldown}", err=True)
    if rule.underlying not in (*known, *loaded.settings.underlyings):
        typer.echo(
            f"zerogex: nothing of {rule.underlying} is stored yet{_there_is(known)}; "
            "the rule sleeps until it is followed",
            err=True,
        )
    if not wiring.alert_channels(loaded.settings):
        typer.echo(
            "zerogex: no channel is set, so its alerts are only listed; set ALERT_NTFY_URL or ALERT_WEBHOOK_URL",
            err=True,
        )


def _refuse_a_second(rule: AlertRule, rules: Sequence[AlertRule]) -> None:
    from dataclasses import replace

    from zerogex.alerts.words import spelled

    for other in rules:
        if replace(other, rule_id=rule.rule_id, created_at=rule.created_at) == rule:
            raise WrongUsage(f"rule {other.rule_id} is {spelled(rule)} already, with this band and cooldown")


def _there_is(known: Sequence[str]) -> str:
    return f" (there is {', '.join(known)})" if known else ""


@app.command("list")
def list_rules(output: As = Output.TABLE) -> None:
    """Every rule, and where it stands."""
    with wiring.open_store(settings.load()) as store:
        rules, standings, known = store.alerts.rules(), store.alerts.standings(), store.underlyings()
    asleep = dict.fromkeys(rule.underlying for rule in rules if rule.underlying not in known)
    rows = [_row(rule, standings.get(rule.rule_id)) for rule in rules]
    if output is Output.TABLE:  # programs get null for "no value"
        rows = [
            (*row[:4], "asleep" if rule.underlying in asleep else row[4] or "unseen", *row[5:])
            for rule, row in zip(rules, rows, strict=True)
        ]
    emit(RULES, rows, output)
    if asleep:
        names = ", ".join(asleep)
        typer.echo(f"zerogex: asleep: nothing of {names} is stored{_there_is(known)}", err=True)
    if not rules:
        typer.echo("zerogex: no rules yet; make one with `zerogex alerts add SPY spot crosses gamma_flip`", err=True)


@app.command()
def remove(
    rule_id: Annotated[str, typer.Argument(help="The rule's number, as `zerogex alerts list` shows it.")],
) -> None:
    """Forget a rule; what it told stays."""
    with wiring.open_store(settings.load()) as store:
        if not store.alerts.remove_rule(rule_id):
            raise WrongUsage(f"there is no rule {rule_id[:40]!r}; `zerogex alerts list` shows them all")
    typer.echo(f"zerogex: rule {rule_id} is removed", err=True)


@app.command()
def log(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 20,
    symbol: Annotated[str | None, typer.Option("--symbol", "-s", help="Only of this underlying.")] = None,
    output: As = Output.TABLE,
) -> None:
    """What was told, newest first, and whether it arrived."""
    with wiring.open_store(settings.load()) as store:
        told = store.alerts.log(limit, symbol.upper() if symbol else None)
        emit(LOG, [tuple({**row, "delivered": _delivered(row)}[name] for name in LOG) for row in told], output)
        if not told and symbol:
            say_nothing(store, symbol, NOTHING_TOLD)
        elif not told:  # of the feed and the services, too, of which nothing need be stored
            typer.echo(f"zerogex: {NOTHING_TOLD}", err=True)


@app.command()
def channels(output: As = Output.TABLE) -> None:
    """Where alerts go, and whether they arrive."""
    names = ("channel", "place", "checked_at", "pending", "oldest_pending_at", "last_delivered_at", "failing_since",
             "last_error")  # fmt: skip
    with wiring.open_store(settings.load()) as store:
        known = store.alerts.channels()
    emit(names, [tuple(getattr(each, name) for name in names) for each in known], output)
    if not known:
        typer.echo(
            "zerogex: no channel is served yet; set ALERT_NTFY_URL or ALERT_WEBHOOK_URL and start `zerogex analyze` "
            "(or `zerogex up`)",
            err=True,
        )


@app.command()
def tell(
    title: Annotated[str, typer.Argument(help="What happened.")],
    text: Annotated[str, typer.Argument(help="More of it.")] = "",
) -> None:
    """Send a message of your own to every channel, now.  What systemd does when a service fails."""
    found = wiring.alert_channels(settings.load().settings)
    if not found:
        typer.echo("zerogex: no channel is set, so nobody is told; set ALERT_NTFY_URL or ALERT_WEBHOOK_URL", err=True)
        return
    _send(found, "told", title, text or title)


@app.command()
def test() -> None:
    """Send a test alert to every channel, now.  Exit code 69 where one does not take it."""
    found = wiring.alert_channels(settings.load().settings)
    if not found:
        raise SettingsError(
            "no channel is set; set ALERT_NTFY_URL (example: ALERT_NTFY_URL=https://ntfy.sh/my-long-secret-topic) "
            "or ALERT_WEBHOOK_URL"
        )
    _send(found, "test", "ZeroGEX test", "If you can read this, alerts arrive here.")


def _send(channels: list[AlertChannel], kind: str, title: str, text: str) -> None:
    """Send past the outbox, which needs a database; raises ChannelError naming the channels that failed."""
    from zerogex.domain.alert import Alert, Side

    now = datetime.now(UTC)
    alert = Alert(f"{kind}#{now:%Y%m%d%H%M%S%f}", kind, "", now, Side.ABOVE, title, text, 1.0, 0.0)
    failed = [error for channel in channels if (error := asyncio.run(_try(channel, alert))) is not None]
    if failed:
        raise ChannelError("; ".join(failed))


async def _try(channel: AlertChannel, alert: Alert) -> str | None:
    """Send to one channel; what went wrong."""
    try:
        await channel.send(alert)
    except ChannelError as error:
        return f"{channel.name}: {error}"
    typer.echo(f"zerogex: {channel.name}: {channel.place} took it", err=True)
    return None


def _row(rule: AlertRule, standing: Standing | None) -> tuple[Any, ...]:
    from zerogex.alerts.words import spelled

    side = standing.side.name.lower() if standing is not None and standing.side is not None else None
    told, crossings = (None, 0) if standing is None else (standing.told_at, standing.crossings)
    return rule.rule_id, spelled(rule), str(rule.band), rule.cooldown_s, side, crossings, told, rule.created_at


def _delivered(row: dict[str, Any]) -> str:
    """One phrase a channel: delivered, waits, given up."""
    phrases = []
    for sent in row["deliveries"]:
        state = "delivered" if sent["delivered_at"] else "given up" if sent["given_up_at"] else "waits"
        reason = f" ({sent['last_error']})" if sent["last_error"] and state != "delivered" else ""
        phrases.append(f"{sent['channel']}: {state}{reason}")
    return "; ".join(phrases) or "no channel"

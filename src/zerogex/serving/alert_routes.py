"""Alerts over HTTP: the operator's rules, what was told, and whether it arrived.  Nothing can be changed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from zerogex.alerts.health import alerting, trouble
from zerogex.alerts.words import spelled
from zerogex.domain.alert import AlertRule, ChannelState, Standing
from zerogex.serving import views
from zerogex.serving.access import Caller, caller_of
from zerogex.serving.asked import As
from zerogex.serving.board import Board
from zerogex.serving.described import options
from zerogex.serving.problems import Problem
from zerogex.serving.reading import Reader
from zerogex.serving.responses import encode, fingerprint
from zerogex.serving.tables import Format, respond

SCOPE = "alerts"
Limit = Annotated[int, Query(ge=1, le=1000, description="How many alerts, newest first.")]


def install(router: APIRouter, board: Board, reader: Reader) -> None:
    """The route below /api/v1."""

    @router.get("/alerts", tags=["server"], **options("alerts"))
    async def alerts(request: Request, limit: Limit = 50, form: As = Format.JSON) -> Response:
        """Rules and where they stand, the newest alerts and whether they arrived, and how each channel does."""
        check_scope(caller_of(request))
        store = reader.store.alerts
        channels = await reader.read(store.channels)
        rules, standings = await reader.read(store.rules), await reader.read(store.standings)
        told = await reader.read(lambda: store.log(limit))
        moment = board.moment()
        known = [(entry.document, moment) for entry in board.known.values() if entry.document is not None]
        body = views.table_head(known, moment) | {
            "alerting": alerting(channels),
            "channels": [channel_row(channel) for channel in channels],
            "rules": [rule_row(rule, standings.get(rule.rule_id)) for rule in rules],
            "alerts": told,
        }
        version = fingerprint(encode({name: body[name] for name in ("alerting", "channels", "rules", "alerts")}))
        return respond(request, body, version, form, lambda: flat(told))


def check_scope(caller: Caller) -> None:
    """The operator's rules are not for every customer; raises Problem 403."""
    if caller.key is not None and not caller.may(SCOPE):
        detail = "This key is not for the operator's alerts."
        raise Problem(403, "scope_missing", detail, "Use a key with the scope alerts, or ask on the machine itself.")


def channel_row(channel: ChannelState) -> dict[str, Any]:
    """A channel and what is wrong with it, if anything."""
    row = {name: value for name, value in asdict(channel).items() if name not in ("age_s", "checked_at")}
    return row | {"trouble": trouble(channel)}


def rule_row(rule: AlertRule, standing: Standing | None) -> dict[str, Any]:
    """A rule and where it stands."""
    standing = standing or Standing()
    return {
        "rule_id": rule.rule_id,
        "underlying": rule.underlying,
        "words": spelled(rule),
        "band": str(rule.band),
        "cooldown_s": rule.cooldown_s,
        "side": None if standing.side is None else standing.side.name.lower(),
        "alerts": standing.crossings,
        "last_alert": standing.told_at,
    }


def flat(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alerts as one row each, whatever its channels."""
    return [
        {name: value for name, value in row.items() if name != "deliveries"}
        | {
            "delivered": [sent["channel"] for sent in row["deliveries"] if sent["delivered_at"]],
            "undelivered": [sent["channel"] for sent in row["deliveries"] if not sent["delivered_at"]],
        }
        for row in told
    ]

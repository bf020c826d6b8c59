"""Alerts in the database: rules, where they stand, and the outbox of each channel; see `ports.AlertStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from zerogex.domain.alert import Alert, AlertRule, Band, ChannelState, Delivery, Direction, Side, Standing
from zerogex.store.connections import Connection
from zerogex.store.sql import statement
from zerogex.store.table import Do, Table

_LOG = ("alert_id", "created_at", "timestamp", "rule_id", "underlying", "title", "message", "value", "threshold",
        "simulated", "deliveries")  # fmt: skip


class AlertTable(Table):
    """The tables `alert_rules`, `alert_standings`, `alerts`, `alert_deliveries` and `alert_channels`."""

    def __init__(self, do: Do) -> None:
        super().__init__(do, "alerts.sql")

    def rules(self) -> Sequence[AlertRule]:
        """Every rule that somebody made, oldest first."""
        return [_rule(row) for row in self._read("alert_rules")]

    def add_rule(self, rule: AlertRule) -> str:
        """Remember a new rule; its id."""
        by_name = isinstance(rule.threshold, str)
        named = {
            "underlying": rule.underlying,
            "field": rule.field,
            "direction": rule.direction.value,
            "threshold": None if by_name else rule.threshold,
            "threshold_field": rule.threshold if by_name else None,
            "band": rule.band.amount,
            "band_percent": rule.band.percent,
            "cooldown_s": rule.cooldown_s,
        }
        return str(self._read("add_alert_rule", **named)[0][0])

    def remove_rule(self, rule_id: str) -> bool:
        """Forget a rule; False where there is none of that id."""
        return bool(self._read("remove_alert_rule", rule_id=rule_id))

    def standings(self) -> Mapping[str, Standing]:
        """Where each rule stood when it was last looked at."""
        return {
            rule_id: Standing(None if side is None else Side(side), crossings, _utc(told_at))
            for rule_id, side, crossings, told_at in self._read("alert_standings")
        }

    def stand(
        self, rule_id: str, before: Standing, after: Standing, alert: Alert | None, channels: Sequence[str]
    ) -> bool:
        """Move a rule, and put its alert in the outbox of each channel, in one transaction.

        False where another process moved the rule since `before` was read: nothing is written then.
        """
        moved = {
            "rule_id": rule_id,
            "side": after.side,
            "crossings": after.crossings,
            "told_at": after.told_at,
            "before": before.crossings,
        }

        def write(connection: Connection) -> bool:
            with connection.transaction():
                if connection.execute(self._statements["stand_alert_rule"].text, moved).fetchone() is None:
                    return False
                if alert is not None:
                    connection.execute(self._statements["raise_alert"].text, asdict(alert))
                    address = {"alert_id": alert.alert_id, "channels": list(channels)}
                    connection.execute(self._statements["address_alert"].text, address)
                    connection.execute(statement("notify"), {"payload": f"alert {alert.underlying}"})
            return True

        return bool(self._do(write))

    def claim(self, channel: str, lease_s: float) -> Delivery | None:
        """The channel's oldest undelivered alert, ours to try for so long; None where none is due."""
        rows = self._read("claim_alert", channel=channel, lease_s=lease_s)
        if not rows:
            return None
        alert_id, rule_id, underlying, at, side, title, text, value, threshold, simulated, *way = rows[0]
        said = title, text, value, threshold, simulated
        alert = Alert(alert_id, rule_id, underlying, _utc(at), Side(side), *said)
        return Delivery(alert, *way)

    def settle(self, delivery: Delivery, error: str | None = None, wait_s: float | None = None) -> None:
        """What became of a try: delivered (no error), to be tried again after a while, or given up (no while)."""
        named = {"alert_id": delivery.alert.alert_id, "channel": delivery.channel, "error": error, "wait_s": wait_s}
        self._write("settle_alert", named)

    def note_channel(self, channel: str, place: str, *, tried: bool = False, error: str | None = None) -> None:
        """Somebody delivers to this channel; how the last try ended, if there was one since."""
        self._write("note_alert_channel", {"channel": channel, "place": place, "tried": tried, "error": error})

    def keep_channels(self, channels: Sequence[str]) -> None:
        """Forget the channels that are not among these; what waits for them is given up."""
        self._write("forget_alert_channels", {"channels": list(channels)})

    def channels(self) -> Sequence[ChannelState]:
        """How each channel does."""
        return [
            ChannelState(row[0], row[1], row[2].astimezone(UTC), row[3], *map(_utc, row[4:7]), *row[7:])
            for row in self._read("alert_channels")
        ]

    def log(self, limit: int, underlying: str | None = None) -> Sequence[dict[str, Any]]:
        """The newest alerts as plain rows, newest first, each with its `deliveries`."""
        rows = self._read("alert_log", limit=limit, underlying=underlying)
        return [
            dict(zip(_LOG, (row[0], *map(_utc, row[1:3]), *row[3:-1], [_sent(way) for way in row[-1]]), strict=True))
            for row in rows
        ]


def _rule(row: tuple[Any, ...]) -> AlertRule:
    rule_id, underlying, field, direction, number, name, band, percent, cooldown_s, created_at = row
    threshold = number if name is None else name
    return AlertRule(
        rule_id, underlying, field, Direction(direction), threshold, Band(band, percent), cooldown_s, _utc(created_at)
    )


def _sent(way: dict[str, Any]) -> dict[str, Any]:
    """A delivery, its times as times again: JSON has none."""
    names = ("delivered_at", "given_up_at")
    return way | {name: way[name] and _utc(datetime.fromisoformat(way[name])) for name in names}


def _utc(instant: Any) -> Any:
    return None if instant is None else instant.astimezone(UTC)

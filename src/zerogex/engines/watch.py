"""Watch: each new analysis is held against the rules, and what is crossed goes to the outbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from zerogex.alerts.crossing import judge
from zerogex.alerts.readings import Outlook, reading
from zerogex.alerts.sentences import alert_of
from zerogex.alerts.words import trouble_rules
from zerogex.clock import Clock
from zerogex.domain.alert import AlertRule, Standing
from zerogex.engines.postman import Postman
from zerogex.engines.threads import Absence, Bell
from zerogex.errors import StoreError
from zerogex.metrics import Meter
from zerogex.ports import AlertChannel, Store

log = logging.getLogger(__name__)

LOOK_REAL_S = 1.0  # between two looks at the rules where no analysis wakes us sooner
RULES_REAL_S = 5.0  # how soon a rule made elsewhere is known


class Watch:
    """Judges rules until cancelled.  Nobody waits for it: analyze only leaves its newest here.

    `followed`: whose data are watched without a rule, where there is a channel to tell of it.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        channels: Sequence[AlertChannel],
        meter: Meter | None = None,
        followed: Sequence[str] = (),
    ) -> None:
        self.store = store
        self.clock = clock
        self.meter = meter or Meter()
        self.followed = followed
        self.names = tuple(channel.name for channel in channels)
        self.postmen = [Postman(store, channel, self.meter) for channel in channels]
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._standings: dict[str, Standing] = {}
        self._rules: list[AlertRule] = []
        self._rules_until = 0.0
        self._feed_trouble: str | None = None
        self._since: datetime | None = None
        self._last: datetime | None = None
        self._absence = Absence(log, "store unavailable, rules wait")
        self._bell = Bell()

    def take(self, document: Mapping[str, Any]) -> None:
        """A newer analysis of an underlying; from any thread."""
        self._documents[document["underlying"]] = document
        self._bell.ring()

    async def run(self) -> None:
        """Look after each analysis and once a second, and deliver what is in the outbox, until cancelled."""
        await self._absence.outlast(self._begin)
        async with asyncio.TaskGroup() as tasks:
            for postman in self.postmen:
                tasks.create_task(postman.run(), name=f"postman {postman.channel.name}")
            tasks.create_task(self._keep_looking(), name="rules")

    async def _keep_looking(self) -> None:
        while True:
            await self._absence.outlast(self._look)
            await self._bell.wait(LOOK_REAL_S)

    # -- in a thread -----------------------------------------------------------------------------

    def _begin(self) -> None:
        """What was known before us: the newest analyses, and the channels."""
        self.store.alerts.keep_channels(self.names)
        for underlying in self.store.underlyings():
            with suppress(msgspec.DecodeError, StoreError):
                if (raw := self.store.live(underlying)) is not None:
                    self._documents.setdefault(underlying, msgspec.json.decode(raw))

    def _look(self) -> None:
        self._learn()
        if not self._rules:
            return
        outlook = self._outlook()
        for rule in self._rules:
            now = reading(rule, outlook)
            before = self._standings.get(rule.rule_id, Standing())
            if now is None:
                continue
            after, side = judge(rule, before, now)
            if after == before:
                continue
            alert = None if side is None else alert_of(rule, after.crossings, side, now)
            if not self.store.alerts.stand(rule.rule_id, before, after, alert, self.names):
                self._rules_until = 0.0  # another process saw it first: read where it stands
                continue
            self._standings[rule.rule_id] = after
            if alert is not None:
                self.meter.add("alerts_raised_total", 1, rule.underlying)
                log.info("alert", extra={"alert": alert.alert_id, "title": alert.title, "detail": alert.text})
                for postman in self.postmen:
                    postman.wake()

    def _learn(self) -> None:
        """Rules, standings and the feed's trouble, read again every few seconds."""
        seconds = time.monotonic()
        if seconds < self._rules_until:
            return
        built_in = trouble_rules(self.followed) if self.followed and self.names else []
        self._rules = [*self.store.alerts.rules(), *built_in]
        if self._rules:
            self._standings = dict(self.store.alerts.standings())
            state = self.store.feed_state()
            self._feed_trouble = None if state is None else state.trouble
        self._rules_until = seconds + RULES_REAL_S

    def _outlook(self) -> Outlook:
        now = self.clock.now()
        if self._since is None or self._last is None or now < self._last:
            self._since = now  # a market that begins anew
        self._last = now
        return Outlook(
            now, self._since, float(getattr(self.clock, "speed", 1.0)), dict(self._documents), self._feed_trouble,
            self.clock.simulated,
        )  # fmt: skip

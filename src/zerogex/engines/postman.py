"""Postman: takes alerts out of a channel's outbox, oldest first, until each has arrived.

A channel that fails is tried again with growing pauses, and what waits behind keeps its place; a message that the
channel refuses for good, or that is older than a day, is given up, and stays in the log with the reason.
"""

from __future__ import annotations

import asyncio
import logging
import time

from zerogex.domain.alert import Delivery
from zerogex.engines.threads import Absence, Backoff, Bell, in_thread
from zerogex.errors import ChannelError, StoreUnavailable
from zerogex.metrics import Meter
from zerogex.ports import AlertChannel, Store

log = logging.getLogger(__name__)

LEASE_S = 60.0  # longer than a channel may take: a killed process's message is tried again after it
LOOK_REAL_S = 2.0  # for messages put there by others, and for those whose time has come
SEEN_REAL_S = 15.0  # how often the channel is said to be looked after
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 300.0
GIVE_UP_S = 86_400.0
LAST_WORDS_S = 3.0  # for a message that is on its way when we are stopped


class Postman:
    """Delivers for one channel until cancelled."""

    def __init__(self, store: Store, channel: AlertChannel, meter: Meter) -> None:
        self.store = store
        self.channel = channel
        self.meter = meter
        self._bell = Bell()
        self._arrived: list[Delivery] = []  # sent, and not yet noted

    def wake(self) -> None:
        """Something was put in the outbox; from any thread."""
        self._bell.ring()

    async def run(self) -> None:
        """Deliver what is due, for ever."""
        seen, backoff = float("-inf"), Backoff()
        absence = Absence(log, "store unavailable, alerts wait", channel=self.channel.name)
        while True:
            try:
                if time.monotonic() - seen >= SEEN_REAL_S:
                    await in_thread(self._note)
                    seen = time.monotonic()
                while await self.deliver_one():
                    pass
                backoff.reset()
                absence.is_over()
            except StoreUnavailable as error:
                absence.goes_on(error)
                await backoff.pause()
            await self._bell.wait(LOOK_REAL_S)

    async def deliver_one(self) -> bool:
        """Try the oldest message that is due; whether it has left the outbox."""
        await in_thread(self._note_arrivals)
        delivery = await in_thread(self.store.alerts.claim, self.channel.name, LEASE_S)
        if delivery is None:
            return False
        trying = asyncio.ensure_future(self._try(delivery))
        try:
            return await asyncio.shield(trying)
        except asyncio.CancelledError:  # a moment for the answer: what arrived is then not sent again
            await asyncio.wait([trying], timeout=LAST_WORDS_S)
            trying.cancel()
            raise

    async def _try(self, delivery: Delivery) -> bool:
        try:
            await self.channel.send(delivery.alert)
        except ChannelError as error:
            return await in_thread(self._failed, delivery, error)
        self._arrived.append(delivery)
        await in_thread(self._note_arrivals)
        return True

    def _note(self) -> None:
        self.store.alerts.note_channel(self.channel.name, self.channel.place)

    def _note_arrivals(self) -> None:
        """Take what has arrived out of the outbox, also what arrived while the database was away."""
        while self._arrived:
            self.store.alerts.settle(self._arrived[0])
            del self._arrived[0]
            self.store.alerts.note_channel(self.channel.name, self.channel.place, tried=True)
            self.meter.add("alerts_delivered_total", 1, self.channel.name)
            self.meter.put("alert_channel_failing", 0, self.channel.name)

    def _failed(self, delivery: Delivery, error: ChannelError) -> bool:
        """Note the failure; whether the message is given up."""
        given_up = error.final or delivery.age_s > GIVE_UP_S
        wait_s = None if given_up else min(FIRST_PAUSE_S * 2 ** min(delivery.attempts - 1, 16), LONGEST_PAUSE_S)
        self.store.alerts.settle(delivery, str(error), wait_s)
        self.store.alerts.note_channel(self.channel.name, self.channel.place, tried=True, error=str(error))
        self.meter.add("alert_failures_total", 1, self.channel.name)
        self.meter.put("alert_channel_failing", 1, self.channel.name)
        extra = {"channel": self.channel.name, "alert": delivery.alert.alert_id, "attempts": delivery.attempts}
        log.log(
            logging.ERROR if given_up else logging.WARNING,
            "alert given up" if given_up else "alert not delivered",
            extra={**extra, "error": str(error)},
        )
        return given_up

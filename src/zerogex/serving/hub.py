"""Who is told what: topics with sequence numbers, and subscribers that can be slow without harm.

A topic is a view of an underlying (`summary:SPY`) or its minutes (`bars:SPY`).  Each change
takes the topic's next `seq`.  A subscriber holds at most one waiting message a topic: a newer
one takes the place of the older (conflation), and says how many were skipped.  So the memory a
slow client can claim is bounded by the number of its topics.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from zerogex.domain.bar import MinuteBar
from zerogex.serving import views
from zerogex.serving.board import Board
from zerogex.serving.problems import Problem, database_unavailable, waiting_for_data
from zerogex.serving.responses import encode
from zerogex.serving.watcher import FLOW_MINUTES

log = logging.getLogger(__name__)

TOPIC_KINDS = (*views.VIEWS, "bars", "flow")
REPLAYED_KINDS = ("summary", "levels")  # small enough to keep a past of
REPLAY_LENGTH = 120  # messages: about two minutes
CHANGED_BARS = 5  # minutes in a bars change; whoever skipped one gets a snapshot
MAX_CONTROL = 2 * REPLAY_LENGTH + 64


@dataclass(eq=False)
class Published:
    """One change of one topic; its JSON is made once, and only if somebody wants it."""

    seq: int
    value: dict[str, Any]
    _change: str | None = None

    @cached_property
    def body(self) -> str:
        return encode(self.value).decode()

    def change(self, topic: str) -> str:
        """The message to whoever missed nothing before it: the same text for all."""
        if self._change is None:
            self._change = message("change", topic, self)
        return self._change


@dataclass(slots=True)
class Topic:
    """A view of one underlying, and the changes it went through."""

    kind: str
    symbol: str
    seq: int = 0
    latest: Published | None = None
    past: deque[Published] = field(default_factory=lambda: deque(maxlen=REPLAY_LENGTH))
    subscribers: set[Subscriber] = field(default_factory=set)

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.symbol}"


@dataclass(slots=True, eq=False)
class Subscriber:
    """One client's topics and what waits to be sent to it."""

    sent: dict[str, int] = field(default_factory=dict)  # topic to the last seq handed over
    waiting: dict[str, Published] = field(default_factory=dict)
    control: deque[str] = field(default_factory=deque)
    heartbeat: str | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    overrun: bool = False

    def offer(self, topic: str, change: Published) -> None:
        """Let a change wait, in the place of an older one of the same topic."""
        self.waiting[topic] = change
        self.wake.set()

    def say(self, text: str) -> None:
        """Let an answer wait; answers are never conflated, so too many of them are an overrun."""
        if len(self.control) >= MAX_CONTROL:
            self.overrun = True
        else:
            self.control.append(text)
        self.wake.set()


class Hub:
    """The audience of the watcher, the source of the WebSockets."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.epoch = secrets.token_hex(4)  # sequence numbers begin anew with each start of the server
        self.subscribers: set[Subscriber] = set()
        self._topics: dict[tuple[str, str], Topic] = {}

    # what the watcher tells us

    def on_symbols(self, symbols: Sequence[str]) -> None:
        """See `watcher.Audience`."""
        self.board.learn_symbols(symbols)
        self.board.scanned = True

    def on_analysis(self, symbol: str, document: dict[str, Any], version: str) -> None:
        """See `watcher.Audience`."""
        if self.board.learn_analysis(symbol, document, version):
            moment = self.board.moment()
            for kind, view in views.VIEWS.items():
                self._publish(self._topic(kind, symbol), view(document, moment))

    def on_bars(self, symbol: str, rows: Sequence[MinuteBar]) -> None:
        """See `watcher.Audience`."""
        if self.board.learn_bars(symbol, rows):
            entry = self.board.known[symbol]
            changed = views.bars(symbol, entry.bars[-CHANGED_BARS:], entry.document or {}, self.board.moment())
            self._publish(self._topic("bars", symbol), changed)

    def on_flow(self, symbol: str, rows: Sequence[dict[str, Any]]) -> None:
        """See `watcher.Audience`."""
        topic = self._topic("flow", symbol)
        if topic.latest is None or topic.latest.value["flow"] != rows:
            document = self.board.known[symbol].document if symbol in self.board.known else None
            self._publish(topic, views.flow(symbol, "type", FLOW_MINUTES, rows, document or {}, self.board.moment()))

    def on_feed(self, trouble: str | None) -> None:
        """See `watcher.Audience`."""
        self.board.feed_trouble = trouble

    def on_database(self, up: bool) -> None:
        """See `watcher.Audience`."""
        if up != self.board.database:
            self.board.database = up
            self.beat()

    # what subscribers ask

    def subscribe(self, subscriber: Subscriber, name: str, last_seq: int | None, epoch: str | None) -> None:
        """Follow a topic: acknowledge, then replay what was missed or send the whole; raises Problem."""
        topic = self._find(name)
        missed = self._missed(topic, last_seq, epoch)
        resumed, gap = missed is not None, missed is None and last_seq is not None
        ack = {"type": "ack", "topic": topic.name, "seq": topic.seq, "epoch": self.epoch}
        subscriber.say(encode(ack | {"resumed": resumed, "gap": gap}).decode())
        topic.subscribers.add(subscriber)
        subscriber.waiting.pop(topic.name, None)
        subscriber.sent[topic.name] = topic.seq
        for change in missed or ():
            subscriber.say(change.change(topic.name))
        if missed is None and topic.latest is not None:
            subscriber.say(message("snapshot", topic.name, self._snapshot(topic)))
        elif topic.latest is None and topic.kind in views.VIEWS:
            reason = waiting_for_data(topic.symbol) if self.board.database else database_unavailable()
            subscriber.say(encode(reason.document() | {"type": "problem", "topic": topic.name}).decode())

    def unsubscribe(self, subscriber: Subscriber, name: str) -> None:
        """Stop following a topic; not following it is no error."""
        for topic in self._topics.values():
            if topic.name == name:
                topic.subscribers.discard(subscriber)
        subscriber.waiting.pop(name, None)
        subscriber.sent.pop(name, None)

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a client."""
        self.subscribers.discard(subscriber)
        for topic in self._topics.values():
            topic.subscribers.discard(subscriber)
        subscriber.waiting.clear()

    def next_message(self, subscriber: Subscriber) -> str | None:
        """What to send next: answers first, then changes in the order they came; None when nothing waits."""
        if subscriber.control:
            return subscriber.control.popleft()
        if subscriber.heartbeat is not None:
            text, subscriber.heartbeat = subscriber.heartbeat, None
            return text
        if not subscriber.waiting:
            return None
        name = next(iter(subscriber.waiting))
        change = subscriber.waiting.pop(name)
        skipped = change.seq - subscriber.sent.get(name, change.seq - 1) - 1
        subscriber.sent[name] = change.seq
        if skipped and name.startswith("bars:"):
            return message("snapshot", name, self._snapshot(self._find(name)), skipped)
        return message("change", name, change, skipped) if skipped else change.change(name)

    def beat(self) -> None:
        """Tell every subscriber the time, the session, and the state of its symbols."""
        moment = self.board.moment()
        texts: dict[frozenset[str], str] = {}
        for subscriber in self.subscribers:
            symbols = frozenset(name.split(":", 1)[1] for name in subscriber.sent)
            if symbols not in texts:
                texts[symbols] = self._heartbeat(symbols, moment)
            subscriber.heartbeat = texts[symbols]
            subscriber.wake.set()

    async def keep_beating(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(self.board.config.heartbeat_s)
            self.beat()

    # within

    def _heartbeat(self, symbols: frozenset[str], moment: views.Moment) -> str:
        faces = {}
        for symbol in sorted(symbols):
            document = self.board.known[symbol].document
            face = views.clock_face(document or {}, moment)
            face |= {name: (document or {}).get(name) for name in ("data_timestamp", "computed_at")}
            faces[symbol] = face if document is not None else face | {"state": None, "stale": False}
        database = "up" if moment.database else "down"
        beat = {"type": "heartbeat", "market_time": moment.now, "clock_speed": moment.speed, "database": database}
        return encode(beat | {"session": moment.session.value, "symbols": faces}).decode()

    def _topic(self, kind: str, symbol: str) -> Topic:
        return self._topics.setdefault((kind, symbol), Topic(kind, symbol))

    def _find(self, name: str) -> Topic:
        kind, _, symbol = name.partition(":")
        if kind not in TOPIC_KINDS or not symbol:
            hint = f"Topics are KIND:SYMBOL with KIND one of {', '.join(TOPIC_KINDS)}."
            raise Problem(404, "unknown_topic", f"There is no topic {name[:60]!r}.", hint)
        return self._topic(kind, self.board.entry(symbol).symbol)

    def _publish(self, topic: Topic, value: dict[str, Any]) -> None:
        topic.seq += 1
        topic.latest = Published(topic.seq, value)
        if topic.kind in REPLAYED_KINDS:
            topic.past.append(topic.latest)
        for subscriber in topic.subscribers:
            subscriber.offer(topic.name, topic.latest)

    def _missed(self, topic: Topic, last_seq: int | None, epoch: str | None) -> list[Published] | None:
        """The changes after `last_seq`; None where they cannot all be given."""
        if last_seq is None or epoch != self.epoch or last_seq > topic.seq:
            return None
        missed = [change for change in topic.past if change.seq > last_seq]
        return missed if len(missed) == topic.seq - last_seq else None

    def _snapshot(self, topic: Topic) -> Published:
        if topic.kind != "bars":
            assert topic.latest is not None
            return topic.latest
        entry = self.board.known[topic.symbol]
        return Published(topic.seq, views.bars(topic.symbol, entry.bars, entry.document or {}, self.board.moment()))


def message(kind: str, topic: str, change: Published, skipped: int = 0) -> str:
    """A message about a topic, put around JSON that is made only once for all subscribers."""
    quoted = encode(topic).decode()
    return f'{{"type":"{kind}","topic":{quoted},"seq":{change.seq},"skipped":{skipped},"data":{change.body}}}'

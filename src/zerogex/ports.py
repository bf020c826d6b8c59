"""What the platform asks of the outside world.  Engines know these, never the edges behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from zerogex.domain.alert import Alert, AlertRule, ChannelState, Delivery, Standing
from zerogex.domain.bar import MinuteBar, OptionBar, UnderlyingBar
from zerogex.domain.chain import Bools, OptionChain
from zerogex.domain.contract import OptionContract
from zerogex.domain.exposure import Analysis
from zerogex.domain.finding import Finding
from zerogex.domain.gap import DataGap
from zerogex.domain.quote import OptionQuote, UnderlyingQuote


@dataclass(frozen=True, slots=True)
class ChainWindow:
    """The contracts of one expiration to follow, around a centre price."""

    underlying: str
    root: str
    expiration: date
    center: float  # dollars
    contracts: tuple[OptionContract, ...]


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Something an operator may want to know of the feed."""

    # connected | reconnecting | goaway | dual_logon | symbol_error | silent | rate_limited | polling |
    # not_authorized | authorized | clock_skew
    kind: str
    stream: str
    detail: str = ""


class MarketData(Protocol):
    """All the platform asks of a market-data vendor.

    Symbols are ours (SPY, SPX); the vendor's spelling ($SPX.X) stays inside the provider.  The
    `follow_*` iterators reconnect by themselves with back-off and end only by cancellation,
    by `aclose()`, or by an error that trying again cannot mend (NotAuthorized, UnknownSymbol).
    """

    name: str  # "tradestation", …
    on_event: Any  # Callable[[FeedEvent], None]; assignable

    @property
    def clock_skew_s(self) -> float:
        """The vendor's clock minus this machine's, by its last answers; 0 where unknown."""

    async def expirations(self, underlying: str) -> Sequence[tuple[str, date]]:
        """(root, expiration), ascending by date then root; SPX yields SPX and SPXW roots."""

    async def contracts(self, underlying: str, root: str, expiration: date) -> Sequence[OptionContract]:
        """Both kinds of every listed strike, ascending."""

    async def quotes(self, underlyings: Sequence[str]) -> Sequence[UnderlyingQuote]:
        """A snapshot; unknown symbols are left out and reported by `on_event`."""

    async def option_quotes(self, contracts: Sequence[OptionContract]) -> Sequence[OptionQuote]:
        """A snapshot, in batches of the vendor's size; unknown contracts are left out and reported."""

    async def bars(self, underlying: str, start: datetime, end: datetime, *, unit: str = "Minute",
                   interval: int = 1) -> Sequence[UnderlyingBar]:  # fmt: skip
        """Bars whose start lies in [start, end), ascending, unique; empty where the vendor has none."""

    async def option_bars(self, contract: OptionContract, start: datetime, end: datetime) -> Sequence[OptionBar]:
        """One-minute bars of a contract's trades in [start, end), ascending; empty where it did not trade."""

    def follow_bars(self, underlying: str) -> AsyncIterator[UnderlyingBar]:
        """One-minute bars as they form and close; the same start comes again with each change."""

    def follow_chain(self, window: ChainWindow) -> AsyncIterator[Sequence[OptionQuote]]:
        """Quotes of one expiration's window as they come, one list a network read."""

    async def aclose(self) -> None:
        """End every stream and connection."""


@dataclass(frozen=True, slots=True, eq=False)
class MinuteBatch:
    """What one closed minute of one underlying leaves behind; written whole or not at all.

    `chain.as_of` is the END of the minute (the instant its Greeks are measured from);
    `timestamp` labels it by its start.  The same batch written twice changes nothing.
    """

    batch_id: UUID
    underlying: str
    timestamp: datetime
    chain: OptionChain | None
    bars: tuple[MinuteBar, ...]
    gaps: tuple[DataGap, ...] = ()  # what is known to be missing, declared with the minute that shows it
    trades_only: bool = False  # from the feed's history, without quotes: gives way to what was heard


@dataclass(frozen=True, slots=True)
class FeedState:
    """Where the data in a database comes from, and the clock it lives by.  One row a database."""

    provider: str
    simulated: bool
    market_anchor: datetime | None = None  # for a simulated clock: clock.ScaledClock's fields
    wall_anchor: datetime | None = None
    speed: float = 1.0
    trouble: str | None = None  # why the feed cannot be heard, where only the operator can mend it
    trouble_since: datetime | None = None  # by the database's clock


@dataclass(frozen=True, slots=True)
class Notice:
    """A change in the database that others wait for."""

    channel: str  # latest | minute | gex | alert
    underlying: str


@dataclass(frozen=True, slots=True)
class ChainVersion:
    """How often a minute's chain was stored, and how often it had been when it was analysed (None: it never was)."""

    timestamp: datetime
    stored: int
    analysed: int | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A customer's right to ask.  The key's text is shown once and stored nowhere; times are the machine's."""

    key_id: str  # public: the part of the key before its secret
    name: str
    scopes: tuple[str, ...]
    requests_per_minute: int
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class KeyStore(Protocol):
    """API keys by the SHA-256 of their text."""

    def add(self, key: ApiKey, digest: bytes) -> None:
        """Remember a new key."""

    def find(self, digest: bytes) -> ApiKey | None:
        """The key of a digest, if it is good now; None for revoked, expired and unknown ones alike."""

    def all(self) -> Sequence[ApiKey]:
        """Every key ever made, newest last."""

    def revoke(self, key_id: str, at: datetime | None = None) -> bool:
        """End a key now, or let it expire at an instant; False where there is no such key in force."""

    def note_use(self, key_id: str) -> None:
        """Remember that a key was used now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of a wish to send a request."""

    granted_at: datetime | None = None  # by the counter's clock; None: not yet
    wait_s: float = 0.0  # until the window has room
    banned_s: float = 0.0  # until the vendor's own ban ends


class RequestQuotas(Protocol):
    """A vendor account's requests, counted for all its processes.  Calls block; raise StoreError while away."""

    def take(self, account: str, resource: str, requests: int, window_s: float) -> Turn:
        """Send now, and be counted, if fewer than `requests` were sent in the last `window_s`; or how long to wait."""

    def settle(self, account: str, resource: str, granted_at: datetime) -> None:
        """The answer of a granted request is there: it was sent by now at the latest."""

    def ban(self, account: str, resource: str, seconds: float) -> None:
        """Nobody of the account asks for this resource before that."""


class AlertChannel(Protocol):
    """A way to a person."""

    name: str  # ntfy, webhook
    place: str  # its host; never the whole address, which may hold a secret

    async def send(self, alert: Alert) -> None:
        """Deliver an alert: it arrived when this returns.  Raises ChannelError; `final` where trying again is no use.

        An alert whose answer was lost may be sent twice; it carries its id, by which a receiver knows it again.
        """


class AlertStore(Protocol):
    """Rules, where they stand, and an outbox for each channel."""

    def rules(self) -> Sequence[AlertRule]:
        """Every rule that somebody made, oldest first."""

    def add_rule(self, rule: AlertRule) -> str:
        """Remember a new rule; its id."""

    def remove_rule(self, rule_id: str) -> bool:
        """Forget a rule; False where there is none of that id."""

    def standings(self) -> Mapping[str, Standing]:
        """Where each rule stood when it was last looked at."""

    def stand(
        self, rule_id: str, before: Standing, after: Standing, alert: Alert | None, channels: Sequence[str]
    ) -> bool:
        """Move a rule, and put its alert in each channel's outbox, in one transaction.

        False where another process moved the rule since `before` was read: nothing is written then.
        """

    def claim(self, channel: str, lease_s: float) -> Delivery | None:
        """The channel's oldest undelivered alert, ours to try for so long; None where none is due."""

    def settle(self, delivery: Delivery, error: str | None = None, wait_s: float | None = None) -> None:
        """What became of a try: delivered (no error), to be tried again after a while, or given up (no while)."""

    def note_channel(self, channel: str, place: str, *, tried: bool = False, error: str | None = None) -> None:
        """Somebody delivers to this channel; how the last try ended, if there was one since."""

    def keep_channels(self, channels: Sequence[str]) -> None:
        """Forget the channels that are not among these; what waits for them is given up."""

    def channels(self) -> Sequence[ChannelState]:
        """How each channel does."""

    def log(self, limit: int, underlying: str | None = None) -> Sequence[dict[str, Any]]:
        """The newest alerts as plain rows, newest first, each with its deliveries."""


class Store(Protocol):
    """Durable memory.  Calls block; asyncio callers use `asyncio.to_thread`.  All are safe from several threads."""

    @property
    def api_keys(self) -> KeyStore:
        """Who may ask over the network."""

    @property
    def request_quotas(self) -> RequestQuotas:
        """What all processes of a vendor account have sent."""

    @property
    def alerts(self) -> AlertStore:
        """What people want to be told of, and what they were told."""

    def feed_state(self) -> FeedState | None:
        """Where this database's data comes from; None before the first ingest."""

    def announce_feed(self, state: FeedState) -> None:
        """Record the feed, as one without trouble; raises OriginConflict where live and simulated data would mix."""

    def note_feed_trouble(self, trouble: str | None) -> None:
        """Record why the feed cannot be heard, for every process to say; None: it can."""

    def writer_lock(self, underlying: str) -> AbstractContextManager[None]:
        """The sole right to write an underlying while held; raises LockHeld naming the holder."""

    def place_among(self, group: str) -> tuple[int, int]:
        """(our rank, how many): the living processes that named this group, the longest connected first; joins it."""

    def hurry(self, most_s: float | None) -> None:
        """Wait so long at most for each answer, also to what is being asked, and ask once; None: as configured."""

    def recover(self, underlying: str) -> int:
        """Write what a killed process left in the spool; returns how many minutes that were."""

    def keep_minute(self, batch: MinuteBatch) -> None:
        """Durable when it returns: on the disk, until `drain` brings it into the database; idempotent."""

    def drain(self, underlying: str, most: int | None = None) -> int:
        """Write minutes that were kept, oldest first, at most so many; how many that were: fewer when none is left."""

    def keep_checkpoint(self, chain: OptionChain) -> None:
        """Put the latest rows on our own disk in place of the last ones, where there is such a place."""

    def kept_checkpoint(self, underlying: str) -> OptionChain | None:
        """What `keep_checkpoint` put there last, if it can be read."""

    def drop_checkpoint(self, underlying: str) -> None:
        """The database has what was put there."""

    def write_minute(self, batch: MinuteBatch) -> None:
        """Keep a minute, and drain if the database is there."""

    def write_bars(self, bars: Sequence[MinuteBar]) -> None:
        """Upsert underlying minutes alone (gap filling)."""

    def write_latest(self, chain: OptionChain, changed: Bools) -> None:
        """Upsert the changed rows of the latest-row table, and the spot; notifies `latest`."""

    def forget_latest(self, underlying: str, symbols: Sequence[str]) -> None:
        """Remove contracts no longer followed (expired, out of the window) from the latest rows."""

    def latest_chain(self, underlying: str) -> OptionChain | None:
        """The newest known row of each followed contract."""

    def minute_chain(self, underlying: str, timestamp: datetime | None = None) -> OptionChain | None:
        """The chain stored for a minute (None: the last one); as_of is that minute's end."""

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[MinuteBar]:
        """Stored minutes with start in [start, end), ascending."""

    def chain_minutes(self, underlying: str, start: datetime, end: datetime) -> Sequence[datetime]:
        """Which minutes in [start, end) have a stored chain, ascending."""

    def unanalysed_minutes(
        self, underlying: str, start: datetime, end: datetime, step: timedelta, limit: int
    ) -> Sequence[ChainVersion]:
        """Minutes in [start, end), newest first, with no analysis closer than `step` or one older than their chain."""

    def declared_gaps(self, underlying: str, since: datetime) -> Sequence[DataGap]:
        """What ingest declared missing, or without news, that ended after `since`; oldest first."""

    def record_findings(self, underlying: str, day: date, findings: Sequence[Finding]) -> None:
        """Replace what is known of a day's quality: findings no longer found are marked as resolved."""

    def last_bar(self, symbol: str) -> MinuteBar | None:
        """The newest stored minute of a symbol."""

    def underlyings(self) -> Sequence[str]:
        """Symbols with any data, ascending."""

    def chain_versions(self, underlying: str) -> Sequence[ChainVersion]:
        """The minutes with a chain of the last day that has any, ascending."""

    def write_analysis(self, analysis: Analysis, timestamp: datetime, version: int | None = None) -> None:
        """Upsert gex_summary and gex_calculations for a minute; notifies `gex`.  `version`: of the chain it saw."""

    def write_live(self, analysis: Analysis, payload: bytes) -> None:
        """Replace the one live row of an underlying (`payload`: its JSON); notifies `gex`."""

    def live(self, underlying: str) -> bytes | None:
        """The JSON of the newest live analysis."""

    def gex_history(self, underlying: str, start: datetime, end: datetime) -> Sequence[dict[str, Any]]:
        """Rows of gex_summary, ascending."""

    def query(self, name: str, **parameters: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one named read query: column names and rows."""

    def notices(self, timeout_s: float) -> Iterator[Notice]:
        """Notices as they come; ends after `timeout_s` without one (0.5 s is a good poll)."""

    def close(self) -> None:
        """Give back every connection."""

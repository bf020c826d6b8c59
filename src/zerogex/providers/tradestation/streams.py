"""A stream that does not end: opened, read, judged, and opened again with patience.

The vendor's streams are endless HTTP answers.  A connection is over when the server says so
(GoAway, an error), when it closes, when nothing whole came for 15 s (heartbeats come every 5),
or when the regular session brings heartbeats but no data.  All these are real seconds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any

import httpx2
import msgspec

from zerogex.clock import Clock
from zerogex.crashpoints import crashpoint
from zerogex.domain.calendar import Session, session_at
from zerogex.errors import NotAuthorized, ProviderError, RateLimited, Unavailable, UnknownSymbol
from zerogex.ports import FeedEvent
from zerogex.providers.tradestation import answers
from zerogex.providers.tradestation.auth import Credentials
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.connection import Connection, F, Over, StreamRequest
from zerogex.providers.tradestation.framing import LineSplitter
from zerogex.providers.tradestation.gather import Gathered
from zerogex.providers.tradestation.http import trouble
from zerogex.providers.tradestation.quota import Governor
from zerogex.providers.tradestation.reconnect import Ending, Reconnect

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/vnd.tradestation.streams.v2+json"
LARGEST_ERROR_BODY = 64 << 10
LONGEST_SILENCE_S = 600.0
MUTE_OPENINGS = 3  # in a row, opened and closed without a word: what the vendor does over its cap
STARVED_S = 60.0  # in units of retry_delay_s, where the server does not say how long
DEGRADED = "opened and closed without a word (upstream degraded)"


class Starved(Unavailable):
    """The server grants no stream now: ask another way, and for a stream again in `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Place:
    """A claim to one of the streams the account may hold; claims are met in order."""

    def __init__(self, room: asyncio.Semaphore) -> None:
        self._room = room
        self._claim = asyncio.ensure_future(room.acquire())

    async def granted(self, within_s: float) -> bool:
        """Whether the claim is met, waiting at most so long."""
        await asyncio.wait({self._claim}, timeout=within_s)
        return self._claim.done()

    async def aclose(self) -> None:
        """Give the place, or the claim, back."""
        self.abandon()
        await asyncio.wait({self._claim})
        if not self._claim.cancelled():
            self._room.release()

    def abandon(self) -> None:
        """Stop waiting; a place already granted stays."""
        self._claim.cancel()


class Streams:
    """Opens streams, keeps to the cap, and tells what happens through `emit(kind, stream, detail)`."""

    def __init__(
        self,
        config: TradeStationConfig,
        http: httpx2.AsyncClient,
        credentials: Credentials,
        governor: Governor,
        clock: Clock,
        emit: Callable[[FeedEvent], None],
    ) -> None:
        self.tally: Counter[str] = Counter()  # of connections that ended, and of what is not a stream's
        self._living: set[Connection[Any]] = set()
        self._ending = threading.Lock()  # a connection's counts are in the one or the other, whoever looks
        # headers of every answer, and how long they took; assignable
        self.on_headers: Callable[[Mapping[str, str], float], None] = lambda headers, seconds: None
        self._config = config
        self._http = http
        self._credentials = credentials
        self._governor = governor
        self._clock = clock
        self._starved_s = STARVED_S * config.retry_delay_s
        self._emit_event = emit
        self._room = asyncio.Semaphore(config.max_streams)
        self._closing = asyncio.Event()
        self._waits: set[asyncio.Timeout] = set()
        self._places: set[Place] = set()

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[Place, None]:
        """A claim to a stream, for the length of an `async with`."""
        place = Place(self._room)
        self._places.add(place)
        try:
            yield place
        finally:
            self._places.discard(place)
            await place.aclose()

    async def aclose(self) -> None:
        """Every `follow` ends soon."""
        self._closing.set()
        for place in tuple(self._places):
            place.abandon()
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(now)
        await asyncio.sleep(0)

    @property
    def counts(self) -> Counter[str]:
        """What came so far, on open connections too; from any thread."""
        with self._ending:
            total = self.tally.copy()
            for connection in tuple(self._living):
                total.update(connection.counts.copy())
        return total

    @property
    def closing(self) -> bool:
        """Whether `aclose` was called."""
        return self._closing.is_set()

    @asynccontextmanager
    async def wait(self, until: float | None = None) -> AsyncGenerator[None, None]:
        """A block that ends with TimeoutError at a loop time, or as soon as everything is closing."""
        async with asyncio.timeout_at(0.0 if self.closing else until) as limit:
            self._waits.add(limit)
            try:
                yield
            finally:
                self._waits.discard(limit)

    async def rest(self, seconds: float) -> None:
        """Wait, unless everything is closing."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def follow(self, request: StreamRequest[F]) -> AsyncGenerator[tuple[list[F], datetime], None]:
        """The data of each network read with its time of arrival, across reconnects.

        An empty list marks that a new connection begins.  The caller holds a `place`.  Raises what
        trying again cannot mend: NotAuthorized, UnknownSymbol, a request the server calls bad; and
        Starved, when the server keeps us from streaming though it is there.
        """
        mute = 0
        reconnect = Reconnect(self._config)
        silence_s = self._config.silent_after_s
        while not self.closing:
            began = asyncio.get_running_loop().time()
            connection = Connection(request, began, self._emit)
            self._living.add(connection)
            try:
                async with aclosing(self._connection(request, connection, silence_s)) as batches:
                    async for batch in batches:
                        yield batch
                spoke = connection.counts["messages"] + connection.counts["heartbeats"] > 0
                mute = 0 if spoke else mute + 1
                end = Over(Ending.CLOSED if spoke else Ending.EMPTY, "the server closed the stream")
            except Over as over:
                end = over
            except RateLimited as limited:
                raise self._starved_by(request, limited) from None
            except Unavailable as error:
                end = Over(Ending.TROUBLE, str(error))
            finally:
                with self._ending:
                    self._living.discard(connection)
                    self.tally.update(connection.counts)
            if self.closing:
                return
            lived = asyncio.get_running_loop().time() - began
            if end.ending is Ending.SILENT:
                silence_s = min(2 * silence_s, LONGEST_SILENCE_S)
            elif connection.counts["messages"]:
                silence_s = self._config.silent_after_s
            if mute >= MUTE_OPENINGS:
                self._emit("reconnecting", request.name, f"{DEGRADED}: {end}")
                raise Starved(f"TradeStation stream {request.name}: {DEGRADED}", self._starved_s)
            await self._pause(request, end, reconnect.pause_s(end.ending, lived))

    async def _pause(self, request: StreamRequest[F], end: Over, pause_s: float) -> None:
        kind = end.ending.value if end.ending in (Ending.GO_AWAY, Ending.DUAL_LOGON, Ending.SILENT) else "reconnecting"
        self.tally["reconnects"] += 1
        self._emit(kind, request.name, f"{DEGRADED}: {end}" if end.ending is Ending.EMPTY else str(end))
        log.info(
            "stream reconnecting",
            extra={
                "stream": request.name,
                "reason": str(end),
                "ending": end.ending.value,
                "pause_s": round(pause_s, 2),
            },
        )
        await self.rest(pause_s)

    def _starved_by(self, request: StreamRequest[F], limited: RateLimited) -> Starved:
        """A quota or the cap holds this stream back; nobody of its group asks before it is over."""
        wait = self._starved_s if limited.retry_after_s is None else limited.retry_after_s
        self._governor.ban(request.group, wait)
        self._emit("rate_limited", request.name, str(limited))
        return Starved(str(limited), wait)

    def _emit(self, kind: str, stream: str, detail: str) -> None:
        self._emit_event(FeedEvent(kind, stream, detail))

    async def _connection(
        self, request: StreamRequest[F], connection: Connection[F], silence_s: float
    ) -> AsyncGenerator[tuple[list[F], datetime], None]:
        """One connection from opening to end."""
        async with self._open(request) as (answer, token):
            connection.last_whole = connection.last_life = asyncio.get_running_loop().time()
            self._emit("connected", request.name, "")
            yield [], self._clock.now()
            splitter = LineSplitter()
            try:
                async with aclosing(self._chunks(answer, connection, splitter)) as chunks:
                    async for lines in chunks:
                        received = self._clock.now()
                        data = connection.sort(lines)
                        if data:
                            crashpoint("after_parse")
                            yield data, received
                        self._judge(request, connection, data, received, silence_s)
            except Over as over:
                if over.token_refused:
                    await self._credentials.refused(token)
                raise
            finally:
                if splitter.quarantined:
                    connection.counts["quarantined"] += splitter.quarantined
                    self._emit("bad_payload", request.name, f"{splitter.quarantined} oversized objects dropped")

    def _judge(
        self,
        request: StreamRequest[F],
        connection: Connection[F],
        data: Sequence[F],
        received: datetime,
        silence_s: float,
    ) -> None:
        """End a connection that said it is over, or that lives on heartbeats while the market trades."""
        if connection.over is not None:
            raise connection.over
        now = asyncio.get_running_loop().time()
        if request.is_alive(data, received):
            connection.last_life = now
        elif now - connection.last_life >= silence_s:
            if session_at(received) is Session.REGULAR:
                raise Over(Ending.SILENT, f"no fresh data for {now - connection.last_life:.0f} s")
            connection.last_life = now  # quiet hours owe no data; the count begins anew

    async def _chunks(
        self, answer: httpx2.Response, connection: Connection[F], splitter: LineSplitter
    ) -> AsyncGenerator[list[bytes], None]:
        """The lines of each read.  Raises Over when nothing whole comes for too long."""
        loop = asyncio.get_running_loop()
        cut: str | None = None
        async with Gathered(answer.aiter_bytes()) as reads:
            while True:
                deadline = connection.last_whole + self._config.inactivity_timeout_s
                if connection.pending_since is not None:
                    deadline = min(deadline, connection.pending_since + self._config.object_timeout_s)
                try:
                    async with self.wait(deadline):
                        chunk = await reads.take()
                except TimeoutError:
                    silent_s = loop.time() - connection.last_whole
                    raise Over(Ending.TROUBLE, f"nothing whole for {silent_s:.1f} s") from None
                except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
                    chunk, cut = None, f"the connection broke ({type(error).__name__})"
                if chunk is None:
                    break
                crashpoint("after_read")
                lines = splitter.feed(chunk)
                if lines:
                    connection.last_whole = loop.time()
                    connection.pending_since = None
                if not splitter.pending:
                    connection.pending_since = None
                elif connection.pending_since is None:
                    connection.pending_since = loop.time()
                if lines:
                    yield lines
        whole = [line for line in splitter.end() if _is_json(line)]
        if whole:
            yield whole
        elif connection.pending_since is not None:
            connection.counts["partial"] += 1
        if cut is not None:
            raise Over(Ending.TROUBLE, cut)

    @asynccontextmanager
    async def _open(self, request: StreamRequest[F]) -> AsyncGenerator[tuple[httpx2.Response, str], None]:
        """An answer of 200 whose body is still to come, and the token it was opened with."""
        try:
            async with self.wait():
                answer, token = await self._ask(request)
        except TimeoutError:
            raise Over(Ending.CLOSED, "the client is closing") from None
        try:
            if answer.status_code != 200:
                raise await self._refusal(request, answer)
            yield answer, token
        finally:
            await answer.aclose()

    async def _ask(self, request: StreamRequest[F]) -> tuple[httpx2.Response, str]:
        token = await self._credentials.token()
        answer = await self._send(request, token)
        if answer.status_code == 401:
            await answer.aclose()
            token = await self._credentials.refused(token)
            answer = await self._send(request, token)
        return answer, token

    async def _send(self, request: StreamRequest[F], token: str) -> httpx2.Response:
        place = await self._governor.admit(request.group)
        ready = self._http.build_request(
            "GET",
            self._config.api_url + request.path,
            params=dict(request.params()),
            headers={"Authorization": f"Bearer {token}", "Accept": MEDIA_TYPE, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(None),
        )
        try:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(self._config.object_timeout_s):
                answer = await self._http.send(ready, stream=True)
            self.on_headers(answer.headers, asyncio.get_running_loop().time() - began)
            return answer
        except TimeoutError:
            limit = self._config.object_timeout_s
            raise Unavailable(f"TradeStation stream {request.name}: no answer within {limit:g} s") from None
        except (httpx2.HTTPError, OSError) as error:
            raise Unavailable(f"TradeStation stream {request.name}: {trouble(error)}") from None
        finally:
            self._governor.answered(request.group, place)

    async def _refusal(self, request: StreamRequest[F], answer: httpx2.Response) -> Exception:
        body = bytearray()
        try:
            async with asyncio.timeout(self._config.object_timeout_s):
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_ERROR_BODY:
                        break
        except (httpx2.HTTPError, TimeoutError, OSError):
            pass  # the status alone will do
        name = f"stream {request.name}"
        error: ProviderError = answers.error_of(answer.status_code, answer.headers, bytes(body), name, request.subject)
        passing = answers.no_data(answer.status_code, bytes(body)) or request.missing_is_passing
        if isinstance(error, UnknownSymbol) and answer.status_code == 404 and passing:
            return Over(Ending.EMPTY, str(error))
        if isinstance(error, NotAuthorized):
            log.error("stream refused", extra={"stream": request.name, "reason": str(error)})
        return error


def _is_json(line: bytes) -> bool:
    """Whether the last bytes of a stream are a whole object, or one of the old plain words."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        return line == b"END" or line.startswith(b"ERROR")
    return True

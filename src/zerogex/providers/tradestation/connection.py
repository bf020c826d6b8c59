"""One connection of a stream: which of its lines are data, and which of them end it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from zerogex.errors import RateLimited, Unavailable, UnknownSymbol
from zerogex.providers.tradestation import answers, parse, wire
from zerogex.providers.tradestation.reconnect import Ending

F = TypeVar("F", bound=wire.Frame)
PASSING_SYMBOL_ERROR = "FAILED"  # bare; with a reason behind it the error is final


@dataclass(frozen=True, slots=True)
class StreamRequest(Generic[F]):
    """What to open, and how to read it."""

    name: str  # for people: "bars SPY"
    path: str  # encoded, begins with /v3
    group: str  # whose quota an opening counts against
    subject: str  # what is asked for, in our spelling
    vendor_symbol: str
    decoder: msgspec.json.Decoder[F]
    params: Callable[[], Mapping[str, Any]]  # asked anew at each opening
    is_alive: Callable[[Sequence[F], datetime], bool] = lambda frames, received: bool(frames)
    missing_is_passing: bool = False  # a 404 may only mean that the market is closed


class Over(Exception):
    """The connection has to be given up."""

    def __init__(self, ending: Ending, detail: str, *, token_refused: bool = False) -> None:
        super().__init__(detail)
        self.ending = ending
        self.token_refused = token_refused


class Connection(Generic[F]):
    """What one connection has said so far."""

    def __init__(self, request: StreamRequest[F], began: float, emit: Callable[[str, str, str], None]) -> None:
        self.began = began
        self.last_whole = began  # when a whole message came last
        self.last_life = began  # when data came last that proves the feed alive
        self.pending_since: float | None = None
        self.counts: Counter[str] = Counter()
        self.over: Exception | None = None
        self._request = request
        self._emit = emit

    def sort(self, lines: Sequence[bytes]) -> list[F]:
        """The data among the lines; what else they say is counted, announced, or ends the connection."""
        decode, data = self._request.decoder.decode, []
        for line in lines:
            try:
                frame = decode(line)
            except (msgspec.DecodeError, RecursionError):
                salvaged = self._salvaged(line)
                if salvaged is None:
                    continue
                frame = salvaged
            if frame.error is None and frame.heartbeat is None and frame.stream_status is None:
                data.append(frame)
            else:
                self._control(frame)
        self.counts["messages"] += len(data)
        return data

    def _salvaged(self, line: bytes) -> F | None:
        """A frame without its dispensable nonsense; None for what is no frame at all."""
        try:
            return wire.decode(self._request.decoder, line)
        except msgspec.DecodeError as error:
            if line == b"END":
                self.over = Over(Ending.CLOSED, "the server said END")
            elif line.startswith(b"ERROR"):
                self.over = Over(Ending.TROUBLE, f"the server said {line[:80]!r}")
            else:
                self.counts["bad_payload"] += 1
                self.counts["undecodable"] += 1
                self._emit("bad_payload", self._request.name, str(parse.undecodable(error, line)))
            return None

    def _control(self, frame: F) -> None:
        if frame.error is not None:
            self._error(frame.error, frame.message, frame.symbol)
        elif frame.stream_status == "GoAway":
            self.over = Over(Ending.GO_AWAY, "the server is about to shut down")
        elif frame.heartbeat is not None:
            self.counts["heartbeats"] += 1

    def _error(self, code: str, message: str | None, symbol: str | None) -> None:
        request, words = self._request, f"{code}: {message}" if message else code
        if code == "GoAway":
            self.over = Over(Ending.GO_AWAY, words)
        elif code == "DualLogon":
            self.over = Over(Ending.DUAL_LOGON, "the login is in use elsewhere")
        elif code == "Unauthorized":
            self.over = Over(Ending.TROUBLE, words, token_refused=True)
        elif symbol is None:
            error = answers.stream_error(code, message, f"stream {request.name}", request.subject)
            self.over = Over(Ending.TROUBLE, words) if isinstance(error, Unavailable | RateLimited) else error
        elif symbol.upper() != request.vendor_symbol.upper():
            self.counts["symbol_errors"] += 1
            self._emit("symbol_error", request.name, f"{symbol}: {words}"[:200])
        elif code.strip().upper() == PASSING_SYMBOL_ERROR:
            self.over = Over(Ending.TROUBLE, f"{symbol}: {words}")
        else:
            self.over = UnknownSymbol(f"TradeStation stream {request.name}: {request.subject}: {words[:200]}")

"""The routes of the API as methods.  Safe to use from several threads; one connection pool a client."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx2

from zerogex.client.errors import ApiError, ServerUnreachable
from zerogex.client.live import Update, follow

if TYPE_CHECKING:
    import polars as pl

PREFIX = "/api/v1"


class Payload(dict[str, Any]):
    """The JSON of an answer, and where it came from, so that its rows can be had as a table."""

    def __init__(self, body: Mapping[str, Any], client: Client, path: str, parameters: Mapping[str, Any]) -> None:
        super().__init__(body)
        self._client = client
        self._path = path
        self._parameters = dict(parameters)

    def to_polars(self) -> pl.DataFrame:
        """The rows of the same question as a data frame, asked for anew as Arrow."""
        import polars as pl

        return pl.read_ipc_stream(io.BytesIO(self._client.raw(self._path, **self._parameters, format="arrow")))


class Client:
    """One server.  Every method raises ApiError where the server refuses, ServerUnreachable where none answers.

    Options of the routes (`as_of`, `expirations`, `dealer_model`, `start`, `end`, `limit` …) are
    keyword arguments of the same name; times must have an offset.
    """

    def __init__(
        self, address: str = "http://127.0.0.1:8642", *, key: str | None = None, timeout_s: float = 30.0
    ) -> None:
        self.address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(base_url=self.address + PREFIX, headers=self._headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def symbols(self) -> Payload:
        """Every underlying followed there."""
        return self.get("/symbols")

    def all_levels(self, **options: Any) -> Payload:
        """The levels of every underlying in one table."""
        return self.get("/levels", **options)

    def me(self) -> Payload:
        """Whose key this is, and what is left of its quota."""
        return self.get("/me")

    def summary(self, symbol: str, **options: Any) -> Payload:
        """Totals, flip, levels, max pain, ratios, expected move, coverage."""
        return self._of(symbol, "summary", options)

    def strikes(self, symbol: str, **options: Any) -> Payload:
        """Exposures by strike."""
        return self._of(symbol, "strikes", options)

    def expirations(self, symbol: str, **options: Any) -> Payload:
        """Exposures by expiration."""
        return self._of(symbol, "expirations", options)

    def heatmap(self, symbol: str, **options: Any) -> Payload:
        """Exposures by strike and expiration; `by="time"`: by strike through a day."""
        return self._of(symbol, "heatmap", options)

    def profile(self, symbol: str, **options: Any) -> Payload:
        """Net GEX re-priced at other spots."""
        return self._of(symbol, "profile", options)

    def levels(self, symbol: str, **options: Any) -> Payload:
        """The prices one draws on a chart."""
        return self._of(symbol, "levels", options)

    def chain(self, symbol: str, **options: Any) -> Payload:
        """Every contract with its quote, volatility and Greeks."""
        return self._of(symbol, "chain", options)

    def smile(self, symbol: str, **options: Any) -> Payload:
        """Implied volatility by strike and expiration, and the term structure."""
        return self._of(symbol, "smile", options)

    def bars(self, symbol: str, **options: Any) -> Payload:
        """Stored one-minute bars."""
        return self._of(symbol, "bars", options)

    def history(self, symbol: str, **options: Any) -> Payload:
        """Stored analyses by minute; `resolution` thins them."""
        return self._of(symbol, "history", options)

    def quality(self, symbol: str, **options: Any) -> Payload:
        """How complete a day is, and how far each stage lags."""
        return self._of(symbol, "quality", options)

    def flow(self, symbol: str, kind: str = "type", **options: Any) -> Payload:
        """Option flow by type, strike, expiration, smart-money or buying-pressure."""
        return self._of(symbol, f"flow/{kind}", options)

    def pages(self, payload: Payload) -> Iterator[Payload]:
        """An answer, then those of its `next_cursor`, to the end."""
        while True:
            yield payload
            cursor = payload.get("next_cursor")
            if cursor is None:
                return
            payload = self.get(payload._path, **{**payload._parameters, "cursor": cursor})

    async def live(self, *symbols: str, kinds: tuple[str, ...] = ("summary",)) -> AsyncIterator[Update]:
        """Snapshots, then changes, as they come; after a cut it reconnects and resumes by itself.

        Ends only by being closed; raises ApiError where the server refuses a topic.
        """
        topics = [f"{kind}:{symbol}" for symbol in symbols for kind in kinds]
        async for update in follow(self.address, topics, self._headers):
            yield update

    def get(self, path: str, **parameters: Any) -> Payload:
        """Any route that answers with a JSON object."""
        return Payload(self._ask(path, parameters).json(), self, path, parameters)

    def raw(self, path: str, **parameters: Any) -> bytes:
        """Any route, as bytes; with `format="parquet"` or the like."""
        return self._ask(path, parameters).content

    def _of(self, symbol: str, name: str, options: Mapping[str, Any]) -> Payload:
        return self.get(f"/{quote(symbol, safe='')}/{name}", **options)

    def _ask(self, path: str, parameters: Mapping[str, Any]) -> httpx2.Response:
        said = {name: _text(value) for name, value in parameters.items() if value is not None}
        try:
            response = self._http.get(path, params=said)
        except httpx2.TransportError as error:
            raise ServerUnreachable(f"{self.address} does not answer ({error}); is `zerogex serve` running?") from error
        if response.is_success:
            return response
        raise refusal(response)


def refusal(response: httpx2.Response) -> ApiError:
    """The error an answer stands for."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    after = response.headers.get("retry-after", "")
    return ApiError({"status": response.status_code, **problem}, float(after) if after.isdigit() else None)


def _text(value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no offset; give an aware datetime")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(_text(each) for each in value)
    return str(value)

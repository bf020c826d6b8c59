"""What every provider of market data must do, asked of TradeStation's client twice: of a scripted server
that says the documented examples, and of the simulator."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from zerogex.clock import Clock, ManualClock
from zerogex.domain.contract import OptionContract, OptionKind, parse_symbol
from zerogex.errors import ProviderError
from zerogex.ports import ChainWindow, FeedEvent, MarketData
from zerogex.providers.tradestation import TradeStation, TradeStationConfig, discover_clock
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator

_HELPER = Path(__file__).parents[1] / "unit/providers/tradestation/scripted.py"
_SPEC = importlib.util.spec_from_file_location("tradestation_scripted_contract", _HELPER)
assert _SPEC is not None and _SPEC.loader is not None
scripted = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = scripted
_SPEC.loader.exec_module(scripted)

NOW = datetime(2026, 5, 11, 14, 25, 30, tzinfo=UTC)  # a Monday, 10:25:30 ET


class MarketDataContract:
    """A provider brings fixtures `provider` (following SPY and SPX) and `clock`."""

    @pytest.fixture
    def heard(self, provider: MarketData) -> list[FeedEvent]:
        events: list[FeedEvent] = []
        provider.on_event = events.append
        return events

    async def window(self, provider: MarketData, underlying: str) -> ChainWindow:
        """The nearest expiration, 2 % around spot."""
        (quote,) = await provider.quotes([underlying])
        root, expiration = (await provider.expirations(underlying))[0]
        contracts = await provider.contracts(underlying, root, expiration)
        near = tuple(c for c in contracts if abs(float(c.strike) / quote.last - 1) < 0.02)
        return ChainWindow(underlying, root, expiration, quote.last, near)

    async def test_expirations_ascend_and_name_their_roots(self, provider: MarketData) -> None:
        listed = await provider.expirations("SPX")
        assert [day for _, day in listed] == sorted(day for _, day in listed)
        assert {root for root, _ in listed} == {"SPX", "SPXW"}
        assert len(set(listed)) == len(listed)
        assert {root for root, _ in await provider.expirations("SPY")} == {"SPY"}

    async def test_contracts_are_both_kinds_of_every_strike_ascending(self, provider: MarketData) -> None:
        root, expiration = (await provider.expirations("SPX"))[0]
        contracts = await provider.contracts("SPX", root, expiration)
        strikes = [contract.strike for contract in contracts]
        assert strikes == sorted(strikes)
        for kind in OptionKind:
            assert sorted({c.strike for c in contracts if c.kind is kind}) == sorted(set(strikes))
        assert {(c.underlying, c.root, c.expiration) for c in contracts} == {("SPX", root, expiration)}

    async def test_a_snapshot_leaves_unknown_symbols_out_and_reports_them(
        self, provider: MarketData, heard: list[FeedEvent]
    ) -> None:
        quotes = await provider.quotes(["SPY", "NOSUCH", "SPX"])
        assert sorted(quote.symbol for quote in quotes) == ["SPX", "SPY"]
        assert [event.kind for event in heard] == ["symbol_error"]
        assert "NOSUCH" in heard[0].detail

    async def test_times_are_utc_and_received_time_is_from_our_clock(self, provider: MarketData, clock: Clock) -> None:
        before = clock.now()
        window = await self.window(provider, "SPY")
        said = [*await provider.quotes(["SPY"]), *await provider.option_quotes(window.contracts[:3])]
        assert len(said) == 4
        for quote in said:
            assert quote.event_time.utcoffset() == quote.received_time.utcoffset() == timedelta(0)
            assert before <= quote.received_time <= clock.now()

    async def test_option_quotes_are_of_the_contracts_asked_for(self, provider: MarketData) -> None:
        contracts = (await self.window(provider, "SPX")).contracts
        quotes = await provider.option_quotes(contracts)
        assert {quote.contract for quote in quotes} == set(contracts)
        assert await provider.option_quotes([]) == []

    async def test_an_unknown_contract_is_left_out_and_reported(
        self, provider: MarketData, heard: list[FeedEvent]
    ) -> None:
        contract = (await self.window(provider, "SPY")).contracts[0]
        unknown = OptionContract("SPY", "SPY", contract.expiration, contract.strike * 1000, contract.kind)
        quotes = await provider.option_quotes([unknown, contract])
        assert [quote.contract for quote in quotes] == [contract]
        assert [event.kind for event in heard] == ["symbol_error"]

    async def test_bars_are_ordered_unique_and_inside_the_window(self, provider: MarketData, clock: Clock) -> None:
        end = clock.now().replace(second=0, microsecond=0)
        start = end - timedelta(minutes=20)
        bars = await provider.bars("SPY", start, end)
        starts = [bar.start for bar in bars]
        assert starts == [start + timedelta(minutes=minute) for minute in range(20)]
        assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
        assert all(bar.symbol == "SPY" and bar.closed for bar in bars)

    async def test_a_window_without_trading_has_no_bars(self, provider: MarketData) -> None:
        sunday = datetime(2026, 5, 10, 15, tzinfo=UTC)
        assert list(await provider.bars("SPX", sunday, sunday + timedelta(hours=1))) == []

    @pytest.mark.parametrize("ask", ["expirations", "bars", "follow_bars"])
    async def test_an_unknown_symbol_is_a_provider_error_naming_it(self, provider: MarketData, ask: str) -> None:
        with pytest.raises(ProviderError, match="NOSUCH"):
            if ask == "expirations":
                await provider.expirations("NOSUCH")
            elif ask == "bars":
                await provider.bars("NOSUCH", NOW - timedelta(hours=1), NOW)
            else:
                async for _ in provider.follow_bars("NOSUCH"):
                    pass

    async def test_followed_bars_reach_the_minute_that_forms_now(self, provider: MarketData, clock: Clock) -> None:
        async with aclosing(provider.follow_bars("SPY")) as bars:
            async for bar in bars:
                if bar.realtime:
                    break
        assert bar.symbol == "SPY"
        assert bar.start <= clock.now() < bar.start + timedelta(minutes=2)

    async def test_a_followed_chain_brings_every_contract_of_its_window_and_no_other(
        self, provider: MarketData
    ) -> None:
        window = await self.window(provider, "SPX")
        heard: dict[OptionContract, int] = {}
        async with aclosing(provider.follow_chain(window)) as batches:
            async for quotes in batches:
                assert quotes
                heard |= {quote.contract: quote.open_interest for quote in quotes}
                if len(heard) >= len(window.contracts):
                    break
        assert set(heard) == set(window.contracts)

    async def test_closing_ends_what_is_followed(self, provider: MarketData) -> None:
        window = await self.window(provider, "SPY")
        batches = 0
        async for _ in provider.follow_chain(window):
            batches += 1
            await provider.aclose()
        assert batches >= 1


def config(api_url: str, auth_url: str) -> TradeStationConfig:
    return TradeStationConfig("simulator", "simulator", "simulator", api_url=api_url, auth_url=auth_url)


class TestSimulatedTradeStation(MarketDataContract):
    """The client, listening to the simulator."""

    @pytest.fixture
    async def simulator(self) -> AsyncIterator[Simulator]:
        async with Simulator(SimulatorConfig(port=0, start=NOW)) as running:
            yield running

    @pytest.fixture
    async def clock(self, simulator: Simulator) -> Clock:
        found = await discover_clock(simulator.url)
        assert found is not None
        return found

    @pytest.fixture
    async def provider(self, simulator: Simulator, clock: Clock) -> AsyncIterator[TradeStation]:
        client = TradeStation(config(simulator.url, simulator.auth_url), clock)
        yield client
        await client.aclose()


SPOTS = {"SPY": 451.0, "$SPX.X": 4510.0}
STRIKES = {"SPY": [440, 450, 451, 452.5, 460], "$SPX.X": [4500, 4510], "$SPXW.X": [4490, 4500, 4507.5, 4520]}
EXPIRATIONS = {
    "SPY": [("2026-05-11", "Weekly"), ("2026-05-15", "Monthly")],
    "$SPX.X": [("2026-05-15", "Monthly")],
    "$SPXW.X": [("2026-05-11", "Weekly"), ("2026-05-15", "Monthly")],
}


class TestScriptedTradeStation(MarketDataContract):
    """The client, listening to a server that says what the documentation shows."""

    @pytest.fixture
    def clock(self) -> Clock:
        return ManualClock(NOW)

    @pytest.fixture
    async def provider(self, clock: Clock) -> AsyncIterator[TradeStation]:
        async with scripted.ScriptedServer() as server:
            market = "/v3/marketdata"
            server.on(f"{market}/quotes/", _quotes)
            server.on(f"{market}/barcharts/", _bars)
            server.on(f"{market}/options/expirations/", _expirations)
            server.on(f"{market}/options/strikes/", _strikes)
            server.on(f"{market}/stream/options/chains/", _chain)
            server.on(f"{market}/stream/barcharts/SPY", _bar_stream)
            client = TradeStation(config(server.url, server.url), clock)
            yield client
            await client.aclose()


def _last(asked: Any) -> str:
    return str(asked.path.rpartition("/")[2])


def _expirations(asked: Any) -> Any:
    if _last(asked) not in EXPIRATIONS:
        return scripted.Says({"Error": "BadRequest", "Message": "Invalid symbol"}, 400)
    listed = [{"Date": f"{day}T00:00:00Z", "Type": kind} for day, kind in EXPIRATIONS[_last(asked)]]
    return scripted.Says({"Expirations": listed})


def _strikes(asked: Any) -> Any:
    return scripted.Says({"SpreadType": "Single", "Strikes": [[f"{k:.2f}"] for k in reversed(STRIKES[_last(asked)])]})


def _quotes(asked: Any) -> Any:
    answer: dict[str, list[dict[str, Any]]] = {"Quotes": [], "Errors": []}
    for symbol in _last(asked).split(","):
        last = SPOTS.get(symbol) or (2.36 if _is_listed(symbol) else None)
        if last is None:
            answer["Errors"].append({"Symbol": symbol, "Error": "FAILED, INVALID SYMBOL"})
        else:
            fields = {"Last": f"{last:.5f}", "Bid": f"{last - 0.01}", "Ask": f"{last + 0.01}", "Volume": "10"}
            flags = {"IsDelayed": False, "IsHalted": False}
            trade = {"TradeTime": "2026-05-11T14:25:29Z", "MarketFlags": flags, "MarketFlagsDisplay": ""}
            answer["Quotes"].append({"Symbol": symbol.lower(), **fields, **trade})
    return scripted.Says(answer)


def _is_listed(symbol: str) -> bool:
    return " " in symbol and parse_symbol(symbol).strike < 10_000


def _bar(end: datetime, **fields: Any) -> dict[str, Any]:
    prices = {"Open": "451", "High": "451.2", "Low": "450.90001", "Close": "451.1", "TotalVolume": "12"}
    ticks = {"UpVolume": 7, "DownVolume": 5, "UpTicks": 2, "DownTicks": 1, "Epoch": int(end.timestamp() * 1000)}
    flags = {"IsRealtime": False, "IsEndOfHistory": False, "BarStatus": "Closed"}
    return {**prices, **ticks, **flags, "TimeStamp": f"{end:%Y-%m-%dT%H:%M:%SZ}", **fields}


def _bars(asked: Any) -> Any:
    if _last(asked) not in SPOTS:
        return scripted.Says({"Error": "InvalidSymbol", "Message": "Symbol cannot be found"})
    first, last = (datetime.fromisoformat(asked.query[name]) for name in ("firstdate", "lastdate"))
    if first.weekday() > 4:
        return scripted.Says({"Message": "No data available."}, 404)
    count = int((last - first).total_seconds() // 60)
    ends = [first + timedelta(minutes=minute) for minute in range(count + 1)]
    return scripted.Says({"Bars": [_bar(end) for end in ends] + [_bar(ends[-1])]})


async def _bar_stream(asked: Any, line: Any) -> None:
    end = NOW.replace(second=0) + timedelta(minutes=1)
    await line.send(_bar(end - timedelta(minutes=1), IsEndOfHistory=True))
    await line.send(_bar(end, IsRealtime=True, BarStatus="Open"))
    await line.hold()


async def _chain(asked: Any, line: Any) -> None:
    listing = _last(asked)
    root = {"$SPXW.X": "SPXW", "$SPX.X": "SPX"}.get(listing, listing)
    month, day, year = asked.query["expiration"].split("-")
    for strike in STRIKES[listing]:
        for kind in "CP":
            name = f"{root} {year[2:]}{month}{day}{kind}{strike:g}"
            legs = [{"Symbol": name, "Ratio": 1, "StrikePrice": f"{strike:g}", "OptionType": kind}]
            prices = {"Bid": "2.35", "Ask": "2.37", "Volume": 26670, "DailyOpenInterest": 4642}
            await line.send({"Delta": "0.48", **prices, "Side": "Call", "Legs": legs})
    await line.hold()

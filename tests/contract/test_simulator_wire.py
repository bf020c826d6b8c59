"""The simulator speaks TradeStation's wire: names, types and behaviours over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

import zerogex
from zerogex.errors import ZerogexError
from zerogex.simulator import Faults, Simulator, SimulatorConfig

SHARED = Path(zerogex.__file__).resolve().parents[3] / "shared" / "data" / "tradestation"
START = datetime(2026, 11, 23, 15, 0, 30, tzinfo=UTC)  # a Monday, 10:00:30 New York
CREDENTIALS = {"client_id": "any", "client_secret": "any", "refresh_token": "any"}
JSON = dict[str, Any]


def config(**changes: Any) -> SimulatorConfig:
    return SimulatorConfig(**{"port": 0, "start": START, "turn_s": 0.02, **changes})


@asynccontextmanager
async def signed_in(simulator: Simulator) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=simulator.url, timeout=20) as client:
        answer = await client.post("/oauth/token", data={"grant_type": "refresh_token", **CREDENTIALS})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


@asynccontextmanager
async def connected(**changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with Simulator(config(**changes)) as simulator, signed_in(simulator) as client:
        yield client


async def said(client: httpx2.AsyncClient, path: str, count: int = 10_000, **params: Any) -> list[JSON]:
    """The first objects of a stream, or all until it ends."""
    out: list[JSON] = []
    async with client.stream("GET", path, params=params or None) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line.strip():
                out.append(json.loads(line))
            if len(out) >= count:
                break
    return out


async def switch(client: httpx2.AsyncClient, **faults: Any) -> None:
    answer = await client.post("/simulator/faults", json=faults)
    assert answer.status_code == 200, answer.text


def types(value: Any) -> Any:
    """The shape of an object: its names, and what kind of JSON each value is."""
    if isinstance(value, dict):
        return {name: types(inner) for name, inner in value.items()}
    return [types(value[0])] if isinstance(value, list) and value else type(value).__name__


def examples() -> JSON:
    path = SHARED / "openapi_marketdata_examples.json"
    if not path.exists():
        pytest.skip("the shared OpenAPI examples are not here")
    loaded: JSON = json.loads(path.read_text())
    return loaded


def example(name: str, *inside: str) -> Any:
    found = examples()[f"{name} 200"]["example"]
    for step in inside:
        found = found[step]
    return found


DATA = "/v3/marketdata"
GOLDEN = [
    (f"GET {DATA}/barcharts/{{symbol}}", (), f"{DATA}/barcharts/SPY?unit=Minute", False),
    (f"GET {DATA}/stream/barcharts/{{symbol}}", ("Bar", "value"), f"{DATA}/stream/barcharts/SPY?unit=Minute", True),
    (f"GET {DATA}/options/expirations/{{underlying}}", (), f"{DATA}/options/expirations/SPY", False),
    (f"GET {DATA}/options/spreadtypes", (), f"{DATA}/options/spreadtypes", False),
    (f"GET {DATA}/options/strikes/{{underlying}}", (), f"{DATA}/options/strikes/SPY?spreadType=Butterfly", False),
    (f"GET {DATA}/stream/options/chains/{{underlying}}", (), f"{DATA}/stream/options/chains/SPY", True),
    (f"GET {DATA}/stream/options/quotes", (), f"{DATA}/stream/options/quotes?legs[0].Symbol=SPY%20261127C775", True),
    (f"GET {DATA}/quotes/{{symbols}}", ("Quotes", "value"), f"{DATA}/quotes/SPY", False),
    (f"GET {DATA}/quotes/{{symbols}}", ("Partial Success", "value"), f"{DATA}/quotes/SPY,INVALID", False),
    (f"GET {DATA}/stream/quotes/{{symbols}}", ("Quote", "value"), f"{DATA}/stream/quotes/SPY", True),
    (f"GET {DATA}/symbols/{{symbols}}", (), f"{DATA}/symbols/MSFT", False),
    (f"GET {DATA}/stream/marketdepth/quotes/{{symbol}}", ("MarketDepthQuoteStream", "value"),
     f"{DATA}/stream/marketdepth/quotes/SPY", True),
    (f"GET {DATA}/stream/marketdepth/aggregates/{{symbol}}", ("MarketDepthAggregateStream", "value"),
     f"{DATA}/stream/marketdepth/aggregates/SPY", True),
]  # fmt: skip


def missing(wanted: Any, have: Any, where: str = "") -> list[str]:
    """Names and types of the example that an answer lacks; additions are the broker's right too."""
    if isinstance(wanted, dict) and isinstance(have, dict):
        out = []
        for name, inner in wanted.items():
            out += missing(inner, have[name], f"{where}.{name}") if name in have else [f"{where}.{name} absent"]
        return out
    if isinstance(wanted, list) and isinstance(have, list):
        return missing(wanted[0], have[0], f"{where}[]") if wanted and have else []
    return [] if wanted == have else [f"{where} is {have}, documented {wanted}"]


@pytest.mark.parametrize(("name", "inside", "url", "stream"), GOLDEN, ids=[f"{g[0]} {g[1][:1]}" for g in GOLDEN])
async def test_an_answer_has_the_documented_names_and_types(
    name: str, inside: tuple[str, ...], url: str, stream: bool
) -> None:
    wanted = types(example(name, *inside))
    async with connected() as client:
        have = (await said(client, url, 1))[0] if stream else (await client.get(url)).json()
    assert not missing(wanted, types(have))


async def test_a_quote_has_every_field_of_a_recorded_one_and_the_same_types() -> None:
    path = SHARED / "recorded_quotes_GOOG_SOXX_2026-09-30.json"
    if not path.exists():
        pytest.skip("the shared recorded quotes are not here")
    recorded = json.loads(path.read_text())["Quotes"][0]
    async with connected() as client:
        have = (await client.get(f"{DATA}/quotes/SPY")).json()["Quotes"][0]
    assert types(have) == types(recorded)


async def test_percent_in_a_snapshot_and_fraction_in_a_stream() -> None:
    async with connected() as client:
        snapshot = (await client.get(f"{DATA}/quotes/SPY")).json()["Quotes"][0]
        (streamed,) = await said(client, f"{DATA}/stream/quotes/SPY", 1)
    change = float(snapshot["NetChange"]) / float(snapshot["PreviousClose"])
    assert float(snapshot["NetChangePct"]) == pytest.approx(100 * change, rel=1e-4)
    assert float(streamed["NetChangePct"]) == pytest.approx(change, abs=5e-4)


async def test_sign_in_by_code_and_by_refresh_token_as_form_or_json() -> None:
    async with Simulator(config()) as simulator, httpx2.AsyncClient(base_url=simulator.auth_url) as client:
        asked = {"response_type": "code", "client_id": "c", "redirect_uri": "http://localhost:3000", "state": "s"}
        granted = await client.get("/authorize", params=asked)
        assert granted.status_code == 302 and granted.headers["location"].startswith("http://localhost:3000?code=")
        code = httpx2.URL(granted.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "client_id": "c", "client_secret": "s", "code": code}
        first = await client.post("/oauth/token", data=form)
        assert first.json()["token_type"] == "Bearer" and first.json()["expires_in"] == 1200
        assert first.json()["refresh_token"] and first.json()["id_token"].count(".") == 2
        assert (await client.post("/oauth/token", data=form)).status_code == 403  # a code works once
        again = await client.post("/oauth/token", json={"grant_type": "refresh_token", **CREDENTIALS})
        assert again.status_code == 200 and "refresh_token" not in again.json()
        declined = await client.get("/authorize", params={**asked, "decline": "1"})
        assert "error=access_denied" in declined.headers["location"]
        elsewhere = await client.get("/authorize", params={**asked, "redirect_uri": "http://example.com"})
        assert elsewhere.status_code == 400


async def test_strict_sign_in_refuses_what_the_broker_would() -> None:
    good = {"grant_type": "refresh_token", "client_id": "simulator", "client_secret": "simulator",
            "refresh_token": "simulator"}  # fmt: skip
    async with Simulator(config(strict=True)) as simulator, httpx2.AsyncClient(base_url=simulator.url) as client:
        for wrong, status, error in (
            ({"client_secret": "x"}, 401, "access_denied"), ({"refresh_token": "x"}, 403, "invalid_grant"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ):  # fmt: skip
            answer = await client.post("/oauth/token", data={**good, **wrong})
            assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert (await client.post("/oauth/token", data=good)).status_code == 200
        await client.post("/oauth/revoke", json={"client_id": "simulator", "token": "simulator"})
        assert (await client.post("/oauth/token", data=good)).json()["error"] == "invalid_grant"


async def test_a_rotated_refresh_token_replaces_the_old_one() -> None:
    faults = Faults(rotate_refresh_token=True)
    async with Simulator(config(faults=faults)) as simulator, httpx2.AsyncClient(base_url=simulator.url) as client:
        form = {"grant_type": "refresh_token", **CREDENTIALS}
        rotated = (await client.post("/oauth/token", data=form)).json()["refresh_token"]
        assert (await client.post("/oauth/token", data=form)).status_code == 403
        assert (await client.post("/oauth/token", data={**form, "refresh_token": rotated})).status_code == 200


async def test_without_a_token_or_with_an_expired_one_every_call_is_401() -> None:
    async with connected(faults=Faults(token_life_s=0.05)) as client:
        await asyncio.sleep(0.06)
        for path in (f"{DATA}/quotes/SPY", f"{DATA}/stream/quotes/SPY", "/v2/data/symbols/suggest/S"):
            answer = await client.get(path)
            assert answer.status_code == 401 and set(answer.json()) == {"Error", "Message"}
    async with connected() as client:
        await switch(client, revoke_tokens=True)
        assert (await client.get(f"{DATA}/quotes/SPY")).status_code == 401


async def test_every_answer_says_it_is_simulated_and_what_the_quota_is() -> None:
    async with connected() as client:
        for path in ("/simulator/clock", f"{DATA}/quotes/SPY", "/v3/nowhere", "/oauth/token"):
            assert (await client.get(path)).headers["X-Simulated"] == "true"
        headers = (await client.get(f"{DATA}/quotes/SPY")).headers
        assert headers["X-RateLimit-Resource"] == "quote-snapshot" and int(headers["X-RateLimit-Remaining"]) > 0


async def test_the_clock_is_affine_and_knows_its_seed() -> None:
    async with connected(speed=600.0) as client:
        clock = (await client.get("/simulator/clock")).json()
        anchor, wall = (datetime.fromisoformat(clock[f"{name}_anchor"]) for name in ("market", "wall"))
        assert clock["simulated"] is True and clock["seed"] == 7 and anchor == START.replace(microsecond=0)
        lower = anchor + (datetime.now(UTC) - wall) * 600 - timedelta(seconds=61)
        now = datetime.fromisoformat((await client.get("/simulator/clock")).json()["now"])
        assert lower < now < anchor + (datetime.now(UTC) - wall) * 600


async def test_minute_bars_are_stamped_with_their_end_and_the_forming_one_comes_last() -> None:
    async with connected() as client:
        bars = (await client.get(f"{DATA}/barcharts/SPY?unit=Minute&interval=1&barsBack=31")).json()["Bars"]
    assert len(bars) == 31 and bars[-1]["IsEndOfHistory"] is True and bars[-1]["BarStatus"] == "Open"
    assert bars[0]["TimeStamp"] == "2026-11-23T14:31:00Z" and bars[-1]["TimeStamp"] == "2026-11-23T15:01:00Z"
    assert not any(bar["IsEndOfHistory"] or bar["BarStatus"] == "Open" for bar in bars[:-1])
    for bar in bars:
        stamp = datetime.fromisoformat(bar["TimeStamp"])
        assert bar["Epoch"] == int(stamp.timestamp() * 1000)
        assert int(bar["TotalVolume"]) == bar["UpVolume"] + bar["DownVolume"]
        assert float(bar["Low"]) <= float(bar["Open"]) <= float(bar["High"])


async def test_bars_between_dates_of_past_sessions_and_none_where_there_were_none() -> None:
    async with connected() as client:
        window = {"unit": "Minute", "firstdate": "2026-11-20T14:31:00Z", "lastdate": "2026-11-20T21:00:00Z"}
        friday = (await client.get(f"{DATA}/barcharts/SPY", params=window)).json()["Bars"]
        assert len(friday) == 390 and friday[-1]["TimeStamp"] == "2026-11-20T21:00:00Z"
        assert {bar["BarStatus"] for bar in friday} == {"Closed"}
        both = (await client.get(f"{DATA}/barcharts/SPY", params={**window, "sessiontemplate": "USEQPreAndPost",
                "firstdate": "2026-11-20"})).json()["Bars"]  # fmt: skip
        assert len(both) > 600 and both[0]["TimeStamp"] < "2026-11-20T10:00:00Z"
        weekend = {"unit": "Minute", "firstdate": "2026-11-21T05:00:00Z", "lastdate": "2026-11-22T12:00:00Z"}
        nothing = await client.get(f"{DATA}/barcharts/SPY", params=weekend)
        assert nothing.status_code == 404 and nothing.json()["Message"] == "No data available."
        unknown = await client.get(f"{DATA}/barcharts/NOPE")
        assert unknown.status_code == 200 and unknown.json()["Error"] == "InvalidSymbol"
        index = (await client.get(f"{DATA}/barcharts/$SPX.X?unit=Daily&barsback=3")).json()["Bars"]
        assert [bar["TotalVolume"] for bar in index] == ["0", "0", "0"]


WRONG_BARS = ("unit=Tick", "interval=0&unit=Minute", "interval=5", "barsback=x", "lastdate=soon",
              "barsback=2&firstdate=2026-11-20", "unit=Minute&barsback=57600&interval=60")  # fmt: skip


@pytest.mark.parametrize("query", WRONG_BARS)
async def test_a_wrong_bar_request_is_a_400_that_says_what_is_wrong(query: str) -> None:
    async with connected() as client:
        answer = await client.get(f"{DATA}/barcharts/SPY?{query}")
        assert answer.status_code == 400 and answer.json()["Error"] == "BadRequest" and answer.json()["Message"]


async def test_expirations_and_strikes_in_three_date_formats_under_both_names_of_the_index() -> None:
    async with connected() as client:
        listed = (await client.get(f"{DATA}/options/expirations/SPY")).json()["Expirations"]
        assert listed == sorted(listed, key=lambda e: e["Date"]) and {e["Root"] for e in listed} == {"SPY"}
        assert {"Weekly", "Monthly", "Quarterly"} == {e["Type"] for e in listed}
        grids = [
            (await client.get(f"{DATA}/options/strikes/SPY", params={"expiration": text})).json()
            for text in ("12-18-2026", "2026-12-18", "2026-12-18T00:00:00Z")
        ]
        assert grids[0] == grids[1] == grids[2] and grids[0]["SpreadType"] == "Single"
        assert ["770"] in grids[0]["Strikes"] and len(grids[0]["Strikes"]) > 100
        monthly = (await client.get(f"{DATA}/options/expirations/$SPX.X")).json()["Expirations"]
        dated = (await client.get(f"{DATA}/options/expirations/$SPXW.X")).json()["Expirations"]
        assert {e["Root"] for e in monthly} == {"SPX"} and {e["Root"] for e in dated} == {"SPXW"}
        assert "2026-12-18T00:00:00Z" in {e["Date"] for e in monthly} & {e["Date"] for e in dated}
        assert (await client.get(f"{DATA}/options/expirations/SPXW")).status_code == 400
        assert (await client.get(f"{DATA}/options/strikes/SPY?expiration=12-19-2026")).json()["Strikes"] == []
        await switch(client, no_root=True, both_roots=True)
        plain = (await client.get(f"{DATA}/options/expirations/$SPX.X")).json()["Expirations"]
        assert set(plain[0]) == {"Date", "Type"} and len(plain) == len(monthly) + len(dated)


async def test_limits_on_symbols_and_on_the_length_of_an_address() -> None:
    async with connected() as client:
        for path, most in ((f"{DATA}/quotes/", 100), (f"{DATA}/symbols/", 50)):
            assert (await client.get(path + ",".join(["SPY"] * most))).status_code == 200
            assert (await client.get(path + ",".join(["SPY"] * (most + 1)))).status_code == 400
        long = await client.get(f"{DATA}/stream/quotes/" + ",".join(["SPY%20261127C775"] * 1700))
        assert long.status_code == 414


async def test_symbols_are_described_searched_and_refused_as_documented() -> None:
    async with connected() as client:
        found = (await client.get(f"{DATA}/symbols/SPY 261127C775,$SPX.X,TSLA 261127P400,NOPE")).json()
        option, index, stock_option = found["Symbols"]
        assert (option["AssetType"], option["OptionType"], option["StrikePrice"]) == ("STOCKOPTION", "CALL", "775")
        assert option["Underlying"] == "SPY" and option["PriceFormat"]["Increment"] == "0.01"
        assert index["AssetType"] == "INDEX" and len(stock_option["PriceFormat"]["IncrementSchedule"]) == 2
        assert found["Errors"][0]["Symbol"] == "NOPE"
        suggested = (await client.get("/v2/data/symbols/suggest/SP?$top=5")).json()
        assert {"SPY", "$SPX.X"} <= {one["Name"] for one in suggested}
        criteria = quote("R=SPY&C=SO&Exd=11-27-2026&OT=Call&Spl=770&Sph=775", safe="=&")
        options = (await client.get(f"/v2/data/symbols/search/{criteria}")).json()
        assert [one["StrikePrice"] for one in options] == [770, 771, 772, 773, 774, 775]


async def test_an_option_that_has_not_traded_lacks_the_fields_of_a_trade() -> None:
    async with connected() as client:
        chain = await said(client, f"{DATA}/stream/options/chains/$NDX.X", 300, strikeProximity=500)
        untraded = next(one for one in chain if one["Volume"] == 0)
        assert "Last" not in untraded and "Close" not in untraded and "Bid" in untraded
        name = untraded["Legs"][0]["Symbol"]
        (answered,) = (await client.get(f"{DATA}/quotes/{name}")).json()["Quotes"]
    assert "Last" not in answered and "TradeTime" not in answered and answered["Volume"] == "0"


async def test_risk_and_reward_of_a_vertical() -> None:
    legs = [{"Symbol": "SPY 261127C770", "Quantity": 1, "TradeAction": "BUY"},
            {"Symbol": "SPY 261127C775", "Quantity": 1, "TradeAction": "SELL"}]  # fmt: skip
    async with connected() as client:
        answer = await client.post(f"{DATA}/options/riskreward", json={"SpreadPrice": 2, "Legs": legs})
    assert answer.json() == {"MaxGainIsInfinite": False, "AdjustedMaxGain": "300", "MaxLossIsInfinite": False,
                             "AdjustedMaxLoss": "-200", "BreakevenPoints": ["772"]}  # fmt: skip


async def test_the_port_being_taken_is_one_clear_sentence() -> None:
    async with Simulator(config()) as simulator:
        port = int(simulator.url.rsplit(":", 1)[1])
        with pytest.raises(ZerogexError, match=f"cannot listen on 127.0.0.1:{port}"):
            await Simulator(config(port=port)).start()


async def test_month_ends_are_typed_in_the_words_older_clients_know_unless_asked() -> None:
    async with connected() as client:

        async def kinds() -> set[str]:
            listed = (await client.get(f"{DATA}/options/expirations/SPY")).json()["Expirations"]
            return {each["Type"] for each in listed}

        assert await kinds() <= {"Weekly", "Monthly", "Quarterly"}
        await switch(client, eom_types=True)
        assert "EOM" in await kinds()


async def test_crypto_pairs_are_named() -> None:
    async with connected() as client:
        names = (await client.get(f"{DATA}/symbollists/cryptopairs/symbolnames")).json()["SymbolNames"]
        assert "BTCUSD" in names

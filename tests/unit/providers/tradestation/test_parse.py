import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import zerogex
from zerogex.domain.contract import parse_symbol
from zerogex.errors import BadPayload
from zerogex.providers.tradestation import parse, wire
from zerogex.providers.tradestation.symbols import root_families

NOW = datetime(2026, 5, 11, 14, 25, 30, tzinfo=UTC)
SHARED = Path(zerogex.__file__).parents[3] / "shared/data/tradestation"
BAR = {
    "High": "451.2", "Low": "450.9", "Open": "451", "Close": "451.1", "TimeStamp": "2026-05-11T14:26:00Z",
    "TotalVolume": "81234", "UpVolume": 41123, "DownVolume": 40111, "IsRealtime": True, "BarStatus": "Open",
}  # fmt: skip


def bar_of(**changes: Any) -> wire.Bar:
    return wire.decode(wire.BAR, json.dumps({**BAR, **changes}).encode())


def quote_of(**fields: Any) -> wire.Quote:
    return wire.decode(wire.QUOTE, json.dumps({"Symbol": "SPY", "Last": "451.1", **fields}).encode())


def test_a_bar_is_labelled_by_its_start() -> None:
    bar = parse.underlying_bar(bar_of(), "SPY", NOW)
    assert bar.start == datetime(2026, 5, 11, 14, 25, tzinfo=UTC)
    assert (bar.open, bar.high, bar.low, bar.close) == (451.0, 451.2, 450.9, 451.1)
    assert (bar.up_volume, bar.down_volume, bar.closed, bar.realtime) == (41123, 40111, False, True)


def test_numbers_and_strings_are_the_same_and_unknown_fields_are_nothing() -> None:
    assert parse.underlying_bar(bar_of(High=451.2, UpVolume="41123", New={"x": 1}), "SPY", NOW) == (
        parse.underlying_bar(bar_of(), "SPY", NOW)
    )


def test_a_daily_bar_begins_at_the_open_of_its_session() -> None:
    bar = parse.underlying_bar(bar_of(TimeStamp="2026-05-11T20:00:00Z"), "SPY", NOW, unit="Daily")
    assert bar.start == datetime(2026, 5, 11, 13, 30, tzinfo=UTC)
    friday = datetime(2026, 5, 15, 20, tzinfo=UTC)
    assert parse.bar_start(friday, "Weekly").date() == date(2026, 5, 11)
    assert parse.bar_start(friday, "Monthly").date() == date(2026, 5, 1)


def test_a_missing_side_of_the_volume_follows_from_the_total() -> None:
    bar = parse.underlying_bar(bar_of(DownVolume=None), "SPY", NOW)
    assert (bar.up_volume, bar.down_volume) == (41123, 81234 - 41123)


def test_without_a_status_a_bar_is_closed_when_its_end_has_passed() -> None:
    assert not parse.underlying_bar(bar_of(BarStatus=None), "SPY", NOW).closed
    assert parse.underlying_bar(bar_of(BarStatus=None), "SPY", NOW + timedelta(minutes=1)).closed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"High": "NaN"}, "High"),
        ({"Open": "-1"}, "Open"),
        ({"Close": None}, "Close"),
        ({"Low": "0"}, "Low"),
        ({"Low": "452"}, "High and Low"),
        ({"TimeStamp": ""}, "TimeStamp"),
        ({"TimeStamp": None}, "TimeStamp"),
        ({"UpVolume": -5}, "UpVolume"),
    ],
)
def test_a_bar_that_cannot_be_true_names_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadPayload, match=field):
        parse.underlying_bar(bar_of(**changes), "SPY", NOW)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "-0.01", "1e300"])
def test_a_price_is_finite_and_not_negative(text: str) -> None:
    with pytest.raises(BadPayload, match="Bid"):
        parse.underlying_quote(quote_of(Bid=text), "SPY", NOW)


@pytest.mark.parametrize("text", ["", "--", "1e400", "abc", [1], {}, True])
def test_what_is_no_number_does_not_decode_and_names_its_field(text: Any) -> None:
    with pytest.raises(msgspec.DecodeError, match=r"Bid|range"):
        quote_of(Bid=text)


def test_float32_residue_is_rounded_away_and_minus_zero_is_zero() -> None:
    assert parse.price(425.70001, "Last", b"") == 425.7
    zero = parse.price(-0.0, "Bid", b"")
    assert zero == 0.0
    assert math.copysign(1.0, zero or 0.0) == 1.0
    assert parse.price(None, "Bid", b"") is None


def test_nonsense_in_a_dispensable_field_costs_that_field_only() -> None:
    row = wire.decode(wire.CHAIN_ROW, b'{"Bid":"1","Delta":"--","Gamma":"0.1","Legs":[{"Symbol":"SPY 260511C450"}]}')
    assert (row.bid, row.delta, row.gamma) == (1.0, None, 0.1)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000, b"5", b"[]", b"", b"\xff", b'{"Bid":'])
def test_what_is_no_object_is_a_decode_error_and_nothing_worse(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode(wire.CHAIN_ROW, line)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-05-11T14:25:01Z", datetime(2026, 5, 11, 14, 25, 1, tzinfo=UTC)),
        ("2026-05-08T19:59:59Z", datetime(2026, 5, 8, 19, 59, 59, tzinfo=UTC)),
        ("2026-05-11T15:25:01Z", NOW),
        ("0001-01-01T00:00:00Z", NOW),
        ("", NOW),
        (None, NOW),
        ("yesterday", NOW),
    ],
)
def test_a_quote_is_stamped_by_its_trade_unless_that_cannot_be(stamp: str | None, expected: datetime) -> None:
    assert parse.underlying_quote(quote_of(TradeTime=stamp), "SPY", NOW).event_time == expected


def test_a_quote_without_a_last_price_is_none() -> None:
    for last in (None, "0"):
        with pytest.raises(BadPayload, match="Last"):
            parse.underlying_quote(quote_of(Last=last), "SPY", NOW)


def test_an_option_is_stamped_on_arrival() -> None:
    contract = parse_symbol("SPY 260511C450")
    quote = parse.option_quote(
        quote_of(TradeTime="2026-01-01T00:00:00Z", Volume="7", DailyOpenInterest="9"), contract, NOW
    )
    assert (quote.event_time, quote.volume, quote.open_interest, quote.bid) == (NOW, 7, 9, None)


def test_an_excerpt_is_short_and_printable() -> None:
    message = str(parse.bad("Last", "is odd", b"\x00\xff\n" * 1000))
    assert message.isprintable()
    assert len(message) < 700


def test_expirations_take_the_root_they_name_or_the_rule_of_their_listing() -> None:
    def roots(name: str, *listed: dict[str, str]) -> list[tuple[str, date]]:
        answer = msgspec.convert({"Expirations": listed}, wire.Expirations)
        return parse.expirations(answer, root_families(name)[0])

    third_friday = {"Date": "2026-05-15T00:00:00Z", "Type": "Monthly"}
    weekly = {"Date": "2026-05-18T00:00:00Z", "Type": "Weekly"}
    assert roots("RUT", third_friday, weekly) == [("RUT", date(2026, 5, 15)), ("RUTW", date(2026, 5, 18))]
    assert roots("SPX", {**third_friday, "Root": "SPXW"}) == [("SPXW", date(2026, 5, 15))]
    assert roots("SPY", weekly) == [("SPY", date(2026, 5, 18))]


@pytest.mark.skipif(not SHARED.exists(), reason="shared data is absent")
def test_recorded_quotes_are_read() -> None:
    """Evidence: GOOG and SOXX as the vendor sent them."""
    answer = wire.decode(wire.QUOTES, (SHARED / "recorded_quotes_GOOG_SOXX_2026-09-30.json").read_bytes())
    quotes = [parse.raw_item(wire.QUOTE, raw) for raw in answer.quotes or ()]
    received = datetime(2026, 9, 30, 21, tzinfo=UTC)
    goog, soxx = (parse.underlying_quote(quote, quote.symbol or "", received) for quote in quotes)
    assert (goog.last, goog.bid, goog.ask, goog.volume) == (346.2, 346.0, 346.36, 23212592)
    assert goog.event_time == datetime(2026, 9, 30, 20, 21, 49, tzinfo=UTC)
    assert (soxx.symbol, soxx.last, soxx.is_delayed) == ("SOXX", 570.01, False)


@pytest.mark.skipif(not SHARED.exists(), reason="shared data is absent")
def test_the_documented_examples_are_read() -> None:
    """Evidence: the examples of the vendor's own specification."""
    examples = json.loads((SHARED / "openapi_marketdata_examples.json").read_bytes())
    bars = wire.decode(wire.BARS, json.dumps(examples["GET /v3/marketdata/barcharts/{symbol} 200"]["example"]).encode())
    assert len(bars.bars or ()) == 7
    for value in examples["GET /v3/marketdata/stream/barcharts/{symbol} 200"]["example"].values():
        frame = wire.decode(wire.BAR, json.dumps(value["value"]).encode())
        assert frame.error == "GoAway" or frame.heartbeat == 1 or frame.close == 217.0
    row = wire.decode(
        wire.CHAIN_ROW,
        json.dumps(examples["GET /v3/marketdata/stream/options/chains/{underlying} 200"]["example"]).encode(),
    )
    assert (row.legs or [])[0].symbol == "MSFT 211217P332.5"
    assert (row.volume, row.implied_volatility) == (144, 0.3118)
    with pytest.raises(BadPayload, match="Bid"):  # the example's bid is -0.1
        parse.price(row.bid, "Bid", row)
    strikes = msgspec.convert({"Strikes": [["145"], ["147.50"]], "SpreadType": "Single"}, wire.Strikes, strict=False)
    assert [Decimal(text) for text in parse.strike_texts(strikes)] == [Decimal(145), Decimal("147.5")]

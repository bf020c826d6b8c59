"""Deltas and flow on hand-made rows, with answers computed by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row

from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 2, 20)


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK).astimezone(UTC)


class Desk:
    """Puts rows in, asks views."""

    def __init__(self, config: DatabaseConfig) -> None:
        self.connection = psycopg.connect(**config.parameters(), autocommit=True, row_factory=dict_row)
        for day in (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)):
            for table in ("underlying_quotes", "option_chains"):
                self.connection.execute("SELECT ensure_day(%s, %s)", (table, day))

    def chain(self, when: datetime, *options: dict[str, Any], spot: float = 500.0, underlying: str = "SPY") -> None:
        """One minute of a chain."""
        self.connection.execute(
            "INSERT INTO chain_minutes VALUES (%s, %s, %s, %s, %s, %s, true, false)",
            (underlying, when, when + timedelta(minutes=1), spot, when, len(options)),
        )
        for option in options:
            row = {
                "underlying": underlying, "timestamp": when, "root": underlying, "expiration": DAY, "strike": 500,
                "option_type": "C", "multiplier": 100, "settlement": at("16:00"), "bid": 1.0, "ask": 1.2, "last": 1.2,
                "volume": 0, "open_interest": 1000, "implied_volatility": 0.2, "iv_source": "mid",
                "iv_status": "converged", "delta": 0.5, "gamma": 0.01, "theta": -0.1, "vega": 0.2,
                "event_time": when, "received_time": when, **option,
            }  # fmt: skip
            names = ", ".join(row)
            values = ", ".join(f"%({name})s" for name in row)
            self.connection.execute(f"INSERT INTO option_chains ({names}) VALUES ({values})", row)

    def bar(self, when: datetime, up: int, down: int, close: float = 500.0, symbol: str = "SPY") -> None:
        self.connection.execute(
            "INSERT INTO underlying_quotes VALUES (%s, %s, 500, 510, 490, %s, %s, %s)", (symbol, when, close, up, down)
        )

    def ask(self, text: str) -> list[dict[str, Any]]:
        return self.connection.execute(text).fetchall()


@pytest.fixture
def desk(database: DatabaseConfig) -> Iterator[Desk]:
    desk = Desk(database)
    yield desk
    desk.connection.close()


CALL, PUT = {"option_symbol": "SPY 260220C500"}, {"option_symbol": "SPY 260220P490", "option_type": "P", "strike": 490}
PUT |= {"bid": 2.0, "ask": 2.4, "last": 2.0, "delta": -0.3, "implied_volatility": 0.4, "theta": -0.3}


def test_option_volume_begins_anew_at_half_past_nine(desk: Desk) -> None:
    yesterday = DAY - timedelta(days=1)
    for clock, day, volume in (
        ("15:58", yesterday, 900), ("15:59", yesterday, 1000), ("09:28", DAY, 1000), ("09:29", DAY, 1000),
        ("09:30", DAY, 40), ("09:31", DAY, 100), ("09:32", DAY, 90), ("09:33", DAY, 95),
    ):  # fmt: skip
        desk.chain(at(clock, day), {**CALL, "volume": volume})
    rows = desk.ask(
        "SELECT volume_delta, trading_day, previous_timestamp FROM option_chains_with_deltas ORDER BY timestamp"
    )
    # first row of a day: its own value; a fall counts as nothing, and what follows is counted from there
    assert [row["volume_delta"] for row in rows] == [900, 100, 0, 0, 40, 60, 0, 5]
    assert {row["trading_day"] for row in rows[:4]} == {yesterday}
    assert {row["trading_day"] for row in rows[4:]} == {DAY}
    assert rows[4]["previous_timestamp"] is None
    assert rows[5]["previous_timestamp"] == at("09:30")


def test_underlying_volume_begins_anew_at_midnight_in_new_york(desk: Desk) -> None:
    for clock, day, up, down in (
        ("19:58", DAY, 1000, 500), ("19:59", DAY, 1010, 500),
        ("04:00", DAY + timedelta(days=1), 7, 3), ("09:30", DAY + timedelta(days=1), 27, 13),
        ("09:31", DAY + timedelta(days=1), 20, 33),
    ):  # fmt: skip
        desk.bar(at(clock, day), up, down)
    rows = desk.ask("SELECT * FROM underlying_quotes_with_deltas ORDER BY timestamp")
    assert [row["up_volume_delta"] for row in rows] == [1000, 10, 7, 20, 0]
    assert [row["down_volume_delta"] for row in rows] == [500, 0, 3, 10, 20]
    assert [row["volume_delta"] for row in rows] == [1500, 10, 10, 30, 20]
    assert [row["trading_day"] for row in rows] == [DAY, DAY, *[DAY + timedelta(days=1)] * 3]


def test_days_are_those_of_new_york_on_both_sides_of_a_clock_change(desk: Desk) -> None:
    days = desk.ask("""SELECT option_day(t::timestamptz) AS day FROM unnest(ARRAY[
        '2026-03-06 14:29Z', '2026-03-06 14:30Z', '2026-03-09 13:29Z', '2026-03-09 13:30Z']) AS t""")
    assert [str(row["day"]) for row in days] == ["2026-03-05", "2026-03-06", "2026-03-08", "2026-03-09"]


@pytest.fixture
def traded(desk: Desk) -> Desk:
    """Two minutes: calls bought 10 at the ask, puts sold 30 at the bid, then a contract joins late."""
    desk.chain(at("09:30"), {**CALL, "volume": 5}, {**PUT, "volume": 20})
    late = {**CALL, "option_symbol": "SPY 260227C500", "expiration": DAY + timedelta(days=7), "volume": 7000}
    desk.chain(at("09:31"), {**CALL, "volume": 15}, {**PUT, "volume": 50}, late)
    desk.chain(at("09:32"), {**CALL, "volume": 15}, {**PUT, "volume": 50}, {**late, "volume": 7004, "last": 1.1})
    return desk


def test_flow_by_type_counts_volume_premium_and_infers_the_side(traded: Desk) -> None:
    first, second, third = traded.ask("SELECT * FROM flow_by_type ORDER BY timestamp")
    assert (first["call_volume"], first["put_volume"]) == (5, 20)  # the session's first minute is its own volume
    assert (second["call_volume"], second["put_volume"]) == (10, 30)
    assert second["call_premium"] == pytest.approx(10 * 100 * 1.2)
    assert second["put_premium"] == pytest.approx(30 * 100 * 2.0)
    assert second["put_call_ratio"] == 3.0
    # calls bought (+1,200) and puts sold (+6,000) are both bullish
    assert second["net_flow"] == pytest.approx(7200)
    assert (second["sentiment"], second["confidence"]) == ("bullish", 1.0)
    # the late contract's 7,000 were traded some time since the open: not this minute's flow
    assert second["unplaced_volume"] == 7000
    # a last price in the middle says nothing of the side
    assert (third["call_volume"], third["net_flow"], third["confidence"]) == (4, 0, 0)
    assert third["sentiment"] == "unclear"


def test_flow_of_a_day_and_what_could_not_be_placed_add_up_to_the_days_volume(traded: Desk) -> None:
    (total,) = traded.ask("SELECT sum(call_volume + put_volume + unplaced_volume) AS all_of_it FROM flow_by_type")
    (delta,) = traded.ask("SELECT sum(volume_delta) AS all_of_it FROM option_chains_with_deltas")
    assert total == delta == {"all_of_it": 15 + 50 + 7004}


def test_flow_by_strike_splits_calls_and_puts_and_averages_greeks(traded: Desk) -> None:
    rows = traded.ask("SELECT * FROM flow_by_strike WHERE timestamp = '2026-02-20 14:31Z' ORDER BY strike")
    assert [(row["strike"], row["call_volume"], row["put_volume"]) for row in rows] == [(490, 0, 30), (500, 10, 0)]
    assert [row["average_delta"] for row in rows] == [-0.3, 0.5]
    assert [row["average_theta"] for row in rows] == [-0.3, -0.1]
    assert [row["net_flow"] for row in rows] == pytest.approx([6000, 1200])


def test_flow_by_expiration_counts_days_to_expiration(traded: Desk) -> None:
    rows = traded.ask("SELECT * FROM flow_by_expiration WHERE timestamp >= '2026-02-20 14:31Z' ORDER BY timestamp, dte")
    assert [(row["dte"], row["call_volume"], row["put_volume"]) for row in rows] == [(0, 10, 30), (7, 4, 0)]
    assert rows[0]["average_iv"] == pytest.approx(0.3)
    assert rows[0]["average_theta"] == pytest.approx(-0.2)


def test_volume_after_a_hole_of_more_than_five_minutes_is_of_no_minute(desk: Desk) -> None:
    for clock, volume in (("09:30", 5), ("09:33", 8), ("09:39", 20)):
        desk.chain(at(clock), {**CALL, "volume": volume})
    rows = desk.ask("SELECT * FROM flow_by_type ORDER BY timestamp")
    assert [(row["call_volume"], row["unplaced_volume"]) for row in rows] == [(5, 0), (3, 0), (0, 12)]
    assert [round(row["confidence"], 4) for row in rows] == [1.0, 0.3333, 0.0]  # one price for three minutes


def test_a_day_followed_from_noon_does_not_begin_with_a_flood(desk: Desk) -> None:
    desk.chain(at("12:00"), {**CALL, "volume": 50_000})
    desk.chain(at("12:01"), {**CALL, "volume": 50_010})
    rows = desk.ask("SELECT * FROM flow_by_type ORDER BY timestamp")
    assert [(row["call_volume"], row["unplaced_volume"]) for row in rows] == [(0, 50_000), (10, 0)]


def test_a_crossed_or_one_sided_quote_says_nothing_of_the_side(desk: Desk) -> None:
    desk.chain(at("09:30"), {**CALL, "volume": 5, "bid": 1.3}, {**PUT, "volume": 5, "bid": None})
    rows = desk.ask("SELECT direction, confidence, premium FROM option_flow ORDER BY option_symbol")
    assert [(row["direction"], row["confidence"]) for row in rows] == [(0, 0), (0, 0)]
    assert [row["premium"] for row in rows] == pytest.approx([600, 1000])  # what was paid is known all the same


def test_the_unusual_score_is_the_documented_sum(desk: Desk) -> None:
    block = {**PUT, "option_symbol": "SPY 260220P450", "strike": 450, "volume": 590, "open_interest": 410}
    block |= {"delta": -0.05, "implied_volatility": 0.65, "bid": 0.10, "ask": 0.14, "last": 0.14}
    quiet = {**CALL, "volume": 10, "implied_volatility": 0.2}
    desk.chain(at("09:30"), block, quiet)
    (row,) = desk.ask("SELECT * FROM flow_smart_money")  # the quiet call is nothing unusual
    typical = (590 + 10) / 2 / 1
    premium = 590 * 100 * 0.14
    points = [
        4 * math.log(590 / typical) / math.log(100),
        2 * 590 / (590 + 410),
        2 * (1 - 0.05 / 0.5),
        0.65 / ((0.65 + 0.2) / 2) - 1,
        premium / (premium + 10 * 100 * 1.2),
    ]
    assert row["typical_volume"] == typical
    assert row["unusual_score"] == pytest.approx(sum(points))
    assert (row["block"], row["high_iv_pct"], row["deep_otm"]) == (500, 60, True)
    assert row["direction"] == pytest.approx(1)


def test_a_score_never_leaves_zero_to_ten_and_follows_the_symbols_own_size(desk: Desk) -> None:
    others = [
        {**CALL, "option_symbol": f"SPY 260220C{strike}", "strike": strike, "volume": 1} for strike in range(400, 480)
    ]
    huge = {
        **CALL,
        "option_symbol": "SPY 260220C600",
        "strike": 600,
        "volume": 10**6,
        "open_interest": 0,
        "delta": 0.001,
    }
    desk.chain(at("09:30"), *others, {**huge, "implied_volatility": 5.0})
    (row,) = desk.ask("SELECT unusual_score FROM flow_smart_money")
    assert 9 < row["unusual_score"] <= 10
    # the same 150 contracts: much for a quiet name, nothing for a busy one
    print_of_150 = {**CALL, "option_symbol": "X", "volume": 150}
    for underlying, usual in (("QUIET", 2), ("BUSY", 5000)):
        rest = [{**CALL, "option_symbol": f"{underlying} {n}", "volume": usual} for n in range(50)]
        desk.chain(at("09:30"), *rest, {**print_of_150, "option_symbol": f"{underlying} X"}, underlying=underlying)
    scores = {
        row["option_symbol"]: row["unusual_score"]
        for row in desk.ask("SELECT option_symbol, unusual_score FROM flow_smart_money WHERE option_symbol LIKE '%X'")
    }
    assert scores["QUIET X"] > scores["BUSY X"] + 2


def test_buying_pressure_classes_the_minute_and_compares_it_with_the_one_before(desk: Desk) -> None:
    minutes = [(300, 100, 501.0), (400, 200, 501.5), (400, 300, 501.0), (460, 340, 500.5), (460, 340, 500.5)]
    minutes.append((520, 380, 500.5))
    for number, (up, down, close) in enumerate(minutes):
        desk.bar(at(f"09:3{number}"), up, down, close)
    rows = desk.ask("SELECT * FROM flow_buying_pressure ORDER BY timestamp")
    assert [row["buying_pressure_pct"] for row in rows] == [75, 50, 0, 60, None, 60]
    assert [row["momentum"] for row in rows] == ["strong up", "up", "strong down", "divergent", "no volume", "flat"]
    assert [row["pressure_change"] for row in rows] == [None, -25, -50, 60, None, None]
    assert [row["volume_change"] for row in rows] == [None, -200, -100, 0, -100, 100]
    assert rows[0]["change"] == 1.0  # from the minute's own open, where there is none before


VIEWS = ("flow_by_type", "flow_by_strike", "flow_by_expiration", "flow_smart_money", "flow_buying_pressure",
         "option_flow", "option_chains_with_deltas", "underlying_quotes_with_deltas")  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_database_has_no_flow(desk: Desk, view: str) -> None:
    assert desk.ask(f"SELECT * FROM {view}") == []


def test_named_flow_questions_take_the_newest_minutes_of_the_day_asked_for(
    traded: Desk, database: DatabaseConfig
) -> None:
    traded.chain(at("10:00", DAY + timedelta(days=1)), {**CALL, "volume": 3})
    store = PostgresStore(database)

    def volumes(**asked: Any) -> list[int]:
        columns, rows = store.query("flow_by_type", **asked)
        return [row[columns.index("put_volume")] for row in rows]

    assert volumes() == [0]  # the newest day
    assert volumes(day=DAY) == [0, 30, 20]
    assert volumes(day=DAY, minutes=2) == [0, 30]
    assert volumes(day=DAY, symbol="QQQ") == []
    columns, rows = store.query("flow_by_strike", day=DAY)
    assert [row[columns.index("put_volume")] for row in rows] == [50, 0]
    store.close()

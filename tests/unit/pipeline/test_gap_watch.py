"""What is missing is declared, with the reason, and what is there is not."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from zerogex.domain.chain import build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.gap import DataGap, GapReason
from zerogex.pipeline.gap_watch import GapWatch

TEN = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)  # 10:00 in New York
MINUTE = timedelta(minutes=1)
NEAR, FAR = date(2026, 3, 10), date(2026, 3, 20)
CONTRACTS = [OptionContract("SPY", "SPY", day, Decimal(600), kind) for day in (NEAR, FAR) for kind in OptionKind]


def chain(start, silent=(), contracts=CONTRACTS):
    heard = [start.timestamp() - 90 if c.expiration in silent else start.timestamp() + 30 for c in contracts]
    return build_chain("SPY", 600.0, start + MINUTE, contracts, event_time=np.array(heard))


def watch(last_chain=None, last_bar=None, now=TEN):
    made = GapWatch("SPY")
    made.begin(now, last_chain, last_bar)
    return made


def test_minutes_in_a_row_that_speak_declare_nothing():
    one = watch()
    assert [one.chain(TEN + k * MINUTE, chain(TEN + k * MINUTE), CONTRACTS) for k in range(3)] == [[], [], []]


def test_the_time_before_the_start_was_stopped_and_only_within_sessions():
    friday = datetime(2026, 3, 6, 20, 58, tzinfo=UTC)  # two minutes before the close; clocks change on Sunday
    found = watch(last_chain=friday).chain(TEN, chain(TEN), CONTRACTS)
    opens = [datetime(2026, 3, day, 13, 30, tzinfo=UTC) for day in (9, 10)]
    assert found == [
        DataGap("chains", friday, friday + 2 * MINUTE, GapReason.STOPPED),
        DataGap("chains", opens[0], opens[0] + 390 * MINUTE, GapReason.STOPPED),
        DataGap("chains", opens[1], TEN, GapReason.STOPPED),
    ]


def test_minutes_that_died_in_memory_before_a_recovered_checkpoint_are_declared_with_it():
    one = watch()
    assert one.before(TEN - 9 * MINUTE, TEN - 5 * MINUTE) == [
        DataGap("chains", TEN - 9 * MINUTE, TEN - 5 * MINUTE, GapReason.STOPPED)
    ]
    assert one.before(TEN - 5 * MINUTE, TEN - 5 * MINUTE) == []
    assert one.before(None, TEN) == []  # nothing was stored, so nothing is missing


def test_chains_that_jump_while_running_were_paused():
    one = watch()
    one.chain(TEN, chain(TEN), CONTRACTS)
    later = TEN + 30 * MINUTE
    assert one.chain(later, chain(later), CONTRACTS) == [DataGap("chains", TEN + MINUTE, later, GapReason.PAUSED)]


def test_a_silence_grows_as_one_gap_and_takes_its_reason_from_the_streams():
    one = watch()
    one.chain(TEN, chain(TEN, silent=(NEAR, FAR)), CONTRACTS)
    one.trouble("chain SPY 2026-03-20", TEN, GapReason.RATE_LIMITED)
    second, third = TEN + MINUTE, TEN + 2 * MINUTE
    assert one.chain(second, chain(second, silent=(FAR,)), CONTRACTS) == [
        DataGap("chains", TEN, second, GapReason.RATE_LIMITED)
    ]
    assert one.chain(third, chain(third, silent=(FAR,)), CONTRACTS) == [
        DataGap("chains", second, third, GapReason.RATE_LIMITED, "SPY 2026-03-20")
    ]
    assert one.judge() == [DataGap("chains", second, third + MINUTE, GapReason.RATE_LIMITED, "SPY 2026-03-20")]


def test_a_fuller_reading_of_the_minute_is_the_one_that_is_judged():
    one = watch()
    one.chain(TEN, chain(TEN, silent=(NEAR, FAR)), CONTRACTS)
    one.chain(TEN, chain(TEN), CONTRACTS)
    assert one.judge() == []


def test_followed_contracts_that_never_spoke_are_counted():
    one = watch()
    one.chain(TEN, chain(TEN, contracts=CONTRACTS[:3]), CONTRACTS)
    assert one.judge() == [DataGap("chains", TEN, TEN + MINUTE, GapReason.UNHEARD, "SPY 2026-03-20", 1)]


def test_outside_the_regular_session_nothing_is_owed():
    night = datetime(2026, 3, 10, 23, 0, tzinfo=UTC)
    one = watch(now=night)
    one.chain(night, chain(night, silent=(NEAR, FAR)), CONTRACTS)
    assert one.judge() == []


def test_a_bar_is_missing_once_it_had_time_to_come():
    one = watch()
    known = {TEN, TEN + 2 * MINUTE}
    assert one.bars(TEN + 3 * MINUTE, known.__contains__) == []
    assert one.bars(TEN + 6 * MINUTE, known.__contains__) == [
        DataGap("bars", TEN + MINUTE, TEN + 2 * MINUTE, GapReason.SILENT)
    ]
    assert one.bars(TEN + 6 * MINUTE, known.__contains__) == []

"""F14: which contracts a stream forgot, told from those that are merely quiet."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from zerogex.domain.calendar import Session
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.gap import GapReason
from zerogex.domain.quote import OptionQuote
from zerogex.pipeline import silence
from zerogex.pipeline.silence import QUIET_S, SilenceWatch

NOON = datetime(2026, 11, 20, 17, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def contract(strike: int) -> OptionContract:
    return OptionContract("SPY", "SPY", date(2026, 11, 27), Decimal(strike), OptionKind.CALL)


def quote(one: OptionContract, at: datetime, bid: float) -> OptionQuote:
    return OptionQuote(one, bid, bid + 0.1, None, 0, 10, at, at)


class Market:
    """What was last heard of each contract, by stream or snapshot."""

    def __init__(self, count: int) -> None:
        self.heard = {contract(600 + n): (NOON - 5 * MINUTE).timestamp() for n in range(count)}
        self.watch = SilenceWatch()

    def heard_at(self, one: OptionContract) -> float:
        return self.heard[one]

    def look(self, at: datetime, bids: dict[OptionContract, float]) -> list[OptionContract]:
        """One look at those that are quiet, confirmed at once."""
        quiet = [(one, heard) for one, heard in self.heard.items() if heard < (at - MINUTE).timestamp()]
        asked = self.watch.candidates(quiet, self.heard_at)
        changed = self.watch.compare([quote(one, at, bids.get(one, 1.0)) for one in asked], self.heard_at)
        self.heard |= dict.fromkeys(asked, at.timestamp())  # the snapshot is merged
        return self.watch.confirm(changed, self.heard_at)


def test_hundreds_of_quiet_contracts_whose_market_is_quiet_too_are_no_finding() -> None:
    market = Market(700)
    for minute in range(10):
        assert market.look(NOON + minute * MINUTE, {}) == []
    assert market.watch.found == 0


def test_the_one_that_the_market_speaks_of_is_found_at_the_second_look_and_counted_once() -> None:
    market = Market(700)
    silent = contract(1234)
    assert market.look(NOON, {silent: 1.0}) == []
    assert market.look(NOON + MINUTE, {silent: 1.2}) == [silent]
    assert market.look(NOON + 2 * MINUTE, {silent: 1.3}) == [silent]
    assert market.watch.found == 1
    (gap,) = market.watch.gaps([silent], NOON + 2 * MINUTE)
    assert (gap.what, gap.subject, gap.reason, gap.contracts) == ("chains", silent.symbol, GapReason.SILENT, 1)
    assert gap.started_at == (NOON - 5 * MINUTE).replace(second=0), "where its stream last spoke of it"
    assert gap.ended_at == (NOON + 3 * MINUTE).replace(second=0)


def test_one_that_its_stream_speaks_of_again_is_silent_no_longer() -> None:
    market = Market(3)
    one = contract(601)
    market.look(NOON, {})
    market.heard[one] = (NOON + timedelta(seconds=20)).timestamp()
    assert market.look(NOON + 2 * MINUTE, {one: 2.0}) == []
    assert market.look(NOON + 3 * MINUTE, {one: 2.0}) == []


def test_what_was_on_its_way_is_not_silent() -> None:
    market = Market(3)
    one = contract(601)
    market.look(NOON, {})
    at = NOON + MINUTE
    changed = market.watch.compare([quote(one, at, 2.0)], market.heard_at)
    assert changed == [one]
    market.heard[one] = (at + timedelta(seconds=1)).timestamp()  # a second later the stream says it, too
    assert market.watch.confirm(changed, market.heard_at) == []


def test_no_look_asks_for_more_than_its_share_and_all_have_their_turn() -> None:
    market = Market(2500)
    seen: set[OptionContract] = set()
    for minute in range(3):
        at = NOON + minute * MINUTE
        quiet = [(one, heard) for one, heard in market.heard.items() if heard < (at - MINUTE).timestamp()]
        asked = market.watch.candidates(quiet, market.heard_at)
        assert len(asked) <= silence.LOOKED_AT_MOST
        market.watch.compare([quote(one, at, 1.0) for one in asked], market.heard_at)
        market.heard |= dict.fromkeys(asked, at.timestamp())
        seen |= set(asked)
    assert len(seen) == 2500


def test_many_silent_contracts_of_an_expiration_are_one_gap() -> None:
    market = Market(20)
    market.look(NOON, {})
    silent = market.look(NOON + MINUTE, dict.fromkeys(market.heard, 2.0))
    assert len(silent) == 20
    (gap,) = market.watch.gaps(silent, NOON + MINUTE)
    assert (gap.subject, gap.contracts) == ("SPY 2026-11-27", 20)


def test_patience_follows_the_session() -> None:
    assert QUIET_S[Session.REGULAR] < QUIET_S[Session.PRE] == QUIET_S[Session.POST] and Session.CLOSED not in QUIET_S

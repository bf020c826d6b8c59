"""A feed that goes on in part: the underlying stalls (F34), single contracts fall silent (F14)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from faults.checks import check_conservation, declared
from faults.rig import Rig, rig, until
from zerogex.clock import ScaledClock
from zerogex.domain.contract import parse_symbol
from zerogex.serving.views import Moment, clock_face
from zerogex.store.config import DatabaseConfig

SPEED = 30.0


def live(run: Rig) -> dict[str, Any]:
    """The newest live analysis with the face that the API gives it."""
    payload = run.store.live("SPY")
    document: dict[str, Any] = msgspec.json.decode(payload) if payload else {}
    clock = run.clock
    assert isinstance(clock, ScaledClock)
    return document | clock_face(document, Moment.of(clock, 30.0, True)) if document else {}


async def test_an_underlying_that_stalls_marks_its_exposures_and_recovers(
    database: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    """F34: options go on while SPY says nothing: GEX stays where it was, marked stale, until SPY is heard again."""
    async with rig(database, tmp_path / "spool", seed=seed, speed=SPEED) as run:
        await until(lambda: live(run).get("state") == "simulated")
        run.switch(mute=["SPY"], bars_error="Switched off")  # neither the stream nor its history
        await until(lambda: live(run)["spot_stale"])
        stalled = live(run)
        assert (stalled["state"], stalled["stale"]) == ("stale", True)
        assert stalled["age_seconds"] < 60.0, "the options are fresh"
        assert any("The spot is" in note for note in stalled["notes"])
        prices = set()
        for _ in range(5):
            await until(lambda seen=stalled["data_timestamp"]: live(run)["data_timestamp"] != seen)
            stalled = live(run)
            prices.add(stalled["spot"])
            assert stalled["spot_stale"]
        assert len(prices) == 1, "no other price is put in its place"
        run.calm()
        await until(lambda: live(run)["state"] == "simulated")
        assert not live(run)["spot_stale"] and live(run)["spot"] not in prices


async def test_a_contract_that_its_stream_forgets_is_found_declared_and_opened_anew(
    database: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    """F14: one contract falls silent among others that go on; found within five minutes of market time."""
    async with rig(database, tmp_path / "spool", seed=seed, speed=20.0, analyze=False) as run:
        await run.stored(1)
        one = run.engine.followed[0]
        chain = run.store.minute_chain("SPY")
        assert chain is not None
        silent = str(chain.symbol[len(chain) // 2])
        opened = len(run.ledger["streams"])
        run.switch(mute=[silent])
        muted_at = run.clock.now()
        await until(lambda: one.audit.watch.found == 1)
        assert run.clock.now() - muted_at <= timedelta(minutes=5)
        await until(lambda: len(run.ledger["streams"]) == opened + 1)
        await until(lambda: run.ledger["open_streams"] == 2)  # the old one was closed for it
        await until(lambda: [gap for gap in declared(run.database, "SPY", "chains") if gap[3] == silent])
        (gap,) = [gap for gap in declared(run.database, "SPY", "chains") if gap[3] == silent]
        assert gap[0] <= muted_at < gap[1] and gap[2] == "silent"
        stamp = one.live.heard_at(parse_symbol(silent))
        assert stamp > muted_at.timestamp(), "snapshots stand in for the stream"

        run.calm()
        heard = [q for q in run.market.quotes_said if q.contract.symbol == silent]
        await until(lambda: len([q for q in run.market.quotes_said if q.contract.symbol == silent]) > len(heard) + 20)
        await run.market_time(timedelta(minutes=3))
        assert one.audit.watch.found == 1
        assert len(run.ledger["streams"]) == opened + 1, "no storm"
        await run.quiet()
        await run.stop()
        check_conservation(run)

"""F02: the refresh token is revoked within the day: seen at once, not insisted on, nothing stored is lost."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from faults.checks import check_conservation, check_minutes
from faults.rig import rig, until
from served import cut_off
from zerogex.engines import patience
from zerogex.errors import NotAuthorized
from zerogex.providers.tradestation import auth
from zerogex.store.config import DatabaseConfig


async def test_a_revoked_refresh_token_is_said_not_insisted_on_and_the_spool_drains(
    database: DatabaseConfig,
    tmp_path: Path,
    seed: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "REFUSED_PAUSE_REAL_S", 0.2)
    async with rig(database, tmp_path / "spool", seed=seed, analyze=False) as run:
        await run.stored(1)
        refreshes = run.ledger["token_requests"]
        run.switch(token_status=403, revoke_tokens=True, eof_after_s=0.01)  # 403 is Auth0's invalid_grant
        await until(lambda: "not_authorized" in run.market.kinds())
        run.calm()
        run.switch(token_status=403)
        said = [record for record in caplog.records if record.message == "sign-in refused"]
        assert said[0].levelno == logging.ERROR and "invalid_grant" in said[0].reason  # type: ignore[attr-defined]
        await until(
            lambda: (run.store.feed_state().trouble or "").endswith("TRADESTATION_REFRESH_TOKEN to the new one")
        )
        for _ in range(10):  # whoever asks hears the refusal again; the sign-in host does not hear us
            with pytest.raises(NotAuthorized):
                await run.market.provider.quotes(["SPY"])
        assert run.ledger["token_requests"] == refreshes + 1
        assert [value for name, value in _figures(run) if name == "feed_authorized"] == [0]

        cut_off(database)
        await until(lambda: any(file.stat().st_size for file in (tmp_path / "spool").glob("*.spool")))
        cut_off(database, away=False)
        await run.stored(2)
        await until(lambda: not any(file.stat().st_size for file in (tmp_path / "spool").glob("*.spool")))
        assert not any(task.done() for task in run.tasks)

        run.calm()  # the operator signed in; the next try is due
        monkeypatch.setattr(run.market.provider._credentials, "_ask_again_at", float("-inf"))
        await until(lambda: run.ledger["open_streams"] == 2 and run.store.feed_state().trouble is None)
        await run.stored(2)
        await run.quiet()
        await run.stop()
        check_conservation(run)
        check_minutes(run)
    assert auth.RETRY_AFTER_REFUSAL_S == 300.0, "one try in five minutes, as delivered"


def _figures(run: object) -> list[tuple[str, float]]:
    values = run.engine.meter.values()  # type: ignore[attr-defined]
    return [(name, value) for name, known in values.items() for value in known.values()]


async def test_a_refusal_is_over_when_the_sign_in_host_says_so(database: DatabaseConfig, tmp_path: Path) -> None:
    """At the start it ends ingest, which leaves the reason for the others to say."""
    with pytest.raises(ExceptionGroup) as raised:
        async with rig(database, tmp_path / "spool", analyze=False, faults={"token_status": 403}) as run:
            await until(lambda: run.tasks[0].done())
            assert run.store.feed_state().trouble is not None
            await asyncio.gather(*run.tasks)
    assert raised.group_contains(NotAuthorized)

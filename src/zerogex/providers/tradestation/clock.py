"""The simulator's clock, for whoever listens to it."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
import msgspec

from zerogex.clock import ScaledClock
from zerogex.providers.tradestation.config import is_loopback

ASK_TIMEOUT_S = 5.0


class _Answer(msgspec.Struct):
    simulated: bool
    market_anchor: datetime
    wall_anchor: datetime
    speed: float


async def discover_clock(api_url: str) -> ScaledClock | None:
    """The clock of the simulator behind this URL; None for any other server, or for none.

    Only a server on this machine is asked: to the vendor's own hosts the question would be noise.
    """
    parts = urlsplit(api_url)
    if not parts.hostname or not is_loopback(parts.hostname):
        return None
    async with httpx2.AsyncClient(timeout=ASK_TIMEOUT_S, trust_env=False, follow_redirects=False) as http:
        try:
            answer = await http.get(f"{parts.scheme}://{parts.netloc}/simulator/clock")
            told = msgspec.json.decode(answer.content, type=_Answer) if answer.status_code == 200 else None
        except (httpx2.HTTPError, msgspec.DecodeError, OSError):
            return None
    if told is None or not told.simulated or not 0 < told.speed < 1e6:
        return None
    return ScaledClock(_utc(told.market_anchor), _utc(told.wall_anchor), told.speed)


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)

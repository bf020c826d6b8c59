"""What systemd is told: ready, still alive, stopping.  Silent where nobody listens."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send one state to the service manager: `READY=1`, `WATCHDOG=1`, `STOPPING=1`.

    Source  sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names ('@' is the abstract namespace).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:  # nobody is listening
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())


def watchdog_period_s() -> float | None:
    """How often a sign of life is due: half of WatchdogSec; None where no watchdog is set for this process."""
    microseconds = os.environ.get("WATCHDOG_USEC")
    if not microseconds or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000


def ready() -> None:
    """Say that the engine does its work now: `systemctl start` returns."""
    notify("READY=1")


def stopping() -> None:
    """Say that the engine drains: a watchdog has no more to expect."""
    notify("STOPPING=1")


async def keep_alive() -> None:
    """Report life from inside the event loop, so that a blocked loop is restarted; ends at once without a watchdog.

    A slow database is no death: the loop turns while minutes wait for it.
    """
    period = watchdog_period_s()
    while period is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period)

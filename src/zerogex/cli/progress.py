"""Progress on stderr: one line that moves on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time

from zerogex.engines.backfill_progress import Progress

TERMINAL_EVERY_S, LOG_EVERY_S, WAITING_S = 0.2, 5.0, 10.0


class ProgressLine:
    """Shows the newest `Progress`; the last one of a stretch is always shown."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_at = float("-inf")
        self._open = False
        self._newest: Progress | None = None
        self._moved_at = time.monotonic()

    async def keep_alive(self) -> None:
        """Say where it stands and that it waits, while nothing moves; ends by cancellation."""
        while True:
            await asyncio.sleep(1.0)
            newest, now = self._newest, time.monotonic()
            if newest is None or newest.done == newest.total or now - self._moved_at < WAITING_S:
                continue
            if now - self._shown_at >= (1.0 if self._terminal else WAITING_S):
                self._write(f"{sentence(newest)}  waiting {duration(now - self._moved_at)} for the feed or its quota")

    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is time to."""
        self._newest, self._moved_at = progress, time.monotonic()
        now, over = self._moved_at, progress.done == progress.total
        if not over and now - self._shown_at < (TERMINAL_EVERY_S if self._terminal else LOG_EVERY_S):
            return
        self._write(sentence(progress))
        if over:
            self.close()

    def _write(self, text: str) -> None:
        self._shown_at = time.monotonic()
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        sys.stderr.flush()
        self._open = self._terminal

    def close(self) -> None:
        """Leave the line as it stands."""
        if self._open:
            sys.stderr.write("\n")
            self._open = False


def sentence(progress: Progress) -> str:
    """`SPY 2026-11-18 to 2026-11-20  options 132/390  34%  3.4/s  1:16 left`."""
    days = f"{progress.first}" if progress.first == progress.last else f"{progress.first} to {progress.last}"
    share = 100 * progress.done // max(progress.total, 1)
    rate = f"{progress.per_s:.1f}/s" if progress.elapsed_s > 0 else ""
    left = "" if progress.left_s is None or progress.done == progress.total else f"{duration(progress.left_s)} left"
    words = (progress.underlying, days, f"{progress.what} {progress.done}/{progress.total}", f"{share}%", rate, left)
    return "  ".join(word for word in words if word)


def duration(seconds: float) -> str:
    """`0:09`, `1:16`, `2:03:04`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"

"""Progress on stderr: one line that moves on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from zerogex.engines.backfill import Progress

TERMINAL_EVERY_S, LOG_EVERY_S = 0.2, 5.0


class ProgressLine:
    """Shows the newest `Progress`; the last one of a stretch is always shown."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_at = float("-inf")
        self._open = False

    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is time to."""
        now, over = time.monotonic(), progress.done == progress.total
        if not over and now - self._shown_at < (TERMINAL_EVERY_S if self._terminal else LOG_EVERY_S):
            return
        self._shown_at = now
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{sentence(progress)}")
            self._open = True
            if over:
                self.close()
        else:
            sys.stderr.write(sentence(progress) + "\n")
        sys.stderr.flush()

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

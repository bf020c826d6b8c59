"""How the C library keeps memory that is free.

Left alone, glibc gives every thread a heap of its own and learns from each large array that is freed to keep the
next one: a process that writes eight thousand rows a second from changing threads then holds tens of megabytes that
nobody uses, and more after every busy hour.  Two heaps, and large arrays always given back, cost no time that shows.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_SETTINGS = {_ARENA_MAX: 2, _MMAP_THRESHOLD: 1 << 20, _TRIM_THRESHOLD: 1 << 20}


def give_back_what_is_free() -> bool:
    """Set it for this process, before it starts threads; whether the C library has these settings."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(what, value) == 1 for what, value in _SETTINGS.items())

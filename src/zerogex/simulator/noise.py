"""Randomness that can be asked anywhere, in any order, and always answers the same.

The simulated market has no state: whatever is random in it is a function of a key (the seed
and the name of the thing) and of a code (a strike, a second).  Nothing depends on what was
asked before, so a server started at noon shows the same morning as one started at dawn.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key(*parts: object) -> int:
    """A 64-bit number for a name; the same on every machine and in every run."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(*parts: object) -> np.random.Generator:
    """A generator of its own for a name, for things that are drawn all at once."""
    return np.random.Generator(np.random.PCG64(key(*parts)))


def uniform(named: int, codes: Ints) -> Floats:
    """One number in (0, 1) for each code, by splitmix64 of (key, code)."""
    with np.errstate(over="ignore"):
        state = codes.astype(np.uint64) * _GOLDEN + np.uint64(named)
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
        state ^= state >> np.uint64(31)
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(named: int, codes: Ints) -> Floats:
    """One standard normal for each code (Box-Muller on two independent uniforms)."""
    radius = np.sqrt(-2.0 * np.log(uniform(named, codes)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(named ^ 0x5DEECE66D, codes)))

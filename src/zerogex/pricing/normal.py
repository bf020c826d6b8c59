"""The normal distribution as options need it: Mills' ratio, without underflow in any tail.

Every price of an out-of-the-money option is a difference of two Mills ratios times a density.
Written so, a premium of 1e-300 keeps all its digits, and its logarithm exists long after the
premium itself has become zero; the implied-volatility search rests on that.

Kernels here and in the sister modules are compiled by numba on first use and cached next to the
source, where the next process finds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba


def forget_stale_kernels(folder: Path) -> None:
    """Delete the compiled kernels of a package that are older than any of its sources.

    Numba compares a kernel with its own file only, but a kernel contains the machine code of those it
    calls: without this, an upgrade which changes one module would leave old formulas running in another.
    """
    with suppress(OSError):  # a read-only installation has nothing of ours to delete
        newest = max((source.stat().st_ctime for source in folder.glob("*.py")), default=0.0)
        for kernel in (folder / "__pycache__").glob("*.nb[ic]"):
            if kernel.stat().st_ctime < newest:
                kernel.unlink(missing_ok=True)


forget_stale_kernels(Path(__file__).parent)

# "contract" lets a multiplication and an addition round once; NaN and infinity keep their meaning.
compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"contract"}
)

ROOT_TWO_PI = 2.5066282746310002
HALF_LOG_TWO_PI = 0.9189385332046727

# (1 + u) * mills(u) as a polynomial in t = (u - 4) / (u + 4), lowest power first: the Chebyshev series of degree 24,
# made with mpmath at 40 digits (the mapping is that of Shepherd & Laframboise 1981); 2 units in the last place.
_MILLS = (
    1.1832619145678034,
    -0.2423996705218081,
    0.035091880234748005,
    0.07169048120143744,
    -0.0807080096790523,
    0.04495912907706981,
    -0.01253910362039814,
    -0.0007159509052838121,
    0.001741848773732585,
    -0.00023670175882712258,
    -0.0002202155756957516,
    5.3266970938315365e-05,
    3.415881433183821e-05,
    -8.606187876096938e-06,
    -6.5533544552582505e-06,
    1.0194890870987357e-06,
    1.390762707984928e-06,
    -3.1010836097575835e-09,
    -2.869299965207942e-07,
    -4.494916382038613e-08,
    5.077844122332048e-08,
    1.3723059452459651e-08,
    -6.5624402369464745e-09,
    -1.6952996818880583e-09,
    4.4802333820991685e-10,
)


@compiled
def mills(u: float) -> float:
    """Mills' ratio N(-u) / n(u) of u >= 0: from sqrt(pi/2) at 0 falling like 1/u.

    Units   none.
    Limits  NaN for NaN and for u < 0 beyond -4; 0 for infinity.
    Source  Shepherd & Laframboise, "Chebyshev approximation of (1+2x)exp(x²)erfc x", Math. Comp. 36 (1981).
    """
    if u > 1e300:
        return 0.0
    t = (u - 4.0) / (u + 4.0)
    square = t * t
    even = _MILLS[24]
    odd = _MILLS[23]
    for k in range(22, -1, -2):
        even = even * square + _MILLS[k]
    for k in range(21, 0, -2):
        odd = odd * square + _MILLS[k]
    return (even + t * odd) / (1.0 + u)


@compiled
def density(z: float) -> float:
    """The standard normal density n(z); 0 for the infinities."""
    return math.exp(-0.5 * z * z) / ROOT_TWO_PI


@compiled
def scaled_cdf(z: float) -> float:
    """N(z) / n(z) for any z up to 38, where it leaves the range of a double (infinity beyond)."""
    if z <= 0.0:
        return mills(-z)
    return ROOT_TWO_PI * math.exp(0.5 * z * z) - mills(z)


@compiled
def cdf_given_density(z: float, density_of_z: float) -> float:
    """N(z) where n(z) is at hand already: no second exponential."""
    if z <= 0.0:
        return density_of_z * mills(-z)
    return 1.0 - density_of_z * mills(z)

"""Elementary functions without a branch, a call or a table: what a compiler can run on eight options at once.

A loop over options becomes vector instructions only if its body is one straight line.  The library's
exp, log and erfc are calls, so they stand here as polynomials: each is exact to an ulp or two on the
range it is used on, and says nothing useful outside it (the caller checks and takes the exact, slower path).

Source  range reduction as in Cody & Waite, "Software Manual for the Elementary Functions" (1980); the
        coefficients are Chebyshev series made with mpmath at 30 digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
from numba.core import types
from numba.extending import intrinsic

inlined: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"contract"}, forceinline=True
)

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # ends in zeros, so that a multiple of it is exact
_LN2_LOW = 1.9082149292705877e-10
_LN2 = 0.6931471805599453
_ROOT_TWO = 1.4142135623730951
_ROUNDER = 6755399441055744.0  # 1.5 * 2**52: added and taken away, it leaves the nearest integer
_ROUNDER_BITS = 0x4338000000000000
_INTEGER_BITS = 0x4330000000000000  # the bits of 2**52
_TWO_52 = 4503599627370496.0

_EXP = (
    1.0, 1.0, 0.5000000000000019, 0.16666666666666702, 0.04166666666648665, 0.008333333333309335,
    0.0013888888952699812, 0.000198412699096288, 2.4801485070974322e-05, 2.7557224578181578e-06,
    2.763279158266233e-07, 2.511499595130199e-08,
)  # fmt: skip
# 2 atanh(r) / r as a polynomial in r², |r| <= 3 - sqrt(8)
_ATANH = (
    2.0, 0.6666666666666765, 0.3999999999929773, 0.28571428761622875, 0.22222196957378942,
    0.1818363683450212, 0.1531239576618209, 0.14811044099073023,
)  # fmt: skip
# (u + 5) * mills(u) as a polynomial in z = _Z0 + _Z1 / (u + 5), -1 <= z <= 1 for -1.1 <= u <= 40
_Z0, _Z1 = -1.1897810218978102, 8.540145985401459
_MILLS = (
    2.8352135819395605, 3.668475467246325, 3.670894444703519, 2.8455226520756827, 1.66568977223336,
    0.681411877564149, 0.14704668902236828, -0.018926702444014825, -0.02228529691046366, -0.002490641078398701,
    0.0025549788973901442, 0.0006202588347176619, -0.0003388418923559606, -0.00010062024344299711,
    5.640669154245721e-05, 1.3311041126369312e-05, -1.085826835119266e-05, -1.0633694292233865e-06,
    2.113454347686443e-06, -1.1085863433350927e-07, -3.653652782611241e-07, 5.8855216330338544e-08,
    4.789231556649365e-08, -7.937803934394426e-09, -3.4550353545135402e-09,
)  # fmt: skip


def _bits_of(typing_context: Any, value: Any) -> Any:
    """The 64 bits of a double, as an integer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), code


def _double_of(typing_context: Any, value: Any) -> Any:
    """The double of some 64 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), code


_bits = cast("Callable[[float], int]", intrinsic(_bits_of))
_double = cast("Callable[[int], float]", intrinsic(_double_of))


@inlined
def exp_lane(z: float) -> float:
    """e**z for |z| <= 700, to 1.5 ulp."""
    shifted = z * _LOG2_E + _ROUNDER
    whole = shifted - _ROUNDER
    r = (z - whole * _LN2_HIGH) - whole * _LN2_LOW
    p = _EXP[11]
    for k in range(10, -1, -1):
        p = p * r + _EXP[k]
    return p * _double((_bits(shifted) - _ROUNDER_BITS + 1023) << 52)


@inlined
def log_quotient_lane(high: float, low: float, quotient: float) -> float:
    """ln(high / low) of two positive numbers, exact to the last digit also where they nearly agree.

    `quotient` is high/low, only to find the power of two between them; within 2**-1000 … 2**1000.
    """
    exponent = _bits(quotient * _ROOT_TWO) >> 52
    scaled = low * _double(exponent << 52)
    power = _double(exponent | _INTEGER_BITS) - (_TWO_52 + 1023.0)
    r = (high - scaled) / (high + scaled)
    q = r * r
    p = _ATANH[7]
    for k in range(6, -1, -1):
        p = p * q + _ATANH[k]
    return p * r + power * _LN2


@inlined
def log_lane(z: float) -> float:
    """ln z of a positive, normal z, to an ulp of the larger of 1 and the result."""
    return log_quotient_lane(z, 1.0, z)


@inlined
def rough_log_lane(z: float) -> float:
    """ln z of a normal z >= 1, with a relative error under 1e-6."""
    exponent = _bits(z * _ROOT_TWO) >> 52
    scaled = _double(exponent << 52)
    power = _double(exponent | _INTEGER_BITS) - (_TWO_52 + 1023.0)
    r = (z - scaled) / (z + scaled)
    q = r * r
    return r * (2.0 + q * (0.6666666666666666 + q * (0.4 + q * 0.2857142857142857))) + power * _LN2


@inlined
def mills_lane(u: float) -> float:
    """Mills' ratio N(-u) / n(u) for -1.1 <= u <= 40, to 2 ulp."""
    r = 1.0 / (u + 5.0)
    z = _Z0 + _Z1 * r
    square = z * z
    even, odd = _MILLS[24], _MILLS[23]
    for k in range(22, -1, -2):
        even = even * square + _MILLS[k]
    for k in range(21, 0, -2):
        odd = odd * square + _MILLS[k]
    return (even + z * odd) * r

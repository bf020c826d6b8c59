"""Mills' ratio against fifty digits."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from mpmath import erfc, exp, mp, mpf, pi, sqrt

from zerogex.pricing.normal import cdf_given_density, density, forget_stale_kernels, mills, scaled_cdf


def exact_mills(u: float) -> float:
    with mp.workdps(50):
        x = mpf(u)
        return float(sqrt(pi / 2) * exp(x * x / 2) * erfc(x / sqrt(2)))


@pytest.mark.parametrize("u", [0.0, 1e-12, 0.3, 1.0, 2.5, 4.0, 7.0, 15.0, 38.0, 120.0, 1e4])
def test_mills_ratio_has_sixteen_digits_everywhere(u: float) -> None:
    assert mills(u) == pytest.approx(exact_mills(u), rel=5e-16)


def test_mills_ratio_ends_at_zero_and_keeps_nan() -> None:
    assert mills(math.inf) == 0.0
    assert mills(1e200) == pytest.approx(1e-200)
    assert math.isnan(mills(math.nan))


@pytest.mark.parametrize("z", [-30.0, -3.0, -0.5, 0.0, 0.5, 3.0, 8.0])
def test_both_tails_of_the_distribution_come_from_one_ratio(z: float) -> None:
    with mp.workdps(50):
        expected = float(mp.ncdf(z))
    assert cdf_given_density(z, density(z)) == pytest.approx(expected, rel=1e-14)
    assert scaled_cdf(z) * density(z) == pytest.approx(expected, rel=1e-14)


def test_the_density_of_the_infinities_is_zero() -> None:
    assert density(math.inf) == density(-math.inf) == 0.0
    assert np.isnan(density(math.nan))


def test_a_change_in_any_source_makes_every_older_kernel_stale(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    source, kernel, index, bytecode = tmp_path / "a.py", cache / "b.f-1.nbc", cache / "b.f-1.nbi", cache / "b.pyc"
    source.touch()
    for file in (kernel, index, bytecode):
        file.touch()
        while file.stat().st_ctime_ns <= source.stat().st_ctime_ns:
            os.utime(file)  # until the file system's clock has ticked
    forget_stale_kernels(tmp_path)
    assert kernel.exists()
    while source.stat().st_ctime_ns <= max(kernel.stat().st_ctime_ns, index.stat().st_ctime_ns):
        source.write_text("changed = True")
    forget_stale_kernels(tmp_path)
    assert not kernel.exists()
    assert not index.exists()
    assert bytecode.exists()


def test_a_folder_without_sources_or_cache_is_left_alone(tmp_path: Path) -> None:
    forget_stale_kernels(tmp_path / "nowhere")

"""Natural units to the market's, and back."""

import numpy as np

from zerogex.pricing import units


def test_a_year_has_365_days_and_a_point_is_a_hundredth() -> None:
    value = np.array([365.0, -73.0])
    assert units.per_day(value).tolist() == [1.0, -0.2]
    assert units.per_point(value).tolist() == units.per_percent(value).tolist() == [3.65, -0.73]


def test_the_conversions_undo_one_another() -> None:
    value = np.array([1.25, -7.0])
    assert np.allclose(units.per_year(units.per_day(value)), value, rtol=1e-15)
    assert np.allclose(units.per_unit(units.per_point(value)), value, rtol=1e-15)

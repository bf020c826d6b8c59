"""How often the live answer comes."""

import pytest

from zerogex.engines.analyze import live_pause_s


@pytest.mark.parametrize(("took_s", "underlyings", "pause_s"), [(0.05, 1, 0.5), (0.15, 1, 0.6), (0.03, 10, 1.0)])
def test_live_answers_come_twice_a_second_and_once_where_there_is_much_to_do(
    took_s: float, underlyings: int, pause_s: float
) -> None:
    assert live_pause_s(took_s, underlyings) == pytest.approx(pause_s)


def test_no_answer_is_slow_enough_to_make_them_rarer_than_once_a_second() -> None:
    assert live_pause_s(3.0, 20) == 1.0

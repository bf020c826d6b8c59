"""The switchboard reads what people write, and says what it does not understand."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

from zerogex.errors import SettingsError
from zerogex.simulator import Faults
from zerogex.simulator.faults import changed
from zerogex.simulator.tricks import corrupted, disturbed, float32, transformed
from zerogex.simulator.verbs import VERBS, parse

OBJECT = {"Symbol": "SPY", "Bid": "425.7", "Ask": "425.71", "Last": "425.7", "Volume": "10"}


def test_nothing_is_switched_on_by_default() -> None:
    plain = Faults()
    assert disturbed([("SPY", OBJECT)], plain, Random(1)) == [("SPY", OBJECT)]
    assert msgspec.json.decode(transformed(OBJECT, plain, Random(1))) == OBJECT


def test_faults_are_read_from_the_command_line() -> None:
    faults = parse(["goaway_after_s=30", "rechunk", "mute=SPY,$SPX.X", "quotas=documented", "crossed=0.1",
                           "delayed=false", "duplicate=2"])  # fmt: skip
    assert (faults.goaway_after_s, faults.rechunk, faults.mute) == (30.0, True, ["SPY", "$SPX.X"])
    assert (faults.quotas, faults.crossed, faults.delayed, faults.duplicate) == ("documented", 0.1, False, 2)


def test_verbs_are_read_from_the_command_line_beside_switches() -> None:
    faults = parse(["goaway=30", "dup=3", "cap_streams=10", "status=503", "status_headers=Retry-After: 5, X-Odd: 1",
                    "half_open", "reorder", "date_skew=-2.5", "heartbeat_only", "rotate_token"])  # fmt: skip
    assert (faults.goaway_after_s, faults.duplicate, faults.stream_cap, faults.status) == (30.0, 3, 10, 503)
    assert faults.status_headers == {"Retry-After": "5", "X-Odd": "1"}
    assert 0 < faults.stall_after_s < 0.001 and faults.reorder == 40 and faults.date_skew_s == -2.5
    assert faults.heartbeat_only and faults.rotate_refresh_token


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("explode", "there is no fault 'explode'; there are status, "),
        ("status", "the verb status needs code"),
        ("dup=many", "fault setting is wrong: Expected `int`"),
        ("revoke_token=yes", "the fault revoke_token takes no value, but 'yes' is given"),
    ],
)
def test_a_wrong_verb_gets_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse([text])
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["go=1", "duplicate=many", "corrupt=rot", "cap_mode=maybe", "=3", ""])
def test_a_fault_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="fault"):
        parse([text])


def test_switching_leaves_the_other_switches() -> None:
    first = changed(Faults(), {"duplicate": 1})
    assert changed(first, {"reorder": 4}) == Faults(duplicate=1, reorder=4) and first.reorder == 0


def test_single_precision_leaves_its_mark_on_prices_only() -> None:
    assert float32(OBJECT) == {**OBJECT, "Bid": "425.70001", "Ask": "425.70999", "Last": "425.70001"}


def test_corruption_is_never_the_object_itself() -> None:
    whole = msgspec.json.encode(OBJECT)
    for kind in (
        "nan",
        "infinity",
        "text",
        "null",
        "negative",
        "empty",
        "missing",
        "truncated",
        "deep",
        "huge",
        "garbage",
    ):
        assert corrupted(OBJECT, kind, Random(3)) != whole


def test_the_page_of_the_simulator_names_every_switch() -> None:
    page = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
    assert not [name for name in Faults.__struct_fields__ if f"`{name}" not in page]
    assert not [name for name in VERBS if f"verbs/{name}" not in page]

"""However the network cuts the bytes, the same objects come out."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from zerogex.providers.tradestation.framing import LineSplitter

JSON_VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(alphabet='aé€😀"\\{} \n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3), max_size=6)
SEPARATORS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"", b" "])


@st.composite
def wires(draw: st.DrawFn) -> tuple[list[dict[str, object]], bytes]:
    """Objects, and bytes that say them in one of the ways the feed may."""
    objects = draw(OBJECTS)
    ascii_only = draw(st.booleans())
    data = b"".join(json.dumps(item, ensure_ascii=ascii_only).encode() + draw(SEPARATORS) for item in objects)
    return objects, data


def split(data: bytes, cuts: list[int], limit: int = 1 << 20) -> tuple[list[bytes], int]:
    splitter = LineSplitter(limit)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    found = [line for begin, end in pairwise(edges) for line in splitter.feed(data[begin:end])]
    return found + splitter.end(), splitter.quarantined


@given(wires(), st.lists(st.integers(0, 10_000), max_size=12))
def test_objects_survive_any_chunking(wire: tuple[list[dict[str, object]], bytes], cuts: list[int]) -> None:
    objects, data = wire
    lines, quarantined = split(data, cuts)
    assert [json.loads(line) for line in lines] == objects
    assert quarantined == 0


@given(wires())
@settings(max_examples=40)
def test_objects_survive_byte_by_byte(wire: tuple[list[dict[str, object]], bytes]) -> None:
    objects, data = wire
    lines, _ = split(data, list(range(len(data))))
    assert [json.loads(line) for line in lines] == objects


GARBAGE = st.lists(st.sampled_from([bytes([byte]) for byte in b'{}"\\ \r\na'] + [b" " * 70]), max_size=60).map(b"".join)


@given(
    GARBAGE | st.binary(max_size=100), st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([7, 90, 1 << 20])
)
@settings(max_examples=300)
def test_garbage_comes_out_alike_for_every_chunking(data: bytes, cuts: list[int], limit: int) -> None:
    assert split(data, cuts, limit) == split(data, [], limit)
    assert split(data, list(range(len(data))), limit) == split(data, [], limit)


@given(
    st.lists(
        st.sampled_from([b'{"a":1}', b'{"long":"' + b"x" * 60 + b'"}', b"\n", b"\r\n", b" ", b"oops"]), max_size=12
    ),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_an_oversized_object_costs_its_line_only_for_every_chunking(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole = split(data, [], limit=40)
    assert split(data, cuts, limit=40) == whole
    assert all(len(line) <= 40 for line in whole[0])
    assert split(data + b'\n{"next":1}\n', cuts, limit=40)[0][-1:] == [b'{"next":1}']


def test_an_endless_line_takes_no_endless_memory() -> None:
    splitter = LineSplitter()
    for _ in range(50):
        assert splitter.feed(b"[" * 100_000) == []
        assert len(splitter._tail) <= 1 << 20
    assert splitter.quarantined == 1
    assert splitter.feed(b'\n{"a":1}\n') == [b'{"a":1}']

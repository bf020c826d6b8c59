"""Bytes arrive in any pieces and leave whole, in order, and bounded."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from zerogex.providers.tradestation.gather import ROOM, Gathered


async def pieces(said: Sequence[bytes], error: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in said:
        await asyncio.sleep(0)
        yield piece
    if error is not None:
        raise error


async def taken(reads: Gathered) -> list[bytes]:
    found = []
    while (data := await reads.take()) is not None:
        found.append(data)
    return found


async def test_what_comes_is_given_in_order_and_then_the_end() -> None:
    said = [b"%d\n" % number for number in range(500)]
    async with Gathered(pieces(said)) as reads:
        found = await taken(reads)
        assert await reads.take() is None
    assert b"".join(found) == b"".join(said)


async def test_little_pieces_are_given_together() -> None:
    spoken = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        for number in range(200):
            yield b"%d\n" % number
        spoken.set()
        await asyncio.Event().wait()

    async with Gathered(trickle()) as reads:
        await spoken.wait()
        assert (await reads.take() or b"").count(b"\n") == 200


async def test_an_error_comes_after_all_that_was_read_before_it() -> None:
    async with Gathered(pieces([b"a", b"b"], OSError("cut"))) as reads:
        found = b""
        with pytest.raises(OSError, match="cut"):
            while True:
                found += await reads.take() or b""
    assert found == b"ab"


async def test_a_take_that_is_given_up_loses_nothing() -> None:
    more = asyncio.Event()

    async def late() -> AsyncIterator[bytes]:
        await more.wait()
        yield b"late"

    async with Gathered(late()) as reads:
        waiting = asyncio.ensure_future(reads.take())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        more.set()
        assert await reads.take() == b"late"


async def test_reading_stops_where_nobody_takes() -> None:
    said = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal said
        while True:
            said += ROOM // 4
            yield bytes(ROOM // 4)
            await asyncio.sleep(0)

    async with Gathered(flood()) as reads:
        for _ in range(50):
            await asyncio.sleep(0)
        assert said == ROOM
        assert len(await reads.take() or b"") == ROOM
        assert await reads.take()


async def test_the_reader_ends_with_its_context() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.set()

    async with Gathered(endless()):
        await asyncio.sleep(0)
    assert closed.is_set()

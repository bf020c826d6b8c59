import asyncio

import pytest

from zerogex.errors import RateLimited
from zerogex.providers.tradestation import quota
from zerogex.providers.tradestation.quota import Governor, Quota


class Hand:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    """A clock that sleeping moves."""
    hand = Hand()
    yield_once = asyncio.sleep

    async def sleep(seconds: float) -> None:
        hand.now += seconds
        await yield_once(0)

    monkeypatch.setattr(quota.asyncio, "sleep", sleep)
    return hand


async def test_no_window_of_an_option_endpoint_holds_more_than_ninety_requests(hand: Hand) -> None:
    governor = Governor(30.0, hand)
    sent = []
    for _ in range(200):
        await governor.admit("options/strikes")
        sent.append(hand.now)
    assert all(late - early >= 60.0 for early, late in zip(sent, sent[90:], strict=False))
    assert sent[89] == 0.0
    assert sent[-1] == 120.0


async def test_groups_do_not_wait_for_each_other(hand: Hand) -> None:
    governor = Governor(30.0, hand)
    governor.ban("options/strikes", 20.0)
    await governor.admit("quotes")
    assert hand.now == 0.0
    await governor.admit("options/strikes")
    assert hand.now == 20.0


async def test_a_ban_longer_than_our_patience_is_an_error_that_says_how_long(hand: Hand) -> None:
    governor = Governor(30.0, hand)
    governor.ban("quotes", 900.0)
    with pytest.raises(RateLimited) as caught:
        await governor.admit("quotes")
    assert caught.value.retry_after_s == 900.0
    hand.now = 880.0
    await governor.admit("quotes")
    assert hand.now == 900.0


async def test_a_shorter_ban_does_not_shorten_a_longer_one(hand: Hand) -> None:
    governor = Governor(30.0, hand)
    governor.ban("quotes", 20.0)
    governor.ban("quotes", 1.0)
    await governor.admit("quotes")
    assert hand.now == 20.0


def test_the_documented_quotas_are_kept() -> None:
    assert quota.QUOTAS["options/expirations"] == Quota(90, 60.0)
    assert Quota(500, 300.0) == quota.QUOTES

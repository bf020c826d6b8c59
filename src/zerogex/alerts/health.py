"""Whether alerts arrive: one word, and one sentence a channel."""

from __future__ import annotations

from collections.abc import Sequence

from zerogex.domain.alert import ChannelState

UNSEEN_S = 60.0  # since somebody last looked after a channel: nobody delivers


def alerting(channels: Sequence[ChannelState]) -> str:
    """off (no channel), ok, or failing (one does not deliver)."""
    if not channels:
        return "off"
    return "failing" if any(trouble(channel) for channel in channels) else "ok"


def trouble(channel: ChannelState) -> str | None:
    """What is wrong with a channel; None where it does, or has nothing to do."""
    if channel.failing_since is not None:
        return channel.last_error or "the last try failed"
    if channel.age_s > UNSEEN_S:
        return f"nobody has delivered for {channel.age_s / 60:.0f} min: see that `zerogex analyze` runs"
    return None

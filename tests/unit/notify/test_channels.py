"""An alert becomes one request, to a place that may be asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from receiver import Receiver, receiving
from zerogex.domain.alert import Alert, Side
from zerogex.errors import ChannelError
from zerogex.notify import channels
from zerogex.notify.addresses import may_be_reached, resolved
from zerogex.notify.channels import Ntfy, Target, Webhook

ALERT = Alert(
    "7#3", "7", "SPY", datetime(2026, 11, 23, 17, tzinfo=UTC), Side.BELOW, "SPY spot fell below the gamma flip",
    "Spot 499.00 – Δ “x”", 499.0, 500.0, True,
)  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def test_ntfy_is_told_by_its_json(receiver: Receiver) -> None:
    await Ntfy(Target(f"{receiver.address}/below/my-topic", allow_lan=True), "tk_1").send(ALERT)
    (heard,) = receiver.heard
    assert heard.path == "/below/"
    assert heard.headers["Authorization"] == "Bearer tk_1"
    assert heard.body["topic"] == "my-topic"
    assert (heard.body["title"], heard.body["message"]) == (ALERT.title, ALERT.text)
    assert heard.body["sequence_id"] == "7-3"


async def test_a_webhook_gets_the_whole_alert_and_a_key_to_know_it_by(receiver: Receiver) -> None:
    await Webhook(Target(f"{receiver.address}/hook?token=s3cret", allow_lan=True)).send(ALERT)
    (heard,) = receiver.heard
    assert heard.path == "/hook?token=s3cret"
    assert heard.headers["Idempotency-Key"] == heard.body["alert_id"] == "7#3"
    assert heard.headers["Host"] == receiver.address.removeprefix("http://")
    assert (heard.body["timestamp"], heard.body["side"], heard.body["simulated"]) == (
        "2026-11-23T17:00:00Z",
        "below",
        True,
    )


@pytest.mark.parametrize(
    ("status", "final"), [(400, True), (401, False), (404, False), (413, True), (429, False), (500, False), (0, False)]
)
async def test_a_failure_says_whether_it_is_for_good_and_never_the_address(
    receiver: Receiver, status: int, final: bool
) -> None:
    receiver.status = status
    with pytest.raises(ChannelError) as caught:
        await Webhook(Target(f"{receiver.address}/hook?token=s3cret", allow_lan=True)).send(ALERT)
    assert caught.value.final is final
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(receiver.heard) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_never_followed(receiver: Receiver, status: int) -> None:
    with receiving() as elsewhere:
        receiver.status, receiver.location = status, f"{elsewhere.address}/"
        with pytest.raises(ChannelError, match=str(status)):
            await Webhook(Target(receiver.address, allow_lan=True)).send(ALERT)
        assert elsewhere.heard == []


async def test_a_receiver_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target(f"http://127.0.0.1:{silent.getsockname()[1]}/", allow_lan=True)
        with pytest.raises(ChannelError, match="was not reached"):
            await Webhook(target).send(ALERT)


async def test_a_receiver_that_drips_is_not_waited_for_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "DEADLINE_S", 0.5)
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while not over.wait(0.05):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        with pytest.raises(ChannelError, match="was not reached"):
            await Webhook(Target(f"http://127.0.0.1:{listener.getsockname()[1]}/", allow_lan=True)).send(ALERT)
        over.set()
        thread.join()


async def test_what_is_not_public_is_not_asked_unless_it_is_allowed(receiver: Receiver) -> None:
    with pytest.raises(ChannelError, match="not a public address; set ALERT_ALLOW_LAN=true"):
        await Webhook(Target(receiver.address)).send(ALERT)
    assert receiver.heard == []
    with pytest.raises(ChannelError, match="localhost is at"):
        await resolved("localhost", 80, allow_lan=False)
    with pytest.raises(ChannelError, match="not known"):
        await resolved("no-such-host.invalid", 443, allow_lan=False)


@pytest.mark.parametrize(
    ("address", "public", "lan"),
    [
        ("93.184.215.14", True, True),
        ("2606:4700::1111", True, True),
        ("10.1.2.3", False, True),
        ("192.168.1.5", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("::ffff:127.0.0.1", False, True),
        ("2002:a9fe:a9fe::", False, False),  # 169.254.169.254 by 6to4
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("100.64.0.1", False, False),  # of the carrier
    ],
)
def test_which_addresses_may_be_asked(address: str, public: bool, lan: bool) -> None:
    assert may_be_reached(address, allow_lan=False) is public
    assert may_be_reached(address, allow_lan=True) is lan


def test_a_target_does_not_show_its_address() -> None:
    assert "s3cret" not in repr(Target("https://example.org/s3cret"))

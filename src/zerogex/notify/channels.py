"""The channels: an alert becomes one HTTP request, never more, to a place that was looked at first."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2

from zerogex.domain.alert import Alert, Side
from zerogex.errors import ChannelError
from zerogex.notify.addresses import resolved

TIMEOUT_S, DEADLINE_S = 10.0, 20.0  # of one step, and of all
SECRET_LENGTH = 4  # of a part of an address; shorter ones are words
ANSWER_MAX = 4 << 10  # bytes of an error's answer that are read
_OURS = frozenset({400, 413, 422})  # the message itself is refused: it will be again


@dataclass(frozen=True, slots=True)
class Target:
    """Where a channel's requests go: an address of http or https, and whether it may be on the local network."""

    url: str = field(repr=False)
    allow_lan: bool = False

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.url).hostname or ""


class Ntfy:
    """A topic of an ntfy server: https://docs.ntfy.sh/publish/#publish-as-json."""

    name = "ntfy"

    def __init__(self, target: Target, token: str | None = None) -> None:
        self._target = target
        self.place = target.host
        parts = urlsplit(target.url)
        base, _, self._topic = parts.path.rstrip("/").rpartition("/")
        self._url = f"{parts.scheme}://{parts.netloc}{base}/"
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def send(self, alert: Alert) -> None:
        """Publish; the sequence id lets a server of 2.16 or newer show an alert that came twice once."""
        body = {
            "topic": unquote(self._topic),
            "title": alert.title,
            "message": alert.text,
            "priority": 4,
            "tags": ["chart_with_upwards_trend" if alert.side is Side.ABOVE else "chart_with_downwards_trend"],
            "sequence_id": _sequence(alert.alert_id),
        }
        await post(self._target, self._url, body, self._headers)


class Webhook:
    """A program of the operator's that takes JSON by POST."""

    name = "webhook"

    def __init__(self, target: Target) -> None:
        self._target = target
        self.place = target.host

    async def send(self, alert: Alert) -> None:
        """POST the alert; its id is the Idempotency-Key."""
        body = {
            "alert_id": alert.alert_id,
            "rule_id": alert.rule_id,
            "underlying": alert.underlying or None,
            "timestamp": alert.at.isoformat().replace("+00:00", "Z"),
            "side": alert.side.name.lower(),
            "title": alert.title,
            "message": alert.text,
            "value": alert.value,
            "threshold": alert.threshold,
            "simulated": alert.simulated,
        }
        await post(self._target, self._target.url, body, {"Idempotency-Key": alert.alert_id})


async def post(target: Target, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """One POST of JSON, without redirects, proxies or cookies; longer than `DEADLINE_S` it does not take.

    Raises ChannelError; its sentence names the host and never the address.
    """
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ChannelError(f"the address at {target.host} is none", final=True) from None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = await resolved(parts.host, port, allow_lan=target.allow_lan)
    request = httpx2.Request(
        "POST",
        parts.copy_with(host=address),
        json=dict(body),
        headers={"Host": parts.netloc.decode("ascii"), "User-Agent": "zerogex", **headers},
        extensions={"sni_hostname": parts.host, "timeout": httpx2.Timeout(TIMEOUT_S).as_dict()},
    )
    try:
        # A transport and no client: a client would log the address, which is a secret.
        async with asyncio.timeout(DEADLINE_S), httpx2.AsyncHTTPTransport() as transport:
            answer = await transport.handle_async_request(request)
            try:
                _judge(target, answer.status_code, await _beginning(answer))
            finally:
                await answer.aclose()
    except (httpx2.HTTPError, TimeoutError) as error:
        raise ChannelError(f"{target.host} was not reached ({type(error).__name__})") from None


def _judge(target: Target, status: int, said: str) -> None:
    if 200 <= status < 300:
        return
    parts = urlsplit(target.url)
    words = [word for word in re.split(r"[/?&=]", f"{parts.path}?{parts.query}") if len(word) >= SECRET_LENGTH]
    if any(word in said or unquote(word) in said for word in words):
        said = ""  # it repeats our address
    raise ChannelError(f"{target.host} answered {status}{': ' + said if said else ''}", final=status in _OURS)


async def _beginning(answer: httpx2.Response) -> str:
    """The first words of an error's answer, as one line of plain text."""
    if answer.is_success:
        return ""
    data = b""
    async for piece in answer.aiter_raw():
        data += piece
        if len(data) >= ANSWER_MAX:
            break
    return "".join(letter if letter.isprintable() else " " for letter in data.decode("utf-8", "replace"))[:120].strip()


def _sequence(alert_id: str) -> str:
    """An alert's id in the letters ntfy allows."""
    return "".join(letter if letter.isalnum() else "-" for letter in alert_id)

"""Signing in by hand, once: the OAuth code flow that ends with a refresh token.

Source  tradestation-v3.md §1: authorize and token URLs, audience, scopes, default callbacks.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import msgspec

from zerogex.errors import NotAuthorized, SettingsError, Unavailable
from zerogex.providers.tradestation import wire
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.http import open_client

AUDIENCE = "https://api.tradestation.com"  # of the SIM host too
SCOPES = "openid offline_access profile MarketData OptionSpreads Matrix"  # Matrix: market depth
DEFAULT_PORTS = (3000, 3001, 8080, 31022, 80)  # callbacks every key may use; others must be registered
_LONGEST_HEAD = 16_384  # bytes of a callback's request
_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>ZeroGEX</title>"
    "<body style='font:16px system-ui;margin:4em'><h1>{title}</h1><p>{text}</p></body></html>"
)


@dataclass(slots=True)
class Callback:
    """Waits on this machine for the browser to come back with a code.

    async with Callback(port=3000, state=state) as callback: ...; code = await callback.code(timeout_s)
    """

    port: int
    state: str = field(repr=False)
    _server: asyncio.Server | None = field(default=None, init=False, repr=False)
    _answer: asyncio.Future[str] = field(init=False, repr=False)

    async def __aenter__(self) -> Callback:
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_LONGEST_HEAD)
        except OSError as error:
            others = ", ".join(str(port) for port in DEFAULT_PORTS if port != self.port)
            raise SettingsError(
                f"the sign-in cannot listen on port {self.port} ({error.strerror}); "
                f"choose another with --port: {others}"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self._answer.cancel()

    @property
    def redirect_uri(self) -> str:
        """Where the browser is sent back to."""
        return f"http://localhost:{self.port}"

    async def code(self, timeout_s: float) -> str:
        """The code.  Raises NotAuthorized for a refusal or a wrong state, Unavailable when nobody comes back."""
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._answer)
        except TimeoutError:
            raise Unavailable(
                f"nobody came back from the sign-in page within {timeout_s:g} s; run `zerogex auth login` again"
            ) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("latin-1")
            status, title, text = self._judge(line)
            body = _PAGE.format(title=title, text=text).encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a browser that comes back
        finally:
            writer.close()

    def _judge(self, line: str) -> tuple[str, str, str]:
        """What the page says; the first answer to our question decides."""
        method, _, rest = line.partition(" ")
        target = urlsplit(rest.rpartition(" ")[0])
        asked = {name: values[0] for name, values in parse_qs(target.query).items()}
        if method != "GET" or not ("code" in asked or "error" in asked):
            return "404 Not Found", "Nothing here", "This port waits for a sign-in."
        if not secrets.compare_digest(asked.get("state", "").encode(), self.state.encode()):
            self._fail("the sign-in came back with a wrong state, so it is not the one that was begun here; "
                       "run `zerogex auth login` again")  # fmt: skip
            return "400 Bad Request", "Not this sign-in", "The state is wrong. Start again in the terminal."
        if "error" in asked:
            said = asked.get("error_description") or asked["error"]
            self._fail(f"TradeStation did not sign in: {_printable(said)}; run `zerogex auth login` and allow access")
            return "200 OK", "Not signed in", "Access was declined. You may close this page."
        if not self._answer.done():
            self._answer.set_result(asked["code"])
        return "200 OK", "Signed in", "ZeroGEX has what it needs. You may close this page."

    def _fail(self, sentence: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(NotAuthorized(sentence))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:200]


def authorize_url(config: TradeStationConfig, redirect_uri: str, state: str, scope: str = SCOPES) -> str:
    """Where the browser goes."""
    asked = {
        "response_type": "code",
        "client_id": config.client_id,
        "audience": AUDIENCE,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": state,
    }
    return f"{config.auth_url}/authorize?{urlencode(asked)}"


async def exchange(config: TradeStationConfig, code: str, redirect_uri: str) -> str:
    """The refresh token for a code.  Raises NotAuthorized (refused) or Unavailable (nobody answers)."""
    form = {
        "grant_type": "authorization_code",
        "client_id": config.client_id,
        "client_secret": config.client_secret,
        "code": code,
        "redirect_uri": redirect_uri,
    }
    try:
        async with open_client(config) as http:
            answer = await http.post(f"{config.auth_url}/oauth/token", data=form)
    except (httpx2.HTTPError, OSError) as error:
        raise Unavailable(
            f"TradeStation sign-in: {config.auth_url} did not answer ({type(error).__name__}); try again"
        ) from None
    try:
        grant = wire.GRANT.decode(answer.content)
    except msgspec.DecodeError:
        grant = wire.Grant()
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Unavailable(f"TradeStation sign-in: {config.auth_url} answered {answer.status_code}; try again later")
    if answer.status_code != 200 or not grant.access_token:
        raise NotAuthorized(
            f"TradeStation sign-in: the code was refused ({grant.error or f'HTTP {answer.status_code}'}); "
            "check TRADESTATION_CLIENT_ID and TRADESTATION_CLIENT_SECRET, then run `zerogex auth login` again"
        )
    if not grant.refresh_token:
        raise NotAuthorized(
            "TradeStation sign-in: no refresh token came back; the key needs the scope offline_access, "
            "ask TradeStation to allow it"
        )
    return grant.refresh_token


async def sign_in(
    config: TradeStationConfig, *, port: int, timeout_s: float, scope: str, show: Callable[[str], None]
) -> str:
    """The whole flow: `show` is given the page's address; returns the refresh token."""
    state = secrets.token_urlsafe(24)
    async with Callback(port, state) as callback:
        show(authorize_url(config, callback.redirect_uri, state, scope))
        code = await callback.code(timeout_s)
        return await exchange(config, code, callback.redirect_uri)

"""Who may talk to this server, how much they may say, and what a browser may do with its answers.

A server on loopback is reachable by every page open in the same browser.  The Host check
stops DNS rebinding, the Origin check stops foreign pages (and their WebSockets), and the
headers leave scripts nothing but our own files.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zerogex.serving.patience import head_too_large
from zerogex.serving.problems import Problem

MAX_TARGET_BYTES = 8_192  # path and query
MAX_HEAD_BYTES = 16_384  # the headers together; also what h11 holds of a head that is not whole
MAX_BODY_BYTES = 16_384  # no route reads a body

CONTENT_SECURITY_POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


class Guard:
    """ASGI middleware: refuses strangers, dresses every answer in the security headers."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = too_large(scope) or self.refusal(Headers(scope=scope))
        if refusal is None:
            await self.app(scope, receive, dressed)
        elif scope["type"] == "http":
            await refusal.response(Request(scope))(scope, receive, dressed)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})

    def refusal(self, headers: Headers) -> Problem | None:
        """Why these headers are not welcome; None where they are."""
        host = headers.get("host", "")
        if self.hosts and hostname(host) not in self.hosts:
            hint = "Use the address the server printed, or add the name to the allowed hosts."
            return Problem(421, "wrong_host", f"This server does not answer for host {host[:80]!r}.", hint)
        origin = headers.get("origin")
        if origin is not None and not same_origin(origin, host):
            hint = "Call the API from its own page, or from a program that sends no Origin."
            return Problem(403, "foreign_origin", f"Requests from origin {origin[:80]!r} are refused.", hint)
        return None


def too_large(scope: Scope) -> Problem | None:
    """Why a request takes more room than any route needs: 414, 431, 413 or 411; None where it does not."""
    hint, last = "Ask with GET and without a body: no route reads one.", {"Connection": "close"}
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        return Problem(414, "uri_too_long", "The address is too long.", "Ask for less at once.", headers=last)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD_BYTES:
        return head_too_large()
    said = dict(scope["headers"])
    if b"transfer-encoding" in said:
        return Problem(411, "length_required", "A body of unknown length is not taken.", hint, headers=last)
    if int(said.get(b"content-length", b"0")) > MAX_BODY_BYTES:
        return Problem(413, "content_too_large", "The body of the request is too long.", hint, headers=last)
    return None


def hostname(host: str) -> str:
    """The name in a Host header without its port, lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the very host and port that was called."""
    try:
        named = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return named == host.lower() and origin.startswith(("http://", "https://"))

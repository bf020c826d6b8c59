"""Signing in, as Auth0 does it for TradeStation: authorize, token (code and refresh), revoke."""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerogex.simulator.exchange import Exchange, reply

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SCOPE = "openid offline_access profile MarketData ReadAccount OptionSpreads Matrix"


def routes() -> list[Route]:
    return [
        Route("/authorize", authorize),
        Route("/oauth/token", token, methods=["POST"]),
        Route("/oauth/revoke", revoke, methods=["POST"]),
    ]


def _refuse(status: int, error: str, description: str) -> Response:
    return reply({"error": error, "error_description": description}, status)


async def authorize(request: Request) -> Response:
    """Grant a code at once; `decline=1` shows the other ending.  Redirects to this machine only."""
    exchange: Exchange = request.app.state.exchange
    query = request.query_params
    target = query.get("redirect_uri", "http://localhost")
    if urlsplit(target).scheme != "http" or urlsplit(target).hostname not in _LOCAL:
        return _refuse(400, "invalid_request", "redirect_uri must be http://localhost or http://127.0.0.1")
    if query.get("response_type") != "code" or not query.get("client_id"):
        return _refuse(400, "invalid_request", "response_type=code and client_id are required")
    if query.get("decline"):
        answer = {"error": "access_denied", "error_description": "User did not authorize the request"}
    else:
        answer = {"code": secrets.token_urlsafe(24)}
        exchange.codes.add(answer["code"])
    if query.get("state"):
        answer["state"] = query["state"]
    return RedirectResponse(f"{target}{'&' if '?' in target else '?'}{urlencode(answer)}", 302)


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if "json" in request.headers.get("content-type", ""):
        body = msgspec.json.decode(raw)
        return body if isinstance(body, dict) else {}
    return dict(parse_qsl(raw.decode()))


async def token(request: Request) -> Response:
    """Exchange a code or a refresh token for an access token."""
    exchange: Exchange = request.app.state.exchange
    exchange.ledger.refreshes += 1
    if (status := exchange.failing_token()) != 0:
        return _refuse(
            status, "invalid_grant" if status == 403 else "temporarily_unavailable", "Switched on as a fault"
        )
    try:
        body = await _body(request)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _refuse(400, "invalid_request", "The body is neither a form nor JSON")
    config, strict = exchange.config, exchange.config.strict
    if not body.get("client_id") or (strict and body["client_id"] != config.client_id):
        return _refuse(401, "access_denied", "Unauthorized")
    if strict and body.get("client_secret") != config.client_secret:
        return _refuse(401, "access_denied", "Unauthorized")
    grant = body.get("grant_type")
    if grant == "authorization_code":
        return _grant_code(exchange, str(body.get("code", "")))
    if grant == "refresh_token":
        return _grant_refresh(exchange, str(body.get("refresh_token", "")))
    return _refuse(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")


def _grant_code(exchange: Exchange, code: str) -> Response:
    if code not in exchange.codes:
        return _refuse(403, "invalid_grant", "Invalid authorization code")
    exchange.codes.discard(code)
    return reply({**_access(exchange), "refresh_token": _new_refresh(exchange)})


def _grant_refresh(exchange: Exchange, refresh: str) -> Response:
    known = refresh in exchange.refresh_tokens
    dead = refresh in exchange.dead_refresh_tokens
    if not refresh or dead or (exchange.config.strict and not known):
        return _refuse(403, "invalid_grant", "Unknown or invalid refresh token.")
    answer = _access(exchange)
    if exchange.faults.rotate_refresh_token:
        exchange.refresh_tokens.discard(refresh)
        exchange.dead_refresh_tokens.add(refresh)
        answer["refresh_token"] = _new_refresh(exchange)
    return reply(answer)


def _new_refresh(exchange: Exchange) -> str:
    made = secrets.token_urlsafe(32)
    exchange.refresh_tokens.add(made)
    return made


def _access(exchange: Exchange) -> dict[str, Any]:
    made, life = secrets.token_urlsafe(48), exchange.faults.token_life_s
    now = time.monotonic()
    exchange.tokens = {name: ends for name, ends in exchange.tokens.items() if ends > now}
    exchange.tokens[made] = now + life
    return {"access_token": made, "id_token": _id_token(), "scope": _SCOPE, "expires_in": int(life),
            "token_type": "Bearer"}  # fmt: skip


def _id_token() -> str:
    """An unsigned JWT that says who the demo user is."""
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": "simulator", "name": "Simulated user"})
    return ".".join(base64.urlsafe_b64encode(msgspec.json.encode(p)).decode().rstrip("=") for p in parts) + "."


async def revoke(request: Request) -> Response:
    """Kill every refresh token of the key."""
    exchange: Exchange = request.app.state.exchange
    body = await _body(request)
    exchange.dead_refresh_tokens |= exchange.refresh_tokens | {str(body.get("token", ""))}
    exchange.refresh_tokens.clear()
    return Response(status_code=200)

"""The text of an API key: `zgx_KEYID_SECRET`.  Shown once when it is made; only its digest is kept."""

from __future__ import annotations

import hashlib
import re
import secrets

SCOPES = ("data", "chain", "alerts")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH, _SECRET_BYTES = 10, 32
_FORM = re.compile(r"zgx_[a-z0-9]{8,16}_[A-Za-z0-9_-]{43}")


def new_key() -> tuple[str, str]:
    """A fresh key: its public id, and the whole text with 256 random bits."""
    key_id = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
    return key_id, f"zgx_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def digest(text: str) -> bytes:
    """SHA-256 of a key.  A key is random, not chosen, so nothing slower is needed."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def looks_like_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    return _FORM.fullmatch(text) is not None

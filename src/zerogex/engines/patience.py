"""Which of the feed's troubles are waited out, and how long.

Once the feed has been heard, refused credentials are one of them: only the operator can mend that, but what was
heard still has to be written, and minutes go on.  Before, they end the engine, which says why.
"""

from __future__ import annotations

from zerogex.errors import BadPayload, NotAuthorized, ProviderError, RateLimited, Unavailable

REFUSED_PAUSE_REAL_S = 15.0  # the provider asks the sign-in host far less often


def passes(error: ProviderError, *, heard: bool) -> bool:
    """Whether to try again after an error of the feed."""
    return isinstance(error, Unavailable | RateLimited | BadPayload) or (heard and isinstance(error, NotAuthorized))


def pause_s(error: ProviderError) -> float:
    """How long to wait at least before trying again, real seconds."""
    if isinstance(error, NotAuthorized):
        return REFUSED_PAUSE_REAL_S
    return (error.retry_after_s if isinstance(error, RateLimited) else None) or 0.0

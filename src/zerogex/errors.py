"""Every error ZeroGEX raises on purpose, and the exit code each one means.

    ZerogexError
    ├── SettingsError            which setting, what it was, what it may be        78
    │   └── WrongUsage           words of a command that mean nothing here          2
    ├── ChainFileError           a file that is not an option chain, or is cut off 65
    ├── ProviderError            vendor and request in every message               69
    │   ├── NotAuthorized        credentials refused: only the operator can mend   77
    │   ├── RateLimited          come back after `retry_after_s`                   69
    │   ├── Unavailable          the vendor's trouble; trying again helps          69
    │   ├── BadPayload           the field and a safe excerpt                      69
    │   └── UnknownSymbol        the vendor does not know this symbol              69
    ├── ChannelError             an alert did not reach its channel                69
    └── StoreError               the database said no                              74
        ├── StoreUnavailable     not reachable; trying again helps                 69
        │   └── StoreRefusesUs   it answers, and does not let us in                77
        ├── SchemaBehind         run `zerogex db migrate`                          78
        ├── OriginConflict       simulated and live data must not mix              78
        └── LockHeld             another ingest already writes this underlying     75

Engines retry `RateLimited`, `Unavailable` and `StoreUnavailable`, skip and count
`BadPayload`, and stop on the rest.  The command line turns each into one sentence on
stderr and the exit code of the last column.
"""

from __future__ import annotations


class ZerogexError(Exception):
    """The root: a problem with a sentence a person can act on."""

    exit_code = 1


class SettingsError(ZerogexError):
    """One or more settings are wrong; the message names all of them."""

    exit_code = 78


class WrongUsage(SettingsError):
    """What was asked for is not there, or not understood; the message names what came."""

    exit_code = 2


class ChainFileError(ZerogexError):
    """A file given as an option chain cannot be read as one."""

    exit_code = 65


class ProviderError(ZerogexError):
    """A market-data vendor failed us; the message names vendor and request."""

    exit_code = 69


class NotAuthorized(ProviderError):
    """The vendor refuses our credentials."""

    exit_code = 77


class RateLimited(ProviderError):
    """The vendor asks us to wait `retry_after_s` seconds (None: it did not say how long)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(ProviderError):
    """The vendor cannot answer now: network, 5xx, a stream that ended."""


class BadPayload(ProviderError):
    """The vendor's answer is not what its documentation says; names the field."""


class UnknownSymbol(ProviderError):
    """The vendor does not know the symbol, or we are not entitled to it."""


class ChannelError(ZerogexError):
    """An alert did not reach its channel; `final` where sending it again is no use."""

    exit_code = 69

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class StoreError(ZerogexError):
    """The database refused or failed."""

    exit_code = 74


class StoreUnavailable(StoreError):
    """The database cannot be reached now."""

    exit_code = 69


class StoreRefusesUs(StoreUnavailable):
    """The server answers, but not to this role, password or database: only the operator (or a new secret) can mend."""

    exit_code = 77


class SchemaBehind(StoreError):
    """The database's schema is older or newer than this program."""

    exit_code = 78


class OriginConflict(StoreError):
    """Simulated data offered to a database of live data, or the reverse."""

    exit_code = 78


class LockHeld(StoreError):
    """Another process holds the right to write what we want to write; `passing`: one that is dead already."""

    exit_code = 75

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.passing = passing

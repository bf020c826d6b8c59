"""From a file to a chain: look at the content, let the right reader take it apart, fill what it left open, check."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from zerogex.domain.chain import OptionChain
from zerogex.errors import ChainFileError
from zerogex.providers.chain_files.assemble import assemble, identify
from zerogex.providers.chain_files.estimate import parity_spot, session_of_quotes
from zerogex.providers.chain_files.page_time import end_of_quotes
from zerogex.providers.chain_files.quote_table import is_quote_table, read_quote_table
from zerogex.providers.chain_files.said import ChainFile, Said
from zerogex.providers.chain_files.source import ARROW, PARQUET, decode, decompress, read_bytes
from zerogex.providers.chain_files.table import YAHOO, read_arrow, read_csv, read_parquet, read_table
from zerogex.providers.chain_files.units import to_our_units
from zerogex.providers.chain_files.vendor_json import read_json

log = logging.getLogger(__name__)


def read_chain_file(path: Path | str, as_of: datetime | None = None) -> ChainFile:
    """The chain in a file of any supported layout, plain or gzip, told by its content.

    `as_of` (aware) picks the last instant not after it in a file that holds several, and
    replaces the file's own time in a file that holds one.  Raises ChainFileError with one
    sentence where there is no whole chain.
    """
    path = Path(path)
    return read_chain(read_bytes(path), path.name or str(path), as_of)


def read_chain(data: bytes, name: str, as_of: datetime | None = None) -> ChainFile:
    """The same from bytes; `name` is how errors call them."""
    said = _read(decompress(data, name), name, as_of)
    moment = _settle_time(said, name, as_of)
    chain = assemble(said, name, moment, said.spot or math.nan)
    if said.format == YAHOO:
        chain = _without_unquoted_iv(chain)
    chain = to_our_units(_settle_spot(chain, said, name), said.notes)
    log.debug("chain file read", extra={"format": said.format, "contracts": len(chain), "underlying": chain.underlying})
    return ChainFile(chain, said.format, tuple(said.notes))


def _read(data: bytes, name: str, as_of: datetime | None) -> Said:
    """Choose the reader by the first bytes, never by the name."""
    if data.startswith(PARQUET):
        frame, head = read_parquet(data, name)
        return read_table(frame, name, as_of, head)
    if data.startswith(ARROW):
        frame, head = read_arrow(data, name)
        return read_table(frame, name, as_of, head)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return read_json(data, name, as_of)
    text = decode(data, name).replace("\r\n", "\n").replace("\r", "\n")
    if text.lstrip()[:1] == "<":
        raise ChainFileError(f"{name} is a web page or XML, not an option chain; save the data, not the page")
    if is_quote_table(text):
        return read_quote_table(text, name)
    return read_table(read_csv(text, name), name, as_of)


def _settle_time(said: Said, name: str, wanted: datetime | None) -> datetime:
    """The instant of the chain: the file's, or the one asked for, or the one its quotes speak for."""
    if wanted is not None and not said.picked:
        if said.as_of and abs((wanted - said.as_of).total_seconds()) > 60:
            said.notes.append(f"The file is of {said.as_of:%Y-%m-%d %H:%M} UTC; times run from --as-of instead.")
        said.spot_time = None
        return wanted.astimezone(UTC)
    if said.as_of is None:
        session = session_of_quotes(identify(replace(said, notes=[]), name).rows)
        if session is None:
            raise ChainFileError(f"{name} does not say when it was taken; give --as-of")
        said.as_of = end_of_quotes(session)
        said.notes.append(f"The file has no time; the close of {session} is inferred from its quotes.")
    return said.as_of


def _settle_spot(chain: OptionChain, said: Said, name: str) -> OptionChain:
    """A chain with a spot: the file's, or the one put-call parity implies."""
    if math.isfinite(chain.spot) and chain.spot > 0:
        middle = float(np.median(chain.strike))
        if not middle / 100 < chain.spot < middle * 100:
            raise ChainFileError(f"{name} has spot {chain.spot:g} beside strikes around {middle:g}; one is unreadable")
        return chain
    implied = parity_spot(chain)
    if implied is None or implied <= 0:
        raise ChainFileError(f"{name} does not say the price of {chain.underlying}, and has no quotes to infer it from")
    said.notes.append(f"Spot {implied:.2f} is inferred from put-call parity.")
    return replace(chain, spot=round(implied, 4))


def _without_unquoted_iv(chain: OptionChain) -> OptionChain:
    """Yahoo solves volatility on the mid; where there is no ask, its number means nothing."""
    empty = ~(chain.ask > 0)
    iv = np.where(empty, np.nan, chain.iv)
    return replace(chain, iv=iv, iv_source=np.where(empty, np.int8(0), chain.iv_source).astype(np.int8))

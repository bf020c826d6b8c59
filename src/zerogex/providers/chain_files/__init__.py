"""Chain files: Cboe quote tables and delayed-quote JSON, TD Ameritrade JSON, Yahoo and normalised tables."""

from __future__ import annotations

from zerogex.providers.chain_files.reader import read_chain, read_chain_file
from zerogex.providers.chain_files.said import ChainFile

__all__ = ["ChainFile", "read_chain", "read_chain_file"]

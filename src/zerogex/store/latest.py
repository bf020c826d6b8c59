"""The newest row of each followed contract: a mirror of its writer's memory.

The table is unlogged: a crash of the server empties it.  And a new writer knows nothing of the rows
its predecessor left.  In both cases the row of `underlying_latest` is not ours, and the next write
replaces the underlying's rows whole instead of only those that changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from zerogex.domain.chain import Bools, OptionChain
from zerogex.store import chain_rows
from zerogex.store.chain_rows import ChainRows
from zerogex.store.connections import Connection
from zerogex.store.minutes import read_rows, stage
from zerogex.store.notices import payload
from zerogex.store.sql import statement


def write_latest(connection: Connection, chain: OptionChain, changed: Bools, writer: str) -> ChainRows | None:
    """Upsert changed rows within the caller's transaction; None where the spot cannot be stored."""
    header = chain_rows.header_of(chain)
    if header is None:
        return None
    known = {"underlying": chain.underlying}
    found = connection.execute(statement("latest_writer"), known).fetchone()
    ours = found is not None and found[0] == writer
    rows = chain_rows.encode(chain.select(changed) if ours else chain)
    if not ours:
        connection.execute(statement("clear_latest"), known)
    named = {
        "underlying": chain.underlying,
        "as_of": header.as_of,
        "spot": header.spot,
        "spot_time": header.spot_time,
        "simulated": header.simulated,
        "delayed": header.delayed,
        "writer": writer,
    }
    connection.execute(statement("upsert_underlying_latest"), named)
    if rows.count:
        stage(connection, rows)
        connection.execute(statement("upsert_latest"), {"underlying": chain.underlying, "timestamp": header.as_of})
    connection.execute(statement("notify"), {"payload": payload("latest", chain.underlying)})
    return rows


def forget_latest(connection: Connection, underlying: str, symbols: Sequence[str]) -> None:
    """Remove contracts that are no longer followed."""
    connection.execute(statement("forget_latest"), {"underlying": underlying, "symbols": list(symbols)})


def read_latest(connection: Connection, underlying: str) -> OptionChain | None:
    """The newest row of each followed contract; header and rows of one instant."""
    with connection.transaction():
        connection.execute(statement("consistent_read"))
        found = connection.execute(statement("latest_header"), {"underlying": underlying}).fetchone()
        if found is None:
            return None
        return read_rows(
            connection, statement("latest_rows"), chain_rows.ChainHeader(*found), {"underlying": underlying}
        )

"""An ingest in a process of its own, for tests that kill it: prints a line for each minute the store acknowledged.

python ingest_process.py SIMULATOR_URL SPOOL DATABASE_JSON UNDERLYING…
"""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from zerogex.engines.ingest import IngestConfig, IngestEngine
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.clock import discover_clock
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Acknowledged(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "minute stored":
            say(f"stored {record.underlying} {record.minute.isoformat()} {record.contracts}")
        elif record.getMessage() in ("unfinished minute recovered", "ingest drained", "minute revised"):
            say(record.getMessage())


async def main(url: str, spool: str, database: str, *underlyings: str) -> None:
    clock = await discover_clock(url)
    store = PostgresStore(DatabaseConfig(**json.loads(database)), spool=Path(spool))
    market = TradeStation(TradeStationConfig("id", "secret", "token", api_url=url, auth_url=url), clock)
    config = IngestConfig(underlyings, expirations=1, strike_distance="10", latest_interval_s=0.25)
    engine = asyncio.ensure_future(IngestEngine(market, store, clock, config).run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, engine.cancel)
    try:
        await engine
    except asyncio.CancelledError:
        say("cancelled")
    finally:
        await market.aclose()
        store.close()


if __name__ == "__main__":
    logging.getLogger("zerogex").addHandler(Acknowledged())
    logging.getLogger("zerogex").setLevel(logging.INFO)
    asyncio.run(main(*sys.argv[1:]))

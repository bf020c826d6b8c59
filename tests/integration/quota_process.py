"""A process that asks for every strike list of some underlyings, counting its requests with others of the account.

python quota_process.py SIMULATOR_URL DATABASE_JSON UNDERLYING…
"""

import asyncio
import json
import sys

from zerogex.clock import SystemClock
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore


async def main(url: str, database: str, *underlyings: str) -> None:
    store = PostgresStore(DatabaseConfig(**json.loads(database)))
    account = TradeStationConfig("id", "secret", "token", api_url=url, auth_url=url, request_timeout_s=60.0)
    market = TradeStation(account, SystemClock(), store.request_quotas)
    try:
        listed = [(name, *key) for name in underlyings for key in await market.expirations(name)]
        await market.contracts(*listed[0])  # its answer announces the quota
        answers = await asyncio.gather(*(market.contracts(*one) for one in listed))
        again = await asyncio.gather(*(market.contracts(*one) for one in listed))  # the second time from memory
        assert again == answers
        sys.stdout.write(f"{len(listed)} {sum(map(bool, answers))}\n")
    finally:
        await market.aclose()
        store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

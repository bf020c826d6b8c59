"""Flow and history of a day on whole made-up days: seven of 8,000 contracts are 21.8 million rows of option_chains.

    python bench/whole_days.py --days 7 --keep ~/zerogex-days    # fills some 9 GB, in ten minutes or more
    python bench/whole_days.py --keep ~/zerogex-days             # measures again what was kept

The rows are those of `zerogex bench history`, which fills a small day; here with as many as you like.  The database is
an embedded one in a folder of its own, removed at the end unless you keep it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from zerogex.cli.benchmarks import history
from zerogex.cli.benchmarks.made_up_days import FIRST_DAY
from zerogex.store.connections import connect
from zerogex.store.embedded import EmbeddedServer


def main() -> None:
    """Fill where nothing was kept, measure the last day, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--contracts", type=int, default=8000)
    parser.add_argument("--minutes", type=int, default=390)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="folder of a database that stays")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="zerogex-days-") as folder,
        EmbeddedServer(asked.keep or Path(folder)) as server,
    ):
        config = server.config("days")
        with connect(config) as connection:
            filled = connection.execute("SELECT to_regclass('flow_totals') IS NOT NULL").fetchone() == (True,)
        if not filled:
            print(f"filling {asked.days} days of {asked.contracts} contracts …", file=sys.stderr)
            history.prepare(config, days=asked.days, contracts=asked.contracts, minutes=asked.minutes)
        with connect(config) as connection:
            found = connection.execute(
                "SELECT sum(contracts), count(DISTINCT option_day(timestamp)) FROM chain_minutes"
            )
            rows, days = found.fetchone() or (0, 1)
        note = f"{rows} rows of option_chains in {days} days"
        measured = history.rows(config, FIRST_DAY + timedelta(days=days - 1), note, asked.repetitions)
        json.dump([one.plain() for one in measured], sys.stdout, indent=2)
        sys.stdout.write("\n")
        server.stop(wait_s=60.0)


if __name__ == "__main__":
    main()

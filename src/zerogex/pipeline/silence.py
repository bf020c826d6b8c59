"""Which contracts fell silent in a stream that goes on: found by comparing two snapshots.

A quiet contract is nothing odd: most strikes are quoted anew only now and then.  It is silent when the market
says something new of it (a second snapshot differs from the first) and the stream said nothing in between.
Snapshots are compared with one another, never with the stream: the two spell some things differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from zerogex.domain.calendar import Session
from zerogex.domain.contract import OptionContract
from zerogex.domain.gap import DataGap, GapReason
from zerogex.domain.quote import OptionQuote

# Market seconds without a word after which a contract is looked at, and between two looks.  Closed: never.
QUIET_S: Mapping[Session, float] = {Session.REGULAR: 60.0, Session.PRE: 300.0, Session.POST: 300.0}
LOOKED_AT_MOST = 1000  # contracts of an underlying in one look: ten requests
NAMED_AT_MOST = 5  # silent contracts of an expiration that get gaps of their own; more are one gap

HeardAt = Callable[[OptionContract], float]  # when a contract was last heard of, seconds since the epoch
Said = tuple[float | None, float | None, float | None, int | None]


@dataclass(slots=True)
class _Watched:
    """A quiet contract: what the last snapshot said of it."""

    said: Said
    looked_at: float  # the stamp of that snapshot, which its row carries since
    since: float  # when the stream last spoke of it
    silent: bool = False


class SilenceWatch:
    """The quiet contracts of one underlying."""

    def __init__(self, bucket_seconds: int = 60) -> None:
        self.found = 0
        self._bucket_s = bucket_seconds
        self._watched: dict[OptionContract, _Watched] = {}

    def candidates(self, quiet: Sequence[tuple[OptionContract, float]], heard_at: HeardAt) -> list[OptionContract]:
        """What to take a snapshot of: the watched contracts, and those that are quiet now; the longest unseen first.

        `quiet` has each quiet contract with the time it was last heard of.
        """
        for contract in [c for c, one in self._watched.items() if heard_at(c) > one.looked_at]:
            del self._watched[contract]  # its stream spoke
        asked = {contract: one.looked_at for contract, one in self._watched.items()}
        asked |= {contract: since for contract, since in quiet if contract not in asked}
        return sorted(asked, key=asked.__getitem__)[:LOOKED_AT_MOST]

    def compare(self, quotes: Sequence[OptionQuote], heard_at: HeardAt) -> list[OptionContract]:
        """Take a snapshot in; the contracts of which it says something new though their stream did not."""
        changed = []
        for quote in quotes:
            contract, said = quote.contract, (quote.bid, quote.ask, quote.last, quote.volume)
            stamp, heard = quote.event_time.timestamp(), heard_at(quote.contract)
            known = self._watched.get(contract)
            if known is None or heard > known.looked_at:
                self._watched[contract] = _Watched(said, stamp, heard)
                continue
            if said != known.said:
                changed.append(contract)
            known.said, known.looked_at = said, stamp
        return changed

    def confirm(self, changed: Sequence[OptionContract], heard_at: HeardAt) -> list[OptionContract]:
        """Those of them that are still silent, a moment later: what was on its way has arrived by now."""
        silent = []
        for contract in changed:
            known = self._watched.get(contract)
            if known is not None and heard_at(contract) <= known.looked_at:
                self.found += not known.silent
                known.silent = True
                silent.append(contract)
        return silent

    def gaps(self, silent: Sequence[OptionContract], now: datetime) -> list[DataGap]:
        """What is to be declared of silent contracts: from the minute their stream last spoke of them to this one."""
        of_expiration: dict[str, list[OptionContract]] = {}
        for contract in silent:
            of_expiration.setdefault(f"{contract.root} {contract.expiration}", []).append(contract)
        found = []
        for subject, contracts in of_expiration.items():
            named = (
                {one.symbol: [one] for one in contracts} if len(contracts) <= NAMED_AT_MOST else {subject: contracts}
            )
            for name, members in named.items():
                since = min(self._watched[one].since for one in members)
                start = self._minute(datetime.fromtimestamp(since, now.tzinfo)) if since else self._minute(now)
                end = self._minute(now) + timedelta(seconds=self._bucket_s)
                found.append(DataGap("chains", start, end, GapReason.SILENT, name, len(members)))
        return found

    def _minute(self, instant: datetime) -> datetime:
        return datetime.fromtimestamp(int(instant.timestamp()) // self._bucket_s * self._bucket_s, instant.tzinfo)

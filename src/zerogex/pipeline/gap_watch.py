"""Which minutes of a running ingest are missing, or say nothing new: declared as they pass.

A minute is judged when the next one comes, because messages on their way may still complete it.
Neighbouring minutes with the same trouble are one gap, told again with a later end as it grows.
Only the regular session owes minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np

from zerogex.domain.calendar import Session, session_at, settlement
from zerogex.domain.chain import OptionChain
from zerogex.domain.contract import OptionContract
from zerogex.domain.gap import DataGap, GapReason
from zerogex.pipeline.gaps import MINUTE_S, missing_minutes

Subject = tuple[str, str]  # (root, expiration as ISO date)
_BARS_PATIENCE = timedelta(minutes=3)  # a bar may be this late before its minute is called missing
_TROUBLE_LASTS = timedelta(minutes=2)


class GapWatch:
    """Watches the minutes of one underlying go by."""

    def __init__(self, underlying: str, bucket_seconds: int = MINUTE_S) -> None:
        self.underlying = underlying
        self.bucket = timedelta(seconds=bucket_seconds)
        self._bucket_s = bucket_seconds
        self._chains_from: datetime | None = None  # the next minute that owes a chain
        self._bars_from: datetime | None = None
        self._began: datetime | None = None
        self._judged: tuple[datetime, OptionChain, Counter[Subject]] | None = None
        self._runs: dict[tuple[str, str, GapReason], DataGap] = {}
        self._noted: list[DataGap] = []
        self._troubles: dict[str, tuple[datetime, GapReason]] = {}

    def before(self, last_chain_end: datetime | None, recovered: datetime) -> list[DataGap]:
        """What died with a process between the last minute it stored and the one recovered from its checkpoint."""
        if last_chain_end is None:
            return []
        missing = missing_minutes([], last_chain_end, recovered, self._bucket_s)
        return [DataGap("chains", gap.start, gap.end, GapReason.STOPPED) for gap in missing]

    def begin(self, now: datetime, last_chain_end: datetime | None, last_bar_end: datetime | None) -> None:
        """Ingest begins; what was stored before ended there (None: nothing is stored, so nothing is missing)."""
        self._began = now
        self._chains_from = last_chain_end if last_chain_end is not None else self._floor(now)
        self._bars_from = last_bar_end if last_bar_end is not None else self._floor(now)

    def trouble(self, stream: str, at: datetime, reason: GapReason) -> None:
        """A stream of the feed has trouble: the reason of what is missing about now."""
        self._troubles[stream] = (at, reason)

    def note(self, gaps: Iterable[DataGap]) -> None:
        """Gaps that somebody else found, to be declared with the next minute."""
        self._noted += gaps

    def noted(self) -> list[DataGap]:
        """What was noted since this was last asked."""
        gaps, self._noted = self._noted, []
        return gaps

    def chain(self, timestamp: datetime, chain: OptionChain, followed: Iterable[OptionContract]) -> list[DataGap]:
        """A minute's chain, or a fuller reading of it: what is to be declared of the minutes before."""
        if self._judged is not None and timestamp <= self._judged[0]:
            if timestamp == self._judged[0]:
                self._judged = (timestamp, chain, self._judged[2])
            return []
        found = self.judge()
        if self._chains_from is not None:
            found += self._missing("chains", [], self._chains_from, timestamp)
        self._chains_from = timestamp + self.bucket
        live = Counter((c.root, c.expiration.isoformat()) for c in followed)
        self._judged = (timestamp, chain, live)
        return found

    def bars(self, until: datetime, is_known: Callable[[datetime], bool]) -> list[DataGap]:
        """The market's clock stands at `until`: which minutes have no bar though it had time to come."""
        first = self._bars_from
        last = self._floor(until - _BARS_PATIENCE)
        if first is None or last <= first:
            return []
        self._bars_from = last
        length = max(self.bucket, timedelta(seconds=MINUTE_S))
        stamps, at = [], first
        while at < last:
            if is_known(at):
                stamps.append(at)
            at += length
        return self._missing("bars", stamps, first, last)

    def judge(self) -> list[DataGap]:
        """What the newest minute lacks, now that it is complete."""
        if self._judged is None:
            return []
        timestamp, chain, followed = self._judged
        self._judged = None
        if session_at(timestamp) is not Session.REGULAR:
            return []
        spoke, known = _voices(chain, timestamp)
        silent = [subject for subject in known if subject not in spoke]
        found = []
        if silent and len(silent) == len(known):
            found.append(self._run("chains", "", timestamp, self._reason("", timestamp), 0))
        else:
            for subject in silent:
                name = " ".join(subject)
                found.append(self._run("chains", name, timestamp, self._reason(name, timestamp), 0))
        for subject, count in followed.items():
            if count > known[subject] and self._owes(subject, timestamp):
                unheard = count - known[subject]
                found.append(self._run("chains", " ".join(subject), timestamp, GapReason.UNHEARD, unheard))
        return found

    # -- inside ----------------------------------------------------------------------------------

    def _floor(self, instant: datetime) -> datetime:
        return datetime.fromtimestamp(int(instant.timestamp()) // self._bucket_s * self._bucket_s, UTC)

    def _missing(self, what: str, stored: list[datetime], first: datetime, last: datetime) -> list[DataGap]:
        """Regular minutes in [first, last) that are not stored, told apart by whether ingest was running."""
        found = []
        for gap in missing_minutes(stored, first, last, self._bucket_s if what == "chains" else MINUTE_S):
            began = self._floor(self._began) if self._began is not None else first
            if gap.start < began:
                found.append(DataGap(what, gap.start, min(gap.end, began), GapReason.STOPPED))
            if gap.end > began:
                start = max(gap.start, began)
                reason = self._reason("", start, self._paused(what, start, gap.end))
                found.append(DataGap(what, start, gap.end, reason))
        return found

    def _paused(self, what: str, start: datetime, end: datetime) -> GapReason:
        """Bars may fail to come; that a whole chain is missing although ingest runs means that it slept."""
        return GapReason.PAUSED if what == "chains" and end - start > self.bucket else GapReason.SILENT

    def _reason(self, subject: str, since: datetime, otherwise: GapReason = GapReason.SILENT) -> GapReason:
        heard = [
            (at, reason)
            for stream, (at, reason) in self._troubles.items()
            if subject in stream and at >= since - _TROUBLE_LASTS
        ]
        return max(heard)[1] if heard else otherwise

    def _run(self, what: str, subject: str, minute: datetime, reason: GapReason, contracts: int) -> DataGap:
        """A minute as a gap, joined to the run of its kind that ends where it begins."""
        key = (what, subject, reason)
        before = self._runs.get(key)
        start, most = minute, contracts
        if before is not None and before.ended_at == minute:
            start, most = before.started_at, max(contracts, before.contracts)
        gap = self._runs[key] = DataGap(what, start, minute + self.bucket, reason, subject, most)
        return gap

    def _owes(self, subject: Subject, minute: datetime) -> bool:
        """Whether contracts of an expiration still trade at the end of a minute's bucket."""
        return settlement(subject[0], date.fromisoformat(subject[1])) > minute


def _voices(chain: OptionChain, since: datetime) -> tuple[set[Subject], Counter[Subject]]:
    """(those that spoke from an instant on, all with their number of contracts), by root and expiration."""
    known: Counter[Subject] = Counter()
    spoke: set[Subject] = set()
    heard = chain.event_time >= since.timestamp()
    days = np.datetime_as_string(chain.expiration)
    for root, day, new in zip(chain.root.tolist(), days.tolist(), heard.tolist(), strict=True):
        known[root, day] += 1
        if new:
            spoke.add((root, day))
    return spoke, known

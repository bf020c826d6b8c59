"""What minutes are, said once more in sixty plain lines: the witness of zerogex.pipeline.minutes.

Everything is kept; nothing is incremental.  It shares no code with the pipeline.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


def reference_bars(bars, until):
    """{start: (open, high, low, close, up, down)} of the minutes over by `until`, volumes over the ET day."""
    readings = {}
    for bar in bars:
        rank = (
            (1, bar.received_time, bar.up_volume + bar.down_volume)
            if bar.closed
            else (0, bar.up_volume + bar.down_volume, bar.received_time)
        )
        rank = (*rank, bar.open, bar.high, bar.low, bar.close, bar.up_volume, bar.down_volume)
        if bar.start not in readings or rank > readings[bar.start][0]:
            readings[bar.start] = (rank, bar)
    out = {}
    for start, (_, bar) in readings.items():
        if start + timedelta(minutes=1) > until:
            continue
        day = start.astimezone(NEW_YORK).date()
        before = [b for s, (_, b) in readings.items() if s <= start and s.astimezone(NEW_YORK).date() == day]
        up, down = sum(b.up_volume for b in before), sum(b.down_volume for b in before)
        out[start] = (bar.open, bar.high, bar.low, bar.close, up, down)
    return out


def reference_options(quotes, contracts, minutes):
    """{(start, symbol): (bid, ask, last, volume, open_interest)} at the end of each minute of one option day."""
    ordered = sorted(quotes, key=lambda q: q.event_time)
    out = {}
    for start in minutes:
        for contract in contracts:
            bid = ask = last = None
            volume, open_interest, heard = 0, 0, False
            for quote in ordered:
                if quote.contract == contract and quote.event_time < start + timedelta(minutes=1):
                    heard = True
                    bid = quote.bid if quote.bid is not None else bid
                    ask = quote.ask if quote.ask is not None else ask
                    last = quote.last or last
                    open_interest = quote.open_interest or open_interest
                    volume = max(volume, quote.volume or 0)
            if heard:  # of a contract that never spoke nothing is known
                out[start, contract.symbol] = (bid, ask, last, volume, open_interest)
    return out

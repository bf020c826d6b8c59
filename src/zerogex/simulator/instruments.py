"""What is listed in the simulated market: names, anchor prices, ticks, option classes."""

from __future__ import annotations

from dataclasses import dataclass

TickRule = tuple[tuple[float, float], ...]  # (from this price, tick)

PENNY: TickRule = ((0.0, 0.01),)
PENNY_PILOT: TickRule = ((0.0, 0.01), (3.0, 0.05))
INDEX_RULE: TickRule = ((0.0, 0.05), (3.0, 0.10))


@dataclass(frozen=True, slots=True)
class OptionClass:
    """How an underlying's options are listed, sized and quoted."""

    roots: tuple[tuple[str, str], ...]  # (root, cycle): cycle is daily | weekly | monthly | vix | vixw
    ticks: TickRule
    strike_step: float  # dollars between strikes near the money, short tenors
    atm_iv: float  # of a calm day at one week
    long_iv: float  # where the term structure ends
    skew: float  # asymmetry of the smile's wings, -1…1; negative: puts dearer
    wing: float  # slope of the wings per unit of log-moneyness over sqrt(years)
    open_interest: float  # contracts of a busy monthly expiration
    day_volume: float  # contracts traded a day in the nearest expiration
    index: bool = False  # European exercise, index-option asset type


@dataclass(frozen=True, slots=True)
class Instrument:
    """One underlying.  `driver` names the random walk it follows: SPY and SPX share one."""

    symbol: str  # ours: SPX
    vendor: str  # TradeStation's: $SPX.X
    name: str
    exchange: str
    kind: str  # STOCK | INDEX
    driver: str
    anchor: float  # dollars at the close of ANCHOR_DAY
    volume: float  # shares a day; 0 for indices
    options: OptionClass | None
    dividend: float = 0.0  # continuous yield, per year


@dataclass(frozen=True, slots=True)
class Driver:
    """A random walk: annual volatility of a calm year and correlation with the market's."""

    volatility: float
    correlation: float
    growth: float = 0.08  # per year


DRIVERS = {
    "SPX": Driver(0.115, 1.0),
    "NDX": Driver(0.165, 0.93, 0.10),
    "RUT": Driver(0.185, 0.80, 0.05),
    "AAPL": Driver(0.24, 0.62, 0.08),
    "NVDA": Driver(0.36, 0.62, 0.15),
    "TSLA": Driver(0.46, 0.50, 0.05),
    "MSFT": Driver(0.22, 0.65, 0.10),
    "AMD": Driver(0.44, 0.55, 0.10),
    "VIX": Driver(0.60, 0.0, 0.0),
    "IRX": Driver(0.05, 0.0, 0.0),
}

_SPX_OPTIONS = OptionClass((("SPX", "monthly"), ("SPXW", "daily")), INDEX_RULE, 5.0, 0.100, 0.180, -0.12, 0.265,
                           1_600_000, 2_200_000, index=True)  # fmt: skip
_NDX_OPTIONS = OptionClass((("NDX", "monthly"), ("NDXP", "daily")), INDEX_RULE, 25.0, 0.145, 0.215, -0.10, 0.25,
                           30_000, 40_000, index=True)  # fmt: skip
_RUT_OPTIONS = OptionClass((("RUT", "monthly"), ("RUTW", "daily")), INDEX_RULE, 5.0, 0.165, 0.225, -0.10, 0.25,
                           120_000, 60_000, index=True)  # fmt: skip
_VIX_OPTIONS = OptionClass((("VIX", "vix"), ("VIXW", "vixw")), PENNY_PILOT, 0.5, 1.10, 0.60, 0.45, 0.30,
                           2_500_000, 250_000, index=True)  # fmt: skip


def _stock(symbol: str, name: str, exchange: str, anchor: float, volume: float, options: OptionClass,
           driver: str | None = None, dividend: float = 0.0) -> Instrument:  # fmt: skip
    return Instrument(symbol, symbol, name, exchange, "STOCK", driver or symbol, anchor, volume, options, dividend)


def _index(symbol: str, name: str, anchor: float, options: OptionClass | None, dividend: float = 0.0) -> Instrument:
    return Instrument(symbol, f"${symbol}.X", name, "INDEX", "INDEX", symbol, anchor, 0.0, options, dividend)


def _etf_options(root: str, atm: float, long: float, interest: float, volume: float) -> OptionClass:
    return OptionClass(((root, "daily"),), PENNY, 1.0, atm, long, -0.12, 0.265, interest, volume)


def _stock_options(root: str, step: float, atm: float, interest: float, volume: float) -> OptionClass:
    return OptionClass(((root, "weekly"),), PENNY_PILOT, step, atm, atm * 1.08, -0.04, 0.19, interest, volume)


INSTRUMENTS: dict[str, Instrument] = {
    one.symbol: one
    for one in (
        _stock("SPY", "SPDR S&P 500 ETF", "ARCX", 770.0, 62e6, _etf_options("SPY", 0.098, 0.175, 1.9e6, 3.2e6),
               "SPX", 0.011),
        _stock("QQQ", "Invesco QQQ Trust", "NASDAQ", 730.0, 42e6, _etf_options("QQQ", 0.140, 0.215, 1.1e6, 2.1e6),
               "NDX", 0.005),
        _stock("IWM", "iShares Russell 2000 ETF", "ARCX", 303.0, 30e6,
               _etf_options("IWM", 0.165, 0.225, 0.9e6, 0.5e6), "RUT", 0.010),
        _stock("AAPL", "Apple Inc", "NASDAQ", 317.0, 48e6, _stock_options("AAPL", 2.5, 0.24, 4e5, 5e5), None, 0.004),
        _stock("NVDA", "NVIDIA Corp", "NASDAQ", 218.0, 170e6, _stock_options("NVDA", 2.5, 0.38, 9e5, 1.3e6)),
        _stock("TSLA", "Tesla Inc", "NASDAQ", 393.0, 85e6, _stock_options("TSLA", 2.5, 0.48, 5e5, 1.5e6)),
        _stock("MSFT", "Microsoft Corp", "NASDAQ", 520.0, 22e6, _stock_options("MSFT", 2.5, 0.22, 3e5, 2e5), None,
               0.006),
        _stock("AMD", "Advanced Micro Devices Inc", "NASDAQ", 235.0, 45e6, _stock_options("AMD", 2.5, 0.46, 4e5, 3e5)),
        _index("SPX", "S&P 500 Index", 7715.0, _SPX_OPTIONS, 0.011),
        _index("NDX", "Nasdaq 100 Index", 30_020.0, _NDX_OPTIONS, 0.005),
        _index("RUT", "Russell 2000 Index", 3045.0, _RUT_OPTIONS, 0.010),
        _index("VIX", "CBOE Volatility Index", 15.5, _VIX_OPTIONS),
        _index("IRX", "13 Week Treasury Bill Yield", 3.60, None),
    )
}  # fmt: skip

# TradeStation's separate names for the dated series of an index: the same index, its other root.
SERIES = {"$SPXW.X": ("SPX", "SPXW"), "$NDXP.X": ("NDX", "NDXP")}
_BY_VENDOR = {one.vendor: one for one in INSTRUMENTS.values()}


def find(vendor_symbol: str) -> Instrument | None:
    """The underlying TradeStation would mean by a name (any case); None for unknown ones."""
    name = vendor_symbol.upper()
    if name in SERIES:
        return INSTRUMENTS[SERIES[name][0]]
    return _BY_VENDOR.get(name)


def roots_under(vendor_symbol: str, both: bool = False) -> tuple[str, ...]:
    """The option roots listed under a name: `$SPX.X` SPX, `$SPXW.X` SPXW, `$RUT.X` RUT and RUTW.

    `both` lets `$SPX.X` and `$NDX.X` list their dated series too.
    """
    name = vendor_symbol.upper()
    if name in SERIES:
        return (SERIES[name][1],)
    one = _BY_VENDOR[name]
    if one.options is None:
        return ()
    roots = tuple(root for root, _ in one.options.roots)
    apart = {root for _, root in SERIES.values()}
    return roots if both else tuple(root for root in roots if root not in apart)


def tick_of(rule: TickRule, price: float) -> float:
    """The smallest price step at a price."""
    return [tick for start, tick in rule if price >= start][-1]

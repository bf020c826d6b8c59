"""TradeStation, API version 3."""

from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.clock import discover_clock
from zerogex.providers.tradestation.config import TradeStationConfig

__all__ = ["TradeStation", "TradeStationConfig", "discover_clock"]

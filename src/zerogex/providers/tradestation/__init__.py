"""TradeStation, API version 3."""

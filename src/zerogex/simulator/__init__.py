"""A market that needs no account, served over the wire protocol of TradeStation."""

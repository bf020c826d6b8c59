"""ZeroGEX: where option dealers stand, and what their hedging will do to the price."""

__version__ = "0.1.0"

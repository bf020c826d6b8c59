"""A market that needs no account, served over the wire protocol of TradeStation."""

from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.faults import Faults
from zerogex.simulator.market import Market
from zerogex.simulator.server import Simulator

__all__ = ["Faults", "Market", "Simulator", "SimulatorConfig"]

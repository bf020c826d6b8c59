"""What a simulator is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from zerogex.domain.chain import OptionChain
from zerogex.simulator.faults import Faults


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Where the simulator listens, which market it shows, how fast, and how it misbehaves.

    Rates are per real second whatever the speed, so that a fast market does not flood; bars still
    close at every simulated minute.
    """

    host: str = "127.0.0.1"
    port: int = 31022  # 0: any free port
    listen_fd: int | None = None  # a listening socket inherited from whoever started us; then host and port are its
    seed: int = 7
    start: datetime | None = None  # market time at start; None: the chain file's session, or the newest one
    speed: float = 1.0  # market seconds per real second
    chains: Sequence[OptionChain] = ()  # real chains to seed underlyings from
    faults: Faults = field(default_factory=Faults)
    strict: bool = False  # accept only these credentials; otherwise any
    client_id: str = "simulator"
    client_secret: str = "simulator"
    refresh_token: str = "simulator"
    chain_objects_per_s: float = 400.0  # at most, of each chain stream, after the first picture
    quote_objects_per_s: float = 200.0  # at most, of each quote stream
    depth_objects_per_s: float = 4.0
    turn_s: float = 0.25  # how often a stream looks at the market
    heartbeat_s: float = 5.0  # of silence before a heartbeat

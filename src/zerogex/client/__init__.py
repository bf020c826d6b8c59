"""A Python client of a ZeroGEX server, its own or another machine's.

from zerogex.client import Client

with Client("http://127.0.0.1:8642") as client:
    print(client.summary("SPY")["net_gex"])
    frame = client.strikes("SPY", expirations="0dte").to_polars()
    async for update in client.live("SPY"): ...
"""

from zerogex.client.errors import ApiError, ServerUnreachable
from zerogex.client.http import Client, Payload
from zerogex.client.live import Update

__all__ = ["ApiError", "Client", "Payload", "ServerUnreachable", "Update"]

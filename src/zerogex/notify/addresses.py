"""Where a message may be sent: a public address, unless the operator opened the local network.

The name is resolved once, every address it has is looked at, and the connection goes to the one that was looked at:
a name that answers differently a second later changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from zerogex.errors import ChannelError

RESOLVE_TIMEOUT_S = 5.0


async def resolved(host: str, port: int, *, allow_lan: bool) -> str:
    """An address of the host that may be connected to.

    Raises ChannelError where the name has none, or any to which `may_be_reached` says no.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ChannelError(f"the name {host} was not resolved in {RESOLVE_TIMEOUT_S:g} s") from None
    except (OSError, UnicodeError) as error:
        raise ChannelError(f"the name {host} is not known ({error})") from None
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    for address in addresses:
        if not may_be_reached(address, allow_lan=allow_lan):
            hint = "" if allow_lan else "; set ALERT_ALLOW_LAN=true if it is meant to be"
            raise ChannelError(f"{host} is at {address}, which is not a public address{hint}")
    return addresses[0]


def may_be_reached(address: str, *, allow_lan: bool) -> bool:
    """Whether messages may go to an address: public, or with `allow_lan` private and loopback ones too.

    Link-local addresses, where clouds keep their secrets, and those of no single machine are never.
    """
    ip = ipaddress.ip_address(address)
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if inner is not None:
        return may_be_reached(str(inner), allow_lan=allow_lan)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or (ip.is_reserved and not ip.is_loopback):
        return False
    return ip.is_global or (allow_lan and (ip.is_private or ip.is_loopback))

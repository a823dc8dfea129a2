"""Where a message may be sent: not into the server's own network, unless the operator allows it.

Whoever manages an organisation may add a webhook. On a server that several organisations share
they must not reach, through it, what only the server can reach. So private, loopback and
link-local addresses are refused, except in the networks that the setting ``alert_networks`` names
(docs/decisions/0015).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from kilowatch.model.errors import KilowatchError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return networks written as CIDR.

    Raises:
        ValueError: One is not a network.
    """
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Tell whether messages may go to an address."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    if any(address in network for network in networks if network.version == address.version):
        return True
    return address.is_global and not address.is_multicast


def resolve(host: str, networks: Sequence[Network]) -> str:
    """Return an address of a host to connect to, having checked every one that it has.

    Args:
        host: A name or an address.
        networks: Private networks that may be reached.

    Raises:
        KilowatchError: ``address_refused``, one of its addresses is not public; or
            ``address_unknown``, the name has none (a retry helps).
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise KilowatchError(
            "address_unknown",
            f"The name {host} has no address.",
            remedy="Check the spelling.",
            retry_helps=True,
            data={"field": "address"},
        ) from None
    texts = [str(entry[4][0]).partition("%")[0] for entry in found]
    for text in texts:
        if not allowed(ipaddress.ip_address(text), networks):
            raise KilowatchError(
                "address_refused",
                f"{host} is not a public address.",
                status=403,
                remedy="Whoever runs this server can allow its network: setting alert_networks.",
                data={"field": "address"},
            )
    return texts[0]

"""Network addresses as those are counted who guess."""

from __future__ import annotations

import ipaddress


def network_of(address: str) -> str:
    """Return what an address counts as: itself, or the /64 network of an IPv6 address.

    Example:
        >>> network_of("192.0.2.1"), network_of("2001:db8::1"), network_of("::ffff:192.0.2.1")
        ('192.0.2.1', '2001:db8::/64', '192.0.2.1')
    """
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.split("%", 1)[0])
    except ValueError:
        return address
    # Whoever has one IPv6 address has the 2**64 of its network.
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))

"""Whether a request is secure: asked before anything else, and answered by who stands before us."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from kilowatch.collector.routes import Head
from kilowatch.collector.settings import Environment
from kilowatch.model.errors import KilowatchError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Doorkeeper:
    """Decides from connection and proxy headers.

    Args:
        environment: Production takes nothing over plain HTTP; development takes it from
            this machine only.
        proxies: Networks (CIDR) of proxies whose ``X-Forwarded-Proto`` is believed.

    Raises:
        KilowatchError: ``wrong_setting`` if a network is not one.
    """

    def __init__(self, environment: Environment, proxies: Sequence[str]) -> None:
        self._production = environment == "production"
        self._proxies: list[Network] = []
        for text in proxies:
            try:
                self._proxies.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise KilowatchError(
                    "wrong_setting",
                    f"trusted_proxies names {text!r}, which is not a network.",
                    remedy="Write networks like 10.0.0.0/8 or single addresses.",
                ) from None

    def is_proxy(self, address: str) -> bool:
        """Tell whether a peer is one of the operator's proxies."""
        return bool(self._proxies) and self._listed(address)

    def _listed(self, address: str) -> bool:
        ip = _ip(address)
        return ip is not None and any(ip in network for network in self._proxies)

    def direct(self, address: str, *, tls: bool) -> bool:
        """Tell whether a peer that is no proxy may speak to us over this connection."""
        if tls:
            return True
        if self._production:
            return False
        ip = _ip(address)
        return ip is not None and ip.is_loopback

    @staticmethod
    def forwarded(head: Head) -> bool:
        """Tell whether a proxy's client came over TLS; every hop must have been secure."""
        hops = [hop.strip().lower() for hop in (head.forwarded_proto or b"").split(b",")]
        return all(hop == b"https" for hop in hops)

    def client(self, address: str, head: Head) -> str:
        """Return the address of the client behind our proxies, for slowing down guesses."""
        if head.forwarded_for is None:
            return address
        for hop in reversed(head.forwarded_for.decode("latin-1").split(",")):
            if _ip(hop.strip()) is None:
                break
            address = hop.strip()
            if not self._listed(address):
                break
        return address

    def refusal(self, https_url: str) -> KilowatchError:
        """Return the 403 that says why and where to go instead."""
        if self._production:
            detail = "This server takes packets over HTTPS only."
        else:
            detail = "The development environment takes plain HTTP from this machine only."
        return KilowatchError(
            "not_secure",
            f"{detail} What was sent may have been read on its way.",
            status=403,
            remedy=f"Push to {https_url} and change the password if one was sent.",
            data={"https": https_url},
        )


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 peers as ::ffff:10.0.0.1; lists name them as IPv4.
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip

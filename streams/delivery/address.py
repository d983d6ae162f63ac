"""Which network addresses a target may have (reliability S13). Pure: the address that is checked is the one connected to.

The law: only public unicast addresses, and what the target's `allow.networks` names. Addresses that carry another one
inside are judged by the one inside, so that no spelling of 127.0.0.1 gets through.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from schemas.target import Network

# Listed here, because what the standard library calls global changes with its version (IANA special-purpose registries).
NOT_PUBLIC: dict[str, str] = {
    "0.0.0.0/8": "this host",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "for examples",
    "192.88.99.0/24": "a relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for measurements",
    "198.51.100.0/24": "for examples",
    "203.0.113.0/24": "for examples",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/128": "this host",
    "::1/128": "loopback",
    "2001::/23": "a tunnel",  # Teredo among others
    "2001:db8::/32": "for examples",
    "3fff::/20": "for examples",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
PUBLIC_V6 = IPv6Network("2000::/3")  # all else is no address of the internet, known or not
NAT64 = IPv6Network("64:ff9b::/96")  # how hosts with IPv6 only reach IPv4
_NOT_PUBLIC: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(text), kind) for text, kind in NOT_PUBLIC.items()
)
_V4 = 0xFFFF_FFFF


def refusal(address: str, allowed: tuple[Network, ...]) -> str | None:
    """Why nothing is sent to this address; None when it may be connected to."""
    try:
        told = ip_address(address.partition("%")[0])  # a zone is link-local's
    except ValueError:
        return f"{address!r} is no address"
    inner = _inner(told)
    kind = _kind(inner)
    if kind is None or any(inner in network for network in allowed):  # False where the versions differ
        return None
    return f"{told} is not public ({kind}): allow.networks of the target may name its network"


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside of a mapped, NAT64 or 6to4 one; else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    return IPv4Address(int(address) & _V4) if address in NAT64 else address


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    """What it is, when it is not public."""
    for network, kind in _NOT_PUBLIC:
        if address in network:
            return kind
    return None if isinstance(address, IPv4Address) or address in PUBLIC_V6 else "reserved"

"""``host:port`` strings, as users write them in ``bootstrap_servers``.

Owns no task and no future.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

DEFAULT_KAFKA_PORT = 9092

Host = tuple[str, int, socket.AddressFamily]


def get_ip_port_afi(host_and_port_str: str) -> Host:
    """Split ``host``, ``host:port``, ``[ipv6]``, ``[ipv6]:port`` or a bare IPv6 address.

    Returns:
        ``(host, port, address family)``; the family is ``AF_UNSPEC`` for a name that still
        has to be resolved and the port 9092 when none is given.

    Raises:
        ValueError: the port is not a number.
    """
    text = host_and_port_str.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = _port(rest[1:], text) if rest.startswith(":") else DEFAULT_KAFKA_PORT
        return host, port, socket.AF_INET6
    if text.count(":") > 1:
        # More than one colon without brackets can only be a bare IPv6 address.
        return text, DEFAULT_KAFKA_PORT, socket.AF_INET6
    host, _, port_text = text.partition(":")
    return host, _port(port_text, text) if port_text else DEFAULT_KAFKA_PORT, family_of(host)


def _port(text: str, whole: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    # The system's resolver takes larger numbers, too, and gives some other port.
    if not 0 <= port <= 65535:
        raise ValueError(f"`bootstrap_servers`: {whole!r} has no valid port")
    return port


def family_of(host: str) -> socket.AddressFamily:
    """The address family of a literal address, ``AF_UNSPEC`` for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family
    return socket.AF_UNSPEC


def parse_hosts(hosts: str | Sequence[str]) -> list[Host]:
    """All hosts of a comma-separated string or a sequence of strings, in the given order."""
    items = hosts.split(",") if isinstance(hosts, str) else hosts
    return [get_ip_port_afi(item) for item in items if item.strip()]

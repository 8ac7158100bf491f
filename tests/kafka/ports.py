"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket

# Below the range that operating systems take the ports of outgoing connections from: a broker
# that is down for a while finds its port still free when it comes back.
_FIRST, _LAST = 20_000, 32_000
_handed_out: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, not handed out before by this process."""
    rng = random.SystemRandom()
    for _ in range(1000):
        port = rng.randrange(_FIRST, _LAST)
        if port in _handed_out:
            continue
        with socket.socket() as sock:
            # As the JVM does, so that connections in TIME_WAIT do not make a port look taken.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise RuntimeError("no free port found on 127.0.0.1")

"""From which version on a throttle time is the client's to wait out (KIP-219).

Before it, the broker holds its answer back until the time has passed; waiting again would
throttle twice.  From it on, the broker answers at once and stops reading from the connection.
"""

from __future__ import annotations

#: API key to the first such version, from the comments of the message definitions
#: ("starting in version N, on quota violation brokers send out responses before throttling").
_FIRST_VERSION = {
    0: 6,
    1: 8,
    2: 3,
    3: 6,
    8: 4,
    9: 4,
    10: 2,
    11: 3,
    12: 2,
    13: 2,
    14: 2,
    15: 2,
    16: 2,
    18: 2,
    19: 3,
    20: 2,
    23: 2,
    32: 2,
}

#: The other APIs that are older than the change have it in version 1, newer ones from the start.
_LAST_OLDER_API = 42


def client_waits(api_key: int, api_version: int) -> bool:
    """Whether the throttle time in this answer still lies ahead."""
    first = _FIRST_VERSION.get(api_key)
    if first is None:
        first = 1 if api_key <= _LAST_OLDER_API else 0
    return api_version >= first

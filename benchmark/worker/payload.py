"""Messages to send, the same for every contender: made before the clock starts.

Half of a value is text that repeats and half is random hexadecimal, so that codecs have
something to do and something to gain (about two to one), as with JSON events.
"""

from __future__ import annotations

import random

#: Distinct messages.  Also the number a pattern sends between two looks at the clock: half of
#: the default window.
POOL = 10_000
_TEMPLATE = b'{"user":"someone","event":"page_view","locale":"en_GB","path":"/index","id":"'
_DISTINCT_KEYS = 1_000


def values(size: int, count: int = POOL) -> list[bytes]:
    """``count`` values of ``size`` bytes, equal in every process."""
    rng = random.Random(20_240_611)
    template = (_TEMPLATE * (size // len(_TEMPLATE) + 1))[: size // 2]
    noise = size - len(template)
    return [template + rng.randbytes(noise // 2 + 1).hex().encode()[:noise] for _ in range(count)]


def keys(count: int = POOL) -> list[bytes]:
    """``count`` keys, 1,000 of them distinct."""
    return [b"key-%08d" % (i * 7919 % _DISTINCT_KEYS) for i in range(count)]

"""API versions that brokers of some Kafka releases advertise.

Kafka 4.x ranges are those of the message definitions in its ``kafka-clients`` jar; brokers list
Produce from version 0 although they refuse 0-2 (KAFKA-18659).

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codec import api_key_of

__all__ = ["RELEASES", "VersionRanges", "limited", "refuses_old_produce", "release_versions"]

VersionRanges = Mapping[int, tuple[int, int]]

#: Releases whose brokers refuse Produce 0-2.
_REFUSES_OLD_PRODUCE = ("4.0", "4.1", "4.3")

_OLD_0_11: VersionRanges = {
    0: (0, 3),
    1: (0, 5),
    2: (0, 2),
    3: (0, 4),
    8: (0, 3),
    9: (0, 3),
    10: (0, 1),
    11: (0, 2),
    12: (0, 1),
    13: (0, 1),
    14: (0, 1),
    15: (0, 1),
    16: (0, 1),
    17: (0, 0),
    18: (0, 1),
    19: (0, 2),
    20: (0, 1),
    21: (0, 0),
    22: (0, 0),
    23: (0, 0),
    24: (0, 0),
    25: (0, 0),
    26: (0, 0),
    28: (0, 0),
    32: (0, 0),
    33: (0, 0),
}

_V2_0: VersionRanges = {
    **_OLD_0_11,
    0: (0, 6),
    1: (0, 8),
    2: (0, 3),
    3: (0, 6),
    8: (0, 4),
    9: (0, 4),
    10: (0, 2),
    11: (0, 3),
    12: (0, 2),
    13: (0, 2),
    14: (0, 2),
    17: (0, 1),
    18: (0, 2),
    19: (0, 3),
    20: (0, 3),
    22: (0, 1),
    23: (0, 1),
    24: (0, 1),
    25: (0, 1),
    26: (0, 1),
    28: (0, 1),
    32: (0, 2),
    33: (0, 1),
    36: (0, 0),
    37: (0, 1),
    42: (0, 1),
}

_V2_8: VersionRanges = {
    **_V2_0,
    0: (0, 9),
    1: (0, 12),
    2: (0, 6),
    3: (0, 11),
    8: (0, 8),
    9: (0, 7),
    10: (0, 3),
    11: (0, 7),
    12: (0, 4),
    13: (0, 4),
    14: (0, 5),
    18: (0, 3),
    19: (0, 7),
    20: (0, 6),
    22: (0, 4),
    23: (0, 4),
    24: (0, 3),
    25: (0, 3),
    26: (0, 3),
    28: (0, 3),
    32: (0, 4),
    33: (0, 2),
    36: (0, 2),
    42: (0, 2),
    44: (0, 1),
    47: (0, 0),
}

_V4_0: VersionRanges = {
    0: (0, 12),
    1: (4, 17),
    2: (1, 10),
    3: (0, 13),
    8: (2, 9),
    9: (1, 9),
    10: (0, 6),
    11: (0, 9),
    12: (0, 4),
    13: (0, 5),
    14: (0, 5),
    15: (0, 6),
    16: (0, 5),
    17: (0, 1),
    18: (0, 4),
    19: (2, 7),
    20: (1, 6),
    21: (0, 2),
    22: (0, 5),
    23: (2, 4),
    24: (0, 5),
    25: (0, 4),
    26: (0, 5),
    28: (0, 5),
    32: (1, 4),
    33: (0, 2),
    36: (0, 2),
    37: (0, 3),
    42: (0, 2),
    44: (0, 1),
    47: (0, 0),
}

_V4_1: VersionRanges = {**_V4_0, 0: (0, 13), 1: (4, 18), 2: (1, 11), 8: (2, 10), 9: (1, 10)}

#: Ranges by release, oldest first.
RELEASES: Mapping[str, VersionRanges] = {
    "0.11": _OLD_0_11,
    "2.0": _V2_0,
    "2.8": _V2_8,
    "4.0": _V4_0,
    "4.1": _V4_1,
    "4.3": _V4_1,
}


def release_versions(release: str) -> dict[int, tuple[int, int]]:
    """What a broker of ``release`` advertises; `ValueError` for a release not in the table."""
    try:
        return dict(RELEASES[release])
    except KeyError:
        known = ", ".join(RELEASES)
        raise ValueError(f"unknown release {release!r}; known: {known}") from None


def limited(
    ranges: dict[int, tuple[int, int]], limits: Mapping[Any, tuple[int, int] | None]
) -> dict[int, tuple[int, int]]:
    """``ranges`` with some replaced, by API key or name; ``None`` takes an API away."""
    for api, limit in limits.items():
        key = api_key_of(api)
        if limit is None:
            ranges.pop(key, None)
        else:
            ranges[key] = limit
    return ranges


def refuses_old_produce(release: str) -> bool:
    """Whether brokers of ``release`` refuse the Produce versions 0-2 that they advertise."""
    return release in _REFUSES_OLD_PRODUCE

"""What a broker can do, and which of it this client uses.

Pure functions over the answer to ApiVersions; no state.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka._values import Value
from aiokafka.protocol._versions import usable

API_VERSIONS = 18

VersionRange = tuple[int, int]


class Negotiated(Value):
    """The outcome of ApiVersions on one connection."""

    #: API key to the lowest and highest version both sides can use.
    versions: dict[int, VersionRange]
    #: Finalized feature to its highest level (KIP-584), such as ``transaction.version``.
    finalized_features: dict[str, int]


def usable_versions(advertised: Mapping[int, VersionRange]) -> dict[int, VersionRange]:
    """Cut the broker's ranges down to what this client uses of them.

    An API of which the two have no version in common is left out, so that using it reports
    a broker that is too old or too new instead of sending what it cannot read.
    """
    ranges = ((key, usable(key, low, high)) for key, (low, high) in advertised.items())
    return {key: (low, high) for key, (low, high) in ranges if low <= high}


def retry_version(advertised: Mapping[int, VersionRange], sent: int) -> int:
    """Which version of ApiVersions to try after *sent* was refused (KIP-511).

    Newer brokers name their range in the refusal; older ones name nothing, and understand 0.
    """
    low, high = advertised.get(API_VERSIONS, (0, 0))
    return max(low, min(high, sent - 1), 0)

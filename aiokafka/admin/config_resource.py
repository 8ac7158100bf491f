"""What has a configuration, and how its settings are named."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class ConfigResourceType(IntEnum):
    """Kinds of resources that have a configuration.

    .. versionchanged:: 0.14.1
        ``BROKER_LOGGER`` (KIP-412), ``CLIENT_METRICS`` (KIP-714), ``GROUP`` (KIP-848).
    """

    BROKER = 4
    TOPIC = 2
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigResource:
    """A resource whose configuration is to be described or altered.

    Parameters:
        resource_type: a :class:`ConfigResourceType`, or its name in any case.
        name: the topic, or the node id of the broker as a string; ``""`` is the default of all
            brokers.
        configs: settings by name, for ``alter_configs``; for ``describe_configs`` the names
            wanted (any collection of them), None for all.
    """

    def __init__(
        self,
        resource_type: ConfigResourceType | str,
        name: str,
        configs: Mapping[str, str | None] | None = None,
    ) -> None:
        if not isinstance(resource_type, ConfigResourceType):
            resource_type = ConfigResourceType[str(resource_type).upper()]
        self.resource_type = resource_type
        self.name = name
        self.configs = configs

    def __repr__(self) -> str:
        return f"ConfigResource({self.resource_type.name}, {self.name!r}, {self.configs!r})"

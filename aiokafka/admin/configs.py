"""Configurations, setting by setting (KIP-226, KIP-339).

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from aiokafka.admin.config_resource import ConfigResourceType


class ConfigTarget(NamedTuple):
    """A resource that has a configuration.

    Parameters:
        resource_type: its kind.
        name: the topic, or the node id of the broker as a string; ``""`` is the default of all
            brokers.

    .. versionadded:: 0.14.1
    """

    resource_type: ConfigResourceType
    name: str


class ConfigOperation(IntEnum):
    """What happens to a setting; ``APPEND`` and ``SUBTRACT`` are for lists."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A change of one setting.

    Parameters:
        name: the setting.
        value: the new value, or what is appended or subtracted; None to go back to the default.
        operation: what happens.

    .. versionadded:: 0.14.1
    """

    name: str
    value: str | None
    operation: ConfigOperation = ConfigOperation.SET

    def row(self) -> tuple[object, ...]:
        """As requests have it."""
        resets = self.value is None and self.operation is ConfigOperation.SET
        operation = ConfigOperation.DELETE if resets else self.operation
        return self.name, int(operation), self.value


class ConfigSource(IntEnum):
    """Where the value of a setting comes from."""

    UNKNOWN = 0
    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    DYNAMIC_BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8

    @classmethod
    def _missing_(cls, value: object) -> ConfigSource:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class ConfigSynonym:
    """Another place where the setting is given, under that name."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A setting.

    Attributes:
        name: its name.
        value: its value; None when it has none, or is secret.
        source: where the value comes from.
        read_only: it cannot be altered.
        is_sensitive: it is secret, such as a password.
        synonyms: all places where it is given, the one that counts first, if asked for.
        documentation: what it means, if asked for and known.

    .. versionadded:: 0.14.1
    """

    name: str
    value: str | None
    source: ConfigSource
    read_only: bool
    is_sensitive: bool
    synonyms: tuple[ConfigSynonym, ...] = ()
    documentation: str | None = None

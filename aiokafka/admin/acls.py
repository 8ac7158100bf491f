"""Access control lists: what is allowed or denied to whom (KIP-140, KIP-290).

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class AclResourceType(IntEnum):
    """Kinds of resources that access is given to; ``ANY`` only in filters."""

    UNKNOWN = 0
    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class AclPatternType(IntEnum):
    """What the name of a resource stands for.

    In filters only: ``ANY`` does not care, ``MATCH`` is every pattern that has an effect on the
    resource of that name.
    """

    UNKNOWN = 0
    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class AclOperation(IntEnum):
    """What is done with a resource; ``ANY`` only in filters."""

    UNKNOWN = 0
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15

    @classmethod
    def _missing_(cls, value: object) -> AclOperation:
        return cls.UNKNOWN


class AclPermissionType(IntEnum):
    """Whether it is allowed; ``ANY`` only in filters."""

    UNKNOWN = 0
    ANY = 1
    DENY = 2
    ALLOW = 3


@dataclass(frozen=True, slots=True)
class AclBinding:
    """One entry: who may, or may not, do something with a resource.

    Parameters:
        resource_type: kind of the resource.
        resource_name: its name; ``"*"`` is every resource, ``"kafka-cluster"`` the cluster.
        principal: who, such as ``"User:alice"``; ``"User:*"`` is everybody.
        operation: what.
        permission_type: allowed or denied.
        host: from which address; ``"*"``: from any.
        pattern_type: whether the name is the resource's, or a prefix of it.

    .. versionadded:: 0.14.1
    """

    resource_type: AclResourceType
    resource_name: str
    principal: str
    operation: AclOperation
    permission_type: AclPermissionType = AclPermissionType.ALLOW
    host: str = "*"
    pattern_type: AclPatternType = AclPatternType.LITERAL

    def row(self) -> tuple[object, ...]:
        """As requests have it."""
        return (
            int(self.resource_type),
            self.resource_name,
            int(self.pattern_type),
            self.principal,
            self.host,
            int(self.operation),
            int(self.permission_type),
        )


@dataclass(frozen=True, slots=True)
class AclFilter:
    """Which entries are meant; by default all.

    Parameters:
        resource_type, operation, permission_type, pattern_type: ``ANY`` does not care.
        resource_name, principal, host: None does not care.

    .. versionadded:: 0.14.1
    """

    resource_type: AclResourceType = AclResourceType.ANY
    resource_name: str | None = None
    principal: str | None = None
    operation: AclOperation = AclOperation.ANY
    permission_type: AclPermissionType = AclPermissionType.ANY
    host: str | None = None
    pattern_type: AclPatternType = AclPatternType.ANY

    def row(self) -> tuple[object, ...]:
        """As requests have it."""
        return (
            int(self.resource_type),
            self.resource_name,
            int(self.pattern_type),
            self.principal,
            self.host,
            int(self.operation),
            int(self.permission_type),
        )


def allowed(bits: int) -> frozenset[AclOperation] | None:
    """The operations that a broker says this client may perform (KIP-430); None: it does not."""
    if bits == -(2**31):
        return None
    found = {operation for operation in AclOperation if bits >> operation & 1}
    return frozenset(found - {AclOperation.UNKNOWN})

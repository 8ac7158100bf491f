"""Calls about access control lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin.acls import (
    AclBinding,
    AclFilter,
    AclOperation,
    AclPatternType,
    AclPermissionType,
    AclResourceType,
)
from aiokafka.admin.results import Results
from aiokafka.protocol.admin import (
    CreateAclEntriesRequest,
    DeleteAclEntriesRequest,
    DescribeAclsRequest,
)


class AclCalls(AdminBase):
    """Describing, creating and deleting entries of access control lists."""

    async def describe_acls(
        self, acl_filter: AclFilter | None = None, *, timeout_ms: int | None = None
    ) -> list[AclBinding]:
        """The entries that match a filter.

        Parameters:
            acl_filter: None: all entries.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            SecurityDisabled: the brokers have no authorizer.
            ClusterAuthorizationFailedError: this client may not see them.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.

        .. versionadded:: 0.14.1
        """
        row: tuple[Any, ...] = (acl_filter or AclFilter()).row()

        async def describe(call: AdminCall) -> list[AclBinding]:
            response = await call.answer(lambda: call.ask_any(DescribeAclsRequest(*row)))
            return [
                _binding(resource, entry)
                for resource in response["resources"]
                for entry in resource["acls"]
            ]

        return await self._call("Describing access control lists", timeout_ms, describe)

    async def create_acls(
        self, bindings: Iterable[AclBinding], *, timeout_ms: int | None = None
    ) -> Results[AclBinding, None]:
        """Create entries; one that exists is no error.

        Parameters:
            bindings: the entries.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each entry, such as ``SecurityDisabled`` without an authorizer.

        Raises:
            KafkaTimeoutError: none was created in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def create(call: AdminCall) -> Results[AclBinding, None]:
            def read(response: Any, asked: list[AclBinding]) -> Iterator[Answer[AclBinding, None]]:
                for binding, row in zip(asked, response["creation_responses"], strict=False):
                    yield binding, row["error_code"], row["error_message"], None

            return await call.each_answered(
                bindings,
                lambda left: call.send_to_controller(
                    CreateAclEntriesRequest([binding.row() for binding in left])
                ),
                read,
            )

        return await self._call("Creating access control lists", timeout_ms, create)

    async def delete_acls(
        self, acl_filters: Iterable[AclFilter], *, timeout_ms: int | None = None
    ) -> Results[AclFilter, list[AclBinding]]:
        """Delete the entries that match filters.

        Parameters:
            acl_filters: which.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The entries that were deleted, by filter.

        Raises:
            KafkaTimeoutError: none was deleted in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def delete(call: AdminCall) -> Results[AclFilter, list[AclBinding]]:
            def read(
                response: Any, asked: list[AclFilter]
            ) -> Iterator[Answer[AclFilter, list[AclBinding]]]:
                for acl_filter, row in zip(asked, response["filter_responses"], strict=False):
                    matching = row["matching_acls"]
                    failed = next((entry for entry in matching if entry["error_code"]), row)
                    deleted = [_binding(entry, entry) for entry in matching]
                    yield acl_filter, failed["error_code"], failed["error_message"], deleted

            return await call.each_answered(
                acl_filters,
                lambda left: call.send_to_controller(
                    DeleteAclEntriesRequest([acl_filter.row() for acl_filter in left])
                ),
                read,
            )

        return await self._call("Deleting access control lists", timeout_ms, delete)


def _binding(resource: dict[str, Any], entry: dict[str, Any]) -> AclBinding:
    return AclBinding(
        AclResourceType(resource["resource_type"]),
        resource["resource_name"],
        entry["principal"],
        AclOperation(entry["operation"]),
        AclPermissionType(entry["permission_type"]),
        entry["host"],
        # Before version 1 every name was literal.
        AclPatternType(resource.get("resource_pattern_type", AclPatternType.LITERAL)),
    )

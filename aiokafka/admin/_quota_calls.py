"""Calls about quotas of clients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin.quotas import QuotaEntity, QuotaFilter
from aiokafka.admin.results import Results
from aiokafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

# The protocol wants a number even where the quota goes.
_NO_VALUE = 0.0


class QuotaCalls(AdminBase):
    """Describing and changing quotas."""

    async def describe_client_quotas(
        self,
        filters: Iterable[QuotaFilter] = (),
        strict: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> dict[QuotaEntity, dict[str, float]]:
        """The quotas of the entities that match all filters.

        Parameters:
            filters: conditions; without any, all quotas.
            strict: leave out entities with parts that no filter is about.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            By entity: ``producer_byte_rate`` and ``consumer_byte_rate`` in bytes a second,
            ``request_percentage``, ``controller_mutation_rate``, ``connection_creation_rate``.

        Raises:
            ClusterAuthorizationFailedError: this client may not see them.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        components = [(f.entity_type, int(f.match), f.name) for f in filters]

        async def describe(call: AdminCall) -> dict[QuotaEntity, dict[str, float]]:
            request = DescribeClientQuotasRequest(components, strict)
            response = await call.answer(lambda: call.ask_any(request))
            return {
                _entity(entry): {row["name"]: row["value"] for row in entry["values"]}
                for entry in response["entries"] or ()
            }

        return await self._call("Describing quotas", timeout_ms, describe)

    async def alter_client_quotas(
        self,
        alterations: Mapping[QuotaEntity, Mapping[str, float | None]],
        validate_only: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> Results[QuotaEntity, None]:
        """Set and remove quotas.

        Parameters:
            alterations: new values by entity and name of the quota; None removes it.
            validate_only: check, do not change.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each entity.

        Raises:
            KafkaTimeoutError: nothing was changed in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def alter(call: AdminCall) -> Results[QuotaEntity, None]:
            async def send(left: list[QuotaEntity]) -> Any:
                entries = [(list(entity.parts), _changes(alterations[entity])) for entity in left]
                return await call.send_to_controller(
                    AlterClientQuotasRequest(entries, validate_only)
                )

            def read(response: Any, _: list[QuotaEntity]) -> Iterator[Answer[QuotaEntity, None]]:
                for row in response["entries"]:
                    yield _entity(row), row["error_code"], row["error_message"], None

            return await call.each_answered(alterations, send, read)

        return await self._call("Altering quotas", timeout_ms, alter)


def _entity(row: dict[str, Any]) -> QuotaEntity:
    return QuotaEntity((part["entity_type"], part["entity_name"]) for part in row["entity"])


def _changes(values: Mapping[str, float | None]) -> list[tuple[str, float, bool]]:
    return [
        (name, _NO_VALUE if value is None else float(value), value is None)
        for name, value in values.items()
    ]

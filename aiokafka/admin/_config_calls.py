"""Configurations: the calls of 0.14."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall
from aiokafka.admin._outcomes import Outcomes
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IllegalArgumentError
from aiokafka.protocol.admin import AlterConfigsRequest, DescribeConfigsRequest

# These are kept by the broker itself; the others' may be asked for anywhere.
_OF_A_BROKER = (ConfigResourceType.BROKER, ConfigResourceType.BROKER_LOGGER)


class ConfigCalls(AdminBase):
    """Describing and replacing configurations."""

    async def describe_configs(
        self,
        config_resources: Iterable[ConfigResource],
        include_synonyms: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> list[Any]:
        """Read configurations.

        Parameters:
            config_resources: whose; the names in their ``configs`` are wanted, all if None.
            include_synonyms: also say where else a setting is given (KIP-226).
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            DescribeConfigs responses: one for each broker, then one for all other resources.
            ``resources`` has tuples ``(error_code, error_message, resource_type, resource_name,
            config_entries)``, entries begin with ``(name, value``.  Errors of single resources
            are not raised.

        Raises:
            IllegalArgumentError: the name of a broker is not its node id.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*.
        """
        groups = _by_place(config_resources, _described)

        async def describe(call: AdminCall) -> list[Any]:
            return await _responses(
                call, groups, lambda rows: DescribeConfigsRequest(rows, include_synonyms)
            )

        return await self._call("Describing configurations", timeout_ms, describe)

    async def alter_configs(
        self, config_resources: Iterable[ConfigResource], *, timeout_ms: int | None = None
    ) -> list[Any]:
        """Replace configurations: settings that are not given go back to their defaults.

        See :meth:`incremental_alter_configs` for changing single settings.

        Parameters:
            config_resources: with their new ``configs``.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            AlterConfigs responses: one for each broker, then one for all other resources, if
            there are any.  ``resources`` has tuples ``(error_code, error_message, resource_type,
            resource_name)``.  Errors of single resources are not raised.

        Raises:
            IllegalArgumentError: the name of a broker is not its node id.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*.  0.14 sent a request for topics even without any.
        """
        groups = _by_place(config_resources, _altered)

        async def alter(call: AdminCall) -> list[Any]:
            return await _responses(call, groups, AlterConfigsRequest)

        return await self._call("Altering configurations", timeout_ms, alter)


Rows = list[tuple[Any, ...]]


def broker_of(resource_type: int, name: str) -> int | None:
    """The broker that has to be asked about a resource; None: any one.

    Raises:
        IllegalArgumentError: the name is that of no broker.
    """
    if resource_type not in _OF_A_BROKER or name == "":  # "": the default of all brokers
        return None
    try:
        return int(name)
    except ValueError as error:
        raise IllegalArgumentError(
            f"the name of a broker should be its node id, not {name!r}"
        ) from error


def _described(resource: ConfigResource) -> tuple[Any, ...]:
    names = None if resource.configs is None else list(resource.configs)
    return (int(resource.resource_type), resource.name, names or None)


def _altered(resource: ConfigResource) -> tuple[Any, ...]:
    configs: Mapping[str, str | None] = resource.configs or {}
    return (int(resource.resource_type), resource.name, list(configs.items()))


def _by_place(
    resources: Iterable[ConfigResource], row: Callable[[ConfigResource], tuple[Any, ...]]
) -> list[tuple[int | None, Rows]]:
    """Rows by the broker to ask: each broker resource by itself, the others together."""
    alone: list[tuple[int | None, Rows]] = []
    rest: Rows = []
    for resource in resources:
        node_id = broker_of(resource.resource_type, resource.name)
        if node_id is None:
            rest.append(row(resource))
        else:
            alone.append((node_id, [row(resource)]))
    return [*alone, (None, rest)] if rest else alone


async def _responses(
    call: AdminCall, groups: list[tuple[int | None, Rows]], request: Callable[[Rows], Any]
) -> list[Any]:
    """The responses about all groups, asked for at the same time."""

    async def ask(outcomes: Outcomes[int, Any], index: int) -> None:
        node_id, rows = groups[index]
        made = request(rows)
        if node_id is not None:
            outcomes.succeed(index, await call.send(node_id, made))
        elif isinstance(made, DescribeConfigsRequest):
            outcomes.succeed(index, await call.ask_any(made))
        else:
            outcomes.succeed(index, await call.send_to_controller(made))

    found = (await call.each_alone(range(len(groups)), ask)).check()
    return [found[index] for index in range(len(groups))]

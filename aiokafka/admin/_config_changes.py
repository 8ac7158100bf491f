"""Calls about single settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin._config_calls import broker_of
from aiokafka.admin._outcomes import Outcomes
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.admin.configs import (
    ConfigChange,
    ConfigEntry,
    ConfigSource,
    ConfigSynonym,
    ConfigTarget,
)
from aiokafka.admin.results import Results
from aiokafka.protocol.admin import (
    DescribeConfigsInFullRequest,
    IncrementalAlterConfigsRequest,
)

Entries = dict[str, ConfigEntry]


class ConfigChangeCalls(AdminBase):
    """Describing and changing single settings."""

    async def describe_config_entries(
        self,
        targets: Iterable[ConfigTarget],
        names: Collection[str] | None = None,
        *,
        include_synonyms: bool = False,
        include_documentation: bool = False,
        timeout_ms: int | None = None,
    ) -> Results[ConfigTarget, Entries]:
        """The settings of resources.

        Parameters:
            targets: the resources.
            names: the settings wanted; None: all.
            include_synonyms: also say where else a setting is given.
            include_documentation: also say what it means, from Kafka 2.6.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            Settings by name, of each resource.

        Raises:
            IllegalArgumentError: the name of a broker is not its node id.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        wanted = None if names is None else list(names)
        places = {target: broker_of(*target) for target in targets}

        async def describe(call: AdminCall) -> Results[ConfigTarget, Entries]:
            async def ask(
                outcomes: Outcomes[ConfigTarget, Entries],
                node_id: int | None,
                asked: list[ConfigTarget],
            ) -> None:
                rows = [(int(kind), name, wanted) for kind, name in asked]
                request = DescribeConfigsInFullRequest(
                    rows, include_synonyms, include_documentation
                )
                if node_id is None:
                    response = call.checked(await call.ask_any(request))
                else:
                    response = call.checked(await call.send(node_id, request))
                call.enter(outcomes, asked, _described(response))

            return await call.each_by_place(places, ask)

        return await self._call("Describing settings", timeout_ms, describe)

    async def incremental_alter_configs(
        self,
        changes: Mapping[ConfigTarget, Iterable[ConfigChange]],
        validate_only: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> Results[ConfigTarget, None]:
        """Change single settings and leave the others alone (KIP-339).

        Parameters:
            changes: by resource.
            validate_only: check, do not change.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each resource.

        Raises:
            IllegalArgumentError: the name of a broker is not its node id.
            KafkaTimeoutError: nothing was changed in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        places = {target: broker_of(*target) for target in changes}
        rows = {
            target: (int(target[0]), target[1], [change.row() for change in changes[target]])
            for target in changes
        }

        async def alter(call: AdminCall) -> Results[ConfigTarget, None]:
            async def ask(
                outcomes: Outcomes[ConfigTarget, None],
                node_id: int | None,
                asked: list[ConfigTarget],
            ) -> None:
                request = IncrementalAlterConfigsRequest(
                    [rows[target] for target in asked], validate_only
                )
                if node_id is None:
                    response = call.checked(await call.send_to_controller(request))
                else:
                    response = call.checked(await call.send(node_id, request))
                call.enter(outcomes, asked, _altered(response))

            return await call.each_by_place(places, ask)

        return await self._call("Changing settings", timeout_ms, alter)


def _target(row: dict[str, Any]) -> ConfigTarget:
    return ConfigTarget(ConfigResourceType(row["resource_type"]), row["resource_name"])


def _altered(response: dict[str, Any]) -> Iterator[Answer[ConfigTarget, None]]:
    for row in response["responses"]:
        yield _target(row), row["error_code"], row["error_message"], None


def _described(response: dict[str, Any]) -> Iterator[Answer[ConfigTarget, Entries]]:
    for row in response["resources"]:
        entries = {entry["config_names"]: _entry(entry) for entry in row["config_entries"]}
        yield _target(row), row["error_code"], row["error_message"], entries


def _entry(row: dict[str, Any]) -> ConfigEntry:
    source = ConfigSource(row.get("config_source", ConfigSource.UNKNOWN))
    if row.get("is_default"):  # version 0
        source = ConfigSource.DEFAULT
    return ConfigEntry(
        row["config_names"],
        row["config_value"],
        source,
        row["read_only"],
        row["is_sensitive"],
        tuple(
            ConfigSynonym(
                item["config_name"], item["config_value"], ConfigSource(item["config_source"])
            )
            for item in row.get("config_synonyms", ())
        ),
        row.get("documentation"),
    )

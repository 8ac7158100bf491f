"""All declared APIs, and their struct classes."""

from __future__ import annotations

from aiokafka.protocol import (
    admin,
    commit,
    consumer_group,
    coordination,
    fetch,
    group,
    metadata,
    offset,
    produce,
    transaction,
)
from aiokafka.protocol._declare import Api
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Schema

MODULES = (
    admin,
    commit,
    consumer_group,
    coordination,
    fetch,
    group,
    metadata,
    offset,
    produce,
    transaction,
)
APIS: tuple[Api, ...] = tuple(Api.declared)
STRUCTS: tuple[type[RequestStruct] | type[Response], ...] = tuple(
    struct_class
    for api in APIS
    for classes in (api.requests, api.responses)
    for struct_class in classes
)


def distinct(
    classes: tuple[type[RequestStruct], ...] | tuple[type[Response], ...],
) -> dict[Schema, type[RequestStruct] | type[Response]]:
    """One class for each different layout."""
    return {cls.SCHEMA: cls for cls in classes}

"""Readers of rows that do not depend on the version: absent fields get a default.

A reader is compiled once for each layout, so that engines see one shape and never compare
versions, at the price of building one tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiokafka.errors import IncompatibleBrokerVersion

from .types import Array, Schema

if TYPE_CHECKING:
    from uuid import UUID

ResultT = TypeVar("ResultT")


def row_schema(schema: Schema, *path: str) -> Schema | None:
    """The schema of the rows at ``path``, None when the version has no such field."""
    current = schema
    for name in path:
        if name not in current.names:
            return None
        type_ = current.fields[current.names.index(name)]
        if isinstance(type_, Array):
            type_ = type_.array_of
        if not isinstance(type_, Schema):
            return None
        current = type_
    return current


def row_reader(
    schema: Schema | None,
    target: type[tuple[Any, ...]],
    fields: Mapping[str, tuple[Any, ...]],
    *,
    first: bool = False,
) -> Callable[..., Any]:
    """Compile a function that makes a ``target`` from a row of ``schema``.

    Parameters:
        schema: the layout of the row; None makes a reader of defaults only.
        target: a named tuple.
        fields: for each of its fields in order: the name in the row, the default of versions
            without it, and, if the value is a row itself, the index within that row.
        first: the function takes the first field of ``target`` as an argument before the row.
    """
    names: dict[str, Any] = {"target": target, "new": tuple.__new__}
    layout = () if schema is None else schema.names
    expressions = ["first"] if first else []
    for index, (wire_name, default, *inner) in enumerate(fields.values()):
        if wire_name in layout:
            inside = "".join(f"[{position}]" for position in inner)
            expressions.append(f"row[{layout.index(wire_name)}]{inside}")
        else:
            names[f"default{index}"] = default
            expressions.append(f"default{index}")
    parameters = "first, row" if first else "row"
    source = f"lambda {parameters}: new(target, ({', '.join(expressions)},))"
    reader: Callable[..., Any] = eval(source, names)
    return reader


def commit_rows(
    topics: Sequence[tuple[Any, Sequence[tuple[Any, ...]]]], *, with_epoch: bool
) -> Sequence[tuple[Any, Sequence[tuple[Any, ...]]]]:
    """Lay out offsets to be committed.

    Parameters:
        topics: ``[(topic, [(partition, offset, metadata)])]``, where a fourth item of the inner
            rows is the leader epoch.
        with_epoch: whether the version has a place for the leader epoch: before the metadata.
    """
    if not with_epoch:
        if all(len(row) == 3 for _, rows in topics for row in rows):
            return topics
        return [(topic, [tuple(row[:3]) for row in rows]) for topic, rows in topics]
    return [
        (
            topic,
            [(row[0], row[1], row[3] if len(row) > 3 else -1, row[2]) for row in rows],
        )
        for topic, rows in topics
    ]


def with_topic_ids(
    topics: Sequence[tuple[Any, ...]], topic_ids: Mapping[str, UUID] | None
) -> list[tuple[Any, ...]]:
    """``topics`` with the name at the start of each row replaced by the topic's id.

    Raises ``IncompatibleBrokerVersion`` when an id is not known.
    """
    ids = topic_ids or {}
    try:
        return [(ids[row[0]], *row[1:]) for row in topics]
    except KeyError as exc:
        raise IncompatibleBrokerVersion(
            f"the broker wants topic ids, and that of {exc.args[0]!r} is not known"
        ) from None


def all_have_ids(topics: Sequence[tuple[Any, ...]], topic_ids: Mapping[str, UUID] | None) -> bool:
    """Whether an id is known for every topic; the zero id means that it is not."""
    if not topic_ids:
        return False
    for row in topics:
        found = topic_ids.get(row[0])
        if found is None or not found.int:
            return False
    return True


def topic_name(topic: Any, topic_names: Mapping[UUID, str] | None) -> str:
    """The name of a topic that a response calls by name or by id.

    An id that is not in ``topic_names`` stands for itself.
    """
    if type(topic) is str:
        return topic
    return (topic_names or {}).get(topic) or str(topic)


class ResultsReader(Generic[ResultT]):
    """Reads the results of a response, one for each partition, whatever its version.

    Parameters:
        target: the named tuple of a result; its first field is the topic's name.
        fields: its other fields, as :func:`row_reader` takes them.
    """

    def __init__(self, target: type[ResultT], fields: Mapping[str, tuple[Any, ...]]) -> None:
        self._target: Any = target
        self._fields = fields
        self._readers: dict[Schema, Callable[..., ResultT]] = {}

    def read(self, response: Any, topic_names: Mapping[UUID, str] | None) -> list[ResultT]:
        """The results.

        Parameters:
            topic_names: names by id, for versions with ids; a topic it lacks is named by its id.
        """
        schema = response.SCHEMA
        read = self._readers.get(schema)
        if read is None:
            rows = row_schema(schema, "topics", "partitions")
            read = row_reader(rows, self._target, self._fields, first=True)
            self._readers[schema] = read
        return [
            read(topic_name(topic, topic_names), row)
            for topic, partitions in response.topics
            for row in partitions
        ]


def node_endpoints(response: Any) -> list[tuple[int, str, int, str | None]]:
    """``(node_id, host, port, rack)`` of the new leaders a response names (KIP-951).

    .. versionadded:: 0.14.1
    """
    return [(row[0], row[1], row[2], row[3]) for row in getattr(response, "node_endpoints", ())]

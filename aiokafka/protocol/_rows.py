"""Readers of rows that do not depend on the version: absent fields get a default.

A reader is compiled once for each layout, so that engines see one shape and never compare
versions, at the price of building one tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka.errors import IncompatibleBrokerVersion

from .types import Array, Schema

if TYPE_CHECKING:
    from uuid import UUID


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

"""Errors of reading that say where: attributes ``topic``, ``partition`` and ``offset``.

Pure functions, used by both twins of the block reader: no tasks, no futures.
"""

from __future__ import annotations

from aiokafka.errors import KafkaError

__all__ = ["deserializing_failed", "place", "placed"]


def place(exc: Exception, topic: str, partition: int, offset: int) -> bool:
    """Set ``topic``, ``partition`` and ``offset`` on any exception that allows it.

    Returns whether that was done, and news: an error may be raised again by a later try.
    """
    there = (topic, partition, offset)
    if tuple(getattr(exc, name, None) for name in ("topic", "partition", "offset")) == there:
        return False
    try:
        exc.topic, exc.partition, exc.offset = there  # type: ignore[attr-defined]
    except (AttributeError, TypeError):  # it allows no attributes
        return False
    return True


def deserializing_failed(
    exc: Exception, what: str, topic: str, partition: int, offset: int
) -> None:
    """Say which record made a deserializer raise `exc`, which is what the caller will see."""
    if place(exc, topic, partition, offset) and hasattr(exc, "add_note"):  # 3.11
        exc.add_note(
            f"The {what} deserializer raised this for the record at offset {offset} of"
            f" partition {topic}-{partition}; seek to {offset + 1} to go on after it"
        )


def placed(
    exc: KafkaError, topic: str, partition: int, offset: int, next_offset: int | None
) -> KafkaError:
    """An error of the same class that names the place, for data that cannot be read.

    `next_offset` is where to seek to go on after the batch, when that is known.
    """
    reason = exc.args[0] if exc.args else "unreadable"
    text = f"Partition {topic}-{partition} at offset {offset}: {reason}"
    if next_offset is not None and next_offset > offset:
        text += f"; seek to {next_offset} to go on after this batch"
    error = type(exc)(text)
    place(error, topic, partition, offset)
    return error

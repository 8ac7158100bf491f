"""How a record finds its partition when the application does not name one.

Pure: no loop, no clock; chance comes from a generator that can be given. A partitioner is
any callable ``(key, all_partitions, available) -> partition``; one that has the methods of
:class:`TopicPartitioner` as well is asked through them, as it can keep state for a topic.

The hash of a key is the Java client's, so that records with the same key meet in the same
partition whichever client sent them. It exists twice: compiled, and in Python.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from aiokafka.util import NO_EXTENSIONS

__all__ = ["DefaultPartitioner", "StickyPartitioner", "TopicPartitioner", "murmur2"]

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF

DEFAULT_BATCH_SIZE = 16384
"""Bytes a :class:`StickyPartitioner` gives to a partition when nobody says how many."""


def _murmur2_py(data: bytes | bytearray | memoryview) -> int:
    data = bytes(data)  # a view may count in other things than bytes
    size = len(data)
    words = size // 4
    h = _SEED ^ size
    for k in struct.unpack_from(f"<{words}I", data):
        k = (k * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    rest = data[words * 4 :]
    if rest:
        h = ((h ^ int.from_bytes(rest, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def murmur2(data: bytes | bytearray | memoryview) -> int:
    """Hash ``data`` with the 32-bit Murmur2 that Kafka's Java client uses for keys.

    Parameters:
        data: any number of bytes.

    Returns:
        The hash as an *unsigned* 32-bit number; Java prints the same bits as signed.
    """
    return _murmur2_py(data)


if not NO_EXTENSIONS:
    try:
        from aiokafka._murmur2 import murmur2
    except ImportError:  # not compiled: the Python twin above stays
        pass


@runtime_checkable
class TopicPartitioner(Protocol):
    """What a partitioner may offer beyond being callable.

    The producer asks `partition_for` instead of calling the partitioner, and reports what
    came of it.

    .. versionadded:: 0.14.1
    """

    batch_size: int | None
    """Bytes of a full batch. The producer sets its own value when this is ``None``."""

    def partition_for(
        self,
        topic: str,
        key: bytes | None,
        all_partitions: Sequence[int],
        available: Sequence[int],
    ) -> int:
        """Choose the partition of a record of ``topic``.

        The caller may pass the same two objects again as long as they did not change, and
        may use one answer for several records without a key, up to ``batch_size`` bytes.
        """
        ...

    def on_append(self, topic: str, partition: int, size: int) -> None:
        """Records without a key were appended: one, or several taken together.

        Parameters:
            topic: name of the topic.
            partition: the partition they were appended to.
            size: their size in bytes, before compression.
        """
        ...


class DefaultPartitioner:
    """The same partition for the same key, a random one for records without a key.

    A key's partition is ``murmur2(key)`` modulo the number of all partitions, as in the
    Java client. Records without a key go to a random partition among those that have a
    leader, or among all when none has.

    Parameters:
        rng: source of randomness; by default one for this object, seeded by the system.

    .. versionchanged:: 0.14.1
        Added ``rng``.
    """

    def __init__(self, *, rng: random.Random | None = None) -> None:
        self._random = (rng or random.Random()).random

    def __call__(
        self, key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]
    ) -> int:
        """Choose a partition.

        Parameters:
            key: serialized key, or ``None``.
            all_partitions: all partitions of the topic in ascending order.
            available: those of them that have a leader.
        """
        if key is not None:
            return all_partitions[(murmur2(key) & 0x7FFFFFFF) % len(all_partitions)]
        choice = available or all_partitions
        return choice[int(self._random() * len(choice))]


class _Sticky:
    """The present partition of one topic."""

    __slots__ = ("choice", "partition", "size")

    def __init__(self, partition: int, choice: Sequence[int]) -> None:
        self.partition = partition
        self.choice = choice
        self.size = 0


class StickyPartitioner(DefaultPartitioner):
    """Like the default, but records without a key fill one partition's batch at a time.

    Records without a key stay with one partition of their topic until it got at least
    ``batch_size`` bytes, then go to another one at random: batches get fuller and requests
    fewer, and over time each partition gets the same share (KIP-480, KIP-794). A partition
    that has no leader any more is left at once.

    Pass an instance as ``partitioner``. A caller that does not use the methods of
    :class:`TopicPartitioner` tells neither topic nor sizes, and gets a random partition
    for each record without a key.

    Parameters:
        batch_size: bytes to give to a partition before moving on; ``None`` means the
            producer's ``max_batch_size``.
        rng: source of randomness; by default one for this object, seeded by the system.

    Raises:
        ValueError: ``batch_size`` is below 1.

    .. versionadded:: 0.14.1
    """

    def __init__(self, batch_size: int | None = None, *, rng: random.Random | None = None) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"`batch_size` should be at least 1, not {batch_size!r}")
        super().__init__(rng=rng)
        self.batch_size = batch_size
        self._topics: dict[str, _Sticky] = {}

    def partition_for(
        self,
        topic: str,
        key: bytes | None,
        all_partitions: Sequence[int],
        available: Sequence[int],
    ) -> int:
        """Choose the partition of a record; see :class:`TopicPartitioner`."""
        if key is not None:
            return self(key, all_partitions, available)
        choice = available or all_partitions
        sticky = self._topics.get(topic)
        if sticky is None:
            sticky = self._topics[topic] = _Sticky(self(None, choice, choice), choice)
        elif sticky.size >= (self.batch_size or DEFAULT_BATCH_SIZE):
            self._move(sticky, choice)
        # The search is for a changed list only: a record's cost must not grow with the
        # number of partitions.
        elif sticky.choice is not choice:
            if sticky.partition in choice:
                sticky.choice = choice
            else:
                self._move(sticky, choice)
        return sticky.partition

    def on_append(self, topic: str, partition: int, size: int) -> None:
        """Count what a partition got; see :class:`TopicPartitioner`."""
        sticky = self._topics.get(topic)
        if sticky is not None and sticky.partition == partition:
            sticky.size += size

    def _move(self, sticky: _Sticky, choice: Sequence[int]) -> None:
        others = [partition for partition in choice if partition != sticky.partition]
        sticky.partition = self(None, choice, others)
        sticky.choice = choice
        sticky.size = 0

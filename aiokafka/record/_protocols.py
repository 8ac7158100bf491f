"""What both forms of the record code have in common, as runtime-checkable types.

Pure declarations: no tasks, no futures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

__all__ = [
    "DefaultRecordBatchBuilderProtocol",
    "DefaultRecordBatchProtocol",
    "DefaultRecordMetadataProtocol",
    "DefaultRecordProtocol",
    "Header",
    "LegacyRecordBatchBuilderProtocol",
    "LegacyRecordBatchProtocol",
    "LegacyRecordMetadataProtocol",
    "LegacyRecordProtocol",
    "MemoryRecordsProtocol",
]

Buffer = bytes | bytearray | memoryview
Header = tuple[str, Buffer | None]


@runtime_checkable
class DefaultRecordProtocol(Protocol):
    """A record of magic 2."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[tuple[str, bytes | None]]: ...
    @property
    def checksum(self) -> None: ...


@runtime_checkable
class DefaultRecordMetadataProtocol(Protocol):
    """What `append` of a magic 2 builder returns."""

    @property
    def offset(self) -> int: ...
    @property
    def crc(self) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def timestamp(self) -> int: ...


@runtime_checkable
class DefaultRecordBatchBuilderProtocol(Protocol):
    """A builder of batches of magic 2."""

    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: Buffer | None,
        value: Buffer | None,
        headers: Sequence[Header] | None,
    ) -> DefaultRecordMetadataProtocol | None: ...
    def build(self) -> bytearray: ...
    def size(self) -> int: ...
    def size_in_bytes(
        self,
        offset: int,
        timestamp: int,
        key: Buffer | None,
        value: Buffer | None,
        headers: Sequence[Header] | None,
    ) -> int: ...
    @classmethod
    def size_of(
        cls, key: Buffer | None, value: Buffer | None, headers: Sequence[Header] | None
    ) -> int: ...
    @classmethod
    def estimate_size_in_bytes(
        cls, key: Buffer | None, value: Buffer | None, headers: Sequence[Header] | None
    ) -> int: ...
    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None: ...
    @property
    def producer_id(self) -> int: ...
    @property
    def producer_epoch(self) -> int: ...
    @property
    def base_sequence(self) -> int: ...


@runtime_checkable
class DefaultRecordBatchProtocol(Protocol):
    """A batch of magic 2 that was read."""

    @property
    def base_offset(self) -> int: ...
    @property
    def partition_leader_epoch(self) -> int: ...
    @property
    def magic(self) -> int: ...
    @property
    def crc(self) -> int: ...
    @property
    def attributes(self) -> int: ...
    @property
    def compression_type(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...
    @property
    def is_transactional(self) -> bool: ...
    @property
    def is_control_batch(self) -> bool: ...
    @property
    def last_offset_delta(self) -> int: ...
    @property
    def first_timestamp(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...
    @property
    def producer_id(self) -> int: ...
    @property
    def producer_epoch(self) -> int: ...
    @property
    def base_sequence(self) -> int: ...
    @property
    def record_count(self) -> int: ...
    @property
    def next_offset(self) -> int: ...
    def validate_crc(self) -> bool: ...
    def __iter__(self) -> Iterator[DefaultRecordProtocol]: ...
    def __next__(self) -> DefaultRecordProtocol: ...


@runtime_checkable
class LegacyRecordProtocol(Protocol):
    """A message of magic 0 or 1."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def timestamp_type(self) -> int | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[Any]: ...
    @property
    def checksum(self) -> int: ...


@runtime_checkable
class LegacyRecordMetadataProtocol(Protocol):
    """What `append` of a legacy builder returns."""

    @property
    def offset(self) -> int: ...
    @property
    def crc(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def timestamp(self) -> int: ...


@runtime_checkable
class LegacyRecordBatchBuilderProtocol(Protocol):
    """A builder of message sets of magic 0 and 1."""

    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: Buffer | None,
        value: Buffer | None,
        headers: Sequence[Header] | None = None,
    ) -> LegacyRecordMetadataProtocol | None: ...
    def build(self) -> bytearray: ...
    def size(self) -> int: ...
    def size_in_bytes(
        self, offset: int, timestamp: int, key: Buffer | None, value: Buffer | None
    ) -> int: ...
    @classmethod
    def record_overhead(cls, magic: int) -> int: ...


@runtime_checkable
class LegacyRecordBatchProtocol(Protocol):
    """A message of magic 0 or 1 that was read, with the messages inside it."""

    @property
    def next_offset(self) -> int: ...
    @property
    def is_control_batch(self) -> bool: ...
    @property
    def is_transactional(self) -> bool: ...
    @property
    def producer_id(self) -> None: ...
    def validate_crc(self) -> bool: ...
    def __iter__(self) -> Iterator[LegacyRecordProtocol]: ...


@runtime_checkable
class MemoryRecordsProtocol(Protocol):
    """The batches in what a broker returned for a partition."""

    def size_in_bytes(self) -> int: ...
    def has_next(self) -> bool: ...
    def next_batch(self) -> DefaultRecordBatchProtocol | LegacyRecordBatchProtocol | None: ...

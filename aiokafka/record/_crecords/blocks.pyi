from collections.abc import Callable, Iterator
from typing import Any, final

from aiokafka.structs import ConsumerRecord

from .._block_types import BatchFilter, BlockSummary
from .memory_records import MemoryRecords

def scan(block: bytes | bytearray | memoryview) -> BlockSummary: ...

@final
class BlockReader:
    next_offset: int
    def __init__(
        self,
        records: MemoryRecords,
        topic: str,
        partition: int,
        fetch_offset: int,
        key_deserializer: Callable[[Any], Any] | None = None,
        value_deserializer: Callable[[Any], Any] | None = None,
        check_crcs: bool = True,
        batch_filter: BatchFilter | None = None,
    ) -> None: ...
    @property
    def leader_epoch(self) -> int: ...
    @property
    def exhausted(self) -> bool: ...
    def __iter__(self) -> Iterator[ConsumerRecord[Any, Any]]: ...
    def __next__(self) -> ConsumerRecord[Any, Any]: ...
    def take(self, limit: int | None = None) -> list[ConsumerRecord[Any, Any]]: ...
    def next_record(self) -> ConsumerRecord[Any, Any] | None: ...

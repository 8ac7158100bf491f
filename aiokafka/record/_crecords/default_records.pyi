from collections.abc import Sequence
from typing import ClassVar, final

from .default_reader import DefaultRecord as DefaultRecord
from .default_reader import DefaultRecordBatch as DefaultRecordBatch

_Buffer = bytes | bytearray | memoryview
_Header = tuple[str, _Buffer | None]

@final
class DefaultRecordMetadata:
    def __init__(self, offset: int, size: int, timestamp: int) -> None: ...
    @property
    def offset(self) -> int: ...
    @property
    def crc(self) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def timestamp(self) -> int: ...

class DefaultRecordBatchBuilder:
    CODEC_MASK: ClassVar[int]
    CODEC_NONE: ClassVar[int]
    CODEC_GZIP: ClassVar[int]
    CODEC_SNAPPY: ClassVar[int]
    CODEC_LZ4: ClassVar[int]
    CODEC_ZSTD: ClassVar[int]
    def __init__(
        self,
        magic: int,
        compression_type: int,
        is_transactional: int,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        batch_size: int,
        *,
        compression_level: int | None = None,
    ) -> None: ...
    @property
    def producer_id(self) -> int: ...
    @property
    def producer_epoch(self) -> int: ...
    @property
    def base_sequence(self) -> int: ...
    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None: ...
    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: _Buffer | None,
        value: _Buffer | None,
        headers: Sequence[_Header] | None,
    ) -> DefaultRecordMetadata | None: ...
    def build(self) -> bytearray: ...
    def size(self) -> int: ...
    def size_in_bytes(
        self,
        offset: int,
        timestamp: int,
        key: _Buffer | None,
        value: _Buffer | None,
        headers: Sequence[_Header] | None,
    ) -> int: ...
    @classmethod
    def size_of(
        cls, key: _Buffer | None, value: _Buffer | None, headers: Sequence[_Header] | None
    ) -> int: ...
    @classmethod
    def estimate_size_in_bytes(
        cls, key: _Buffer | None, value: _Buffer | None, headers: Sequence[_Header] | None
    ) -> int: ...

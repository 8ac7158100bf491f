from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, final

_Buffer = bytes | bytearray | memoryview

@final
class LegacyRecordMetadata:
    def __init__(self, offset: int, crc: int, size: int, timestamp: int) -> None: ...
    @property
    def offset(self) -> int: ...
    @property
    def crc(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def timestamp(self) -> int: ...

class LegacyRecordBatchBuilder:
    CODEC_MASK: ClassVar[int]
    CODEC_NONE: ClassVar[int]
    CODEC_GZIP: ClassVar[int]
    CODEC_SNAPPY: ClassVar[int]
    CODEC_LZ4: ClassVar[int]
    def __init__(self, magic: int, compression_type: int, batch_size: int) -> None: ...
    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: _Buffer | None,
        value: _Buffer | None,
        headers: Sequence[tuple[str, _Buffer | None]] | None = None,
    ) -> LegacyRecordMetadata | None: ...
    def build(self) -> bytearray: ...
    def size(self) -> int: ...
    def size_in_bytes(
        self, offset: int, timestamp: int, key: _Buffer | None, value: _Buffer | None
    ) -> int: ...
    @classmethod
    def record_overhead(cls, magic: int) -> int: ...

@final
class LegacyRecord:
    def __init__(
        self,
        offset: int,
        timestamp: int | None,
        timestamp_type: int | None,
        key: bytes | None,
        value: bytes | None,
        crc: int,
    ) -> None: ...
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

class LegacyRecordBatch:
    CODEC_MASK: ClassVar[int]
    CODEC_NONE: ClassVar[int]
    CODEC_GZIP: ClassVar[int]
    CODEC_SNAPPY: ClassVar[int]
    CODEC_LZ4: ClassVar[int]
    is_control_batch: bool
    is_transactional: bool
    producer_id: None
    def __init__(self, buffer: _Buffer, magic: int) -> None: ...
    @property
    def compression_type(self) -> int: ...
    @property
    def timestamp_type(self) -> int | None: ...
    @property
    def next_offset(self) -> int: ...
    def validate_crc(self) -> bool: ...
    def __iter__(self) -> Iterator[LegacyRecord]: ...

"""The implementations of the record code that this run can test."""

from __future__ import annotations

from typing import Any

from aiokafka.record import _select
from aiokafka.record._block_reader import _BlockReaderPy, _scan_py
from aiokafka.record.default_records import (
    _DefaultRecordBatchBuilderPy,
    _DefaultRecordBatchPy,
    _DefaultRecordMetadataPy,
    _DefaultRecordPy,
)
from aiokafka.record.legacy_records import (
    _LegacyRecordBatchBuilderPy,
    _LegacyRecordBatchPy,
    _LegacyRecordMetadataPy,
    _LegacyRecordPy,
)
from aiokafka.record.memory_records import _MemoryRecordsPy


class Twin:
    """One implementation, its classes under their public names."""

    def __init__(self, name: str, **classes: Any) -> None:
        self.name = name
        self.BlockReader = classes["BlockReader"]
        self.DefaultRecord = classes["DefaultRecord"]
        self.DefaultRecordBatch = classes["DefaultRecordBatch"]
        self.DefaultRecordBatchBuilder = classes["DefaultRecordBatchBuilder"]
        self.DefaultRecordMetadata = classes["DefaultRecordMetadata"]
        self.LegacyRecord = classes["LegacyRecord"]
        self.LegacyRecordBatch = classes["LegacyRecordBatch"]
        self.LegacyRecordBatchBuilder = classes["LegacyRecordBatchBuilder"]
        self.LegacyRecordMetadata = classes["LegacyRecordMetadata"]
        self.MemoryRecords = classes["MemoryRecords"]
        self.scan = classes["scan"]

    def __repr__(self) -> str:
        return self.name

    def builder(self, **changes: Any) -> Any:
        """A builder of magic 2 with plain settings, changed as asked."""
        settings: dict[str, Any] = {
            "magic": 2,
            "compression_type": 0,
            "is_transactional": 0,
            "producer_id": -1,
            "producer_epoch": -1,
            "base_sequence": -1,
            "batch_size": 1 << 20,
        }
        return self.DefaultRecordBatchBuilder(**{**settings, **changes})

    def reader(self, data: Any, fetch_offset: int = 0, *args: Any) -> Any:
        """A reader of the block `data` of partition 3 of "topic"."""
        return self.BlockReader(self.MemoryRecords(data), "topic", 3, fetch_offset, *args)


PYTHON = Twin(
    "python",
    BlockReader=_BlockReaderPy,
    DefaultRecord=_DefaultRecordPy,
    DefaultRecordBatch=_DefaultRecordBatchPy,
    DefaultRecordBatchBuilder=_DefaultRecordBatchBuilderPy,
    DefaultRecordMetadata=_DefaultRecordMetadataPy,
    LegacyRecord=_LegacyRecordPy,
    LegacyRecordBatch=_LegacyRecordBatchPy,
    LegacyRecordBatchBuilder=_LegacyRecordBatchBuilderPy,
    LegacyRecordMetadata=_LegacyRecordMetadataPy,
    MemoryRecords=_MemoryRecordsPy,
    scan=_scan_py,
)
TWINS = [PYTHON]
if _select.compiled is not None:
    TWINS.append(Twin("compiled", **vars(_select.compiled)))

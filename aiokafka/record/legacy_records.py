"""Message sets of magic 0 and 1, the formats before Kafka 0.11.

Exports the compiled classes when they are there and wanted, otherwise their plain
Python twins, which keep the names ``_...Py``. No tasks, no futures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka._on_demand import on_demand

from ._legacy_layout import LegacyRecordBase
from ._select import compiled

__all__ = [
    "LegacyRecord",
    "LegacyRecordBase",
    "LegacyRecordBatch",
    "LegacyRecordBatchBuilder",
    "LegacyRecordMetadata",
]

if TYPE_CHECKING or compiled is None:
    from ._legacy_builder import _LegacyRecordBatchBuilderPy as _LegacyRecordBatchBuilderPy
    from ._legacy_builder import _LegacyRecordMetadataPy as _LegacyRecordMetadataPy
    from ._legacy_reader import _LegacyRecordBatchPy as _LegacyRecordBatchPy
    from ._legacy_reader import _LegacyRecordPy as _LegacyRecordPy

    LegacyRecord = _LegacyRecordPy
    LegacyRecordBatch = _LegacyRecordBatchPy
    LegacyRecordBatchBuilder = _LegacyRecordBatchBuilderPy
    LegacyRecordMetadata = _LegacyRecordMetadataPy
else:
    LegacyRecord = compiled.LegacyRecord
    LegacyRecordBatch = compiled.LegacyRecordBatch
    LegacyRecordBatchBuilder = compiled.LegacyRecordBatchBuilder
    LegacyRecordMetadata = compiled.LegacyRecordMetadata
    __getattr__ = on_demand(
        __name__,
        {
            "_LegacyRecordBatchBuilderPy": "aiokafka.record._legacy_builder",
            "_LegacyRecordBatchPy": "aiokafka.record._legacy_reader",
            "_LegacyRecordMetadataPy": "aiokafka.record._legacy_builder",
            "_LegacyRecordPy": "aiokafka.record._legacy_reader",
        },
    )

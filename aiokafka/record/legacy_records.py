"""Message sets of magic 0 and 1, the formats before Kafka 0.11.

Exports the compiled classes when they are there and wanted, otherwise their plain
Python twins, which keep the names ``_...Py``. No tasks, no futures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._legacy_builder import (
    _LegacyRecordBatchBuilderPy as _LegacyRecordBatchBuilderPy,
)
from ._legacy_builder import (
    _LegacyRecordMetadataPy as _LegacyRecordMetadataPy,
)
from ._legacy_layout import LegacyRecordBase
from ._legacy_reader import (
    _LegacyRecordBatchPy as _LegacyRecordBatchPy,
)
from ._legacy_reader import (
    _LegacyRecordPy as _LegacyRecordPy,
)
from ._select import choose

__all__ = [
    "LegacyRecord",
    "LegacyRecordBase",
    "LegacyRecordBatch",
    "LegacyRecordBatchBuilder",
    "LegacyRecordMetadata",
]

if TYPE_CHECKING:
    LegacyRecord = _LegacyRecordPy
    LegacyRecordBatch = _LegacyRecordBatchPy
    LegacyRecordBatchBuilder = _LegacyRecordBatchBuilderPy
    LegacyRecordMetadata = _LegacyRecordMetadataPy
else:
    LegacyRecord = choose("LegacyRecord", _LegacyRecordPy)
    LegacyRecordBatch = choose("LegacyRecordBatch", _LegacyRecordBatchPy)
    LegacyRecordBatchBuilder = choose("LegacyRecordBatchBuilder", _LegacyRecordBatchBuilderPy)
    LegacyRecordMetadata = choose("LegacyRecordMetadata", _LegacyRecordMetadataPy)

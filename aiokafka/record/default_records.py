"""Record batches of magic 2, the format of every Kafka since 0.11.

Exports the compiled classes when they are there and wanted
(:data:`aiokafka.util.NO_EXTENSIONS`), otherwise their plain Python twins, which keep
the names ``_...Py``. Both give the same bytes, the same records and the same errors.
No tasks, no futures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._default_builder import (
    _DefaultRecordBatchBuilderPy as _DefaultRecordBatchBuilderPy,
)
from ._default_builder import (
    _DefaultRecordMetadataPy as _DefaultRecordMetadataPy,
)
from ._default_layout import DefaultRecordBase
from ._default_reader import (
    _DefaultRecordBatchPy as _DefaultRecordBatchPy,
)
from ._default_reader import (
    _DefaultRecordPy as _DefaultRecordPy,
)
from ._select import choose

__all__ = [
    "DefaultRecord",
    "DefaultRecordBase",
    "DefaultRecordBatch",
    "DefaultRecordBatchBuilder",
    "DefaultRecordMetadata",
]

if TYPE_CHECKING:
    DefaultRecord = _DefaultRecordPy
    DefaultRecordBatch = _DefaultRecordBatchPy
    DefaultRecordBatchBuilder = _DefaultRecordBatchBuilderPy
    DefaultRecordMetadata = _DefaultRecordMetadataPy
else:
    DefaultRecord = choose("DefaultRecord", _DefaultRecordPy)
    DefaultRecordBatch = choose("DefaultRecordBatch", _DefaultRecordBatchPy)
    DefaultRecordBatchBuilder = choose("DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    DefaultRecordMetadata = choose("DefaultRecordMetadata", _DefaultRecordMetadataPy)

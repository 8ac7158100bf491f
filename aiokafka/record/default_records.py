"""Record batches of magic 2, the format of every Kafka since 0.11.

Exports the compiled classes when they are there and wanted
(:data:`aiokafka.util.NO_EXTENSIONS`), otherwise their plain Python twins, which keep
the names ``_...Py``. Both give the same bytes, the same records and the same errors.
No tasks, no futures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka._on_demand import on_demand

from ._default_layout import DefaultRecordBase
from ._select import compiled

__all__ = [
    "DefaultRecord",
    "DefaultRecordBase",
    "DefaultRecordBatch",
    "DefaultRecordBatchBuilder",
    "DefaultRecordMetadata",
]

if TYPE_CHECKING or compiled is None:
    from ._default_builder import _DefaultRecordBatchBuilderPy as _DefaultRecordBatchBuilderPy
    from ._default_builder import _DefaultRecordMetadataPy as _DefaultRecordMetadataPy
    from ._default_reader import _DefaultRecordBatchPy as _DefaultRecordBatchPy
    from ._default_reader import _DefaultRecordPy as _DefaultRecordPy

    DefaultRecord = _DefaultRecordPy
    DefaultRecordBatch = _DefaultRecordBatchPy
    DefaultRecordBatchBuilder = _DefaultRecordBatchBuilderPy
    DefaultRecordMetadata = _DefaultRecordMetadataPy
else:
    DefaultRecord = compiled.DefaultRecord
    DefaultRecordBatch = compiled.DefaultRecordBatch
    DefaultRecordBatchBuilder = compiled.DefaultRecordBatchBuilder
    DefaultRecordMetadata = compiled.DefaultRecordMetadata
    __getattr__ = on_demand(
        __name__,
        {
            "_DefaultRecordBatchBuilderPy": "aiokafka.record._default_builder",
            "_DefaultRecordBatchPy": "aiokafka.record._default_reader",
            "_DefaultRecordMetadataPy": "aiokafka.record._default_builder",
            "_DefaultRecordPy": "aiokafka.record._default_reader",
        },
    )

"""Splits what a broker returned for a partition into record batches.

Exports the compiled class when it is there and wanted, otherwise its plain Python
twin, ``_MemoryRecordsPy``. Pure computation: no tasks, no futures, no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka._on_demand import on_demand

from ._select import compiled

__all__ = ["MemoryRecords"]

if TYPE_CHECKING or compiled is None:
    from ._memory_reader import _MemoryRecordsPy as _MemoryRecordsPy

    MemoryRecords = _MemoryRecordsPy
else:
    MemoryRecords = compiled.MemoryRecords
    __getattr__ = on_demand(__name__, {"_MemoryRecordsPy": "aiokafka.record._memory_reader"})

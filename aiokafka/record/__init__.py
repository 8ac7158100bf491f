"""Record batches as they lie in produce and fetch requests: encoding and decoding.

Pure code over bytes, in two equal forms: compiled (``_crecords``) and plain Python.
Which one the modules export is decided at import, see
:data:`aiokafka.util.NO_EXTENSIONS`; the other is loaded when somebody asks for it.
No tasks, no futures, no I/O.
"""

from typing import TYPE_CHECKING

from aiokafka._on_demand import on_demand, submodules

from .memory_records import MemoryRecords

__all__ = ["MemoryRecords"]

if not TYPE_CHECKING:  # to a type checker this would make every attribute exist
    _PARTS = ("control_record", "default_records", "legacy_records", "util")
    __getattr__ = on_demand(__name__, submodules(__name__, *_PARTS))

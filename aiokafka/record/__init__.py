"""Record batches as they lie in produce and fetch requests: encoding and decoding.

Pure code over bytes, in two equal forms: compiled (``_crecords``) and plain Python.
Which one the modules export is decided at import, see
:data:`aiokafka.util.NO_EXTENSIONS`. No tasks, no futures, no I/O.
"""

from .memory_records import MemoryRecords

__all__ = ["MemoryRecords"]

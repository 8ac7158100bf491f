"""The per-record code: compiled when that is to be had, else its twin in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.producer._append_py import (
    CALLABLE,
    DEFAULT,
    TOPIC_AWARE,
    Appender,
    BatchRecords,
    BufferPool,
    PartitionSlot,
    TopicRoute,
    too_large,
)
from aiokafka.util import NO_EXTENSIONS

__all__ = [
    "CALLABLE",
    "DEFAULT",
    "TOPIC_AWARE",
    "Appender",
    "BatchRecords",
    "BufferPool",
    "PartitionSlot",
    "TopicRoute",
    "too_large",
]

if not TYPE_CHECKING and not NO_EXTENSIONS:
    try:
        from aiokafka.producer._append import (
            Appender,
            BatchRecords,
            BufferPool,
            PartitionSlot,
            TopicRoute,
        )
    except ImportError:  # not compiled: the twins above stay
        pass

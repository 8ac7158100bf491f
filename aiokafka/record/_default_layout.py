"""Layout of a record batch of magic 2.

Declarations only: no tasks, no futures. From
https://kafka.apache.org/documentation/#recordbatch

::

    Batch                                   Record
      BaseOffset           int64              Length          varint
      BatchLength          int32              Attributes      int8
      PartitionLeaderEpoch int32              TimestampDelta  varlong
      Magic                int8               OffsetDelta     varint
      CRC                  uint32             Key             varint length, bytes
      Attributes           int16              Value           varint length, bytes
      LastOffsetDelta      int32              Headers         varint count, then each:
      FirstTimestamp       int64                Key           varint length, UTF-8
      MaxTimestamp         int64                Value         varint length, bytes
      ProducerId           int64
      ProducerEpoch        int16
      BaseSequence         int32
      Records              int32 count, then each, compressed as a whole
"""

from __future__ import annotations

import struct

__all__ = ["DefaultRecordBase"]


class DefaultRecordBase:
    """Layout and flags of a batch of magic 2."""

    HEADER_STRUCT = struct.Struct(">qiibIhiqqqhii")
    AFTER_LEN_OFFSET = struct.calcsize(">qi")
    CRC_OFFSET = struct.calcsize(">qiib")
    ATTRIBUTES_OFFSET = struct.calcsize(">qiibI")

    CODEC_MASK = 0x07
    CODEC_NONE = 0x00
    CODEC_GZIP = 0x01
    CODEC_SNAPPY = 0x02
    CODEC_LZ4 = 0x03
    CODEC_ZSTD = 0x04
    TIMESTAMP_TYPE_MASK = 0x08
    TRANSACTIONAL_MASK = 0x10
    CONTROL_MASK = 0x20

    LOG_APPEND_TIME = 1
    CREATE_TIME = 0

    NO_PARTITION_LEADER_EPOCH = -1

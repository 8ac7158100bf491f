"""The log of a partition and its idempotent producers."""

from __future__ import annotations

import pytest

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.log import LogOptions, PartitionLog
from aiokafka.testing.producer_state import ProducerState, check_sequence, next_sequence

from .lab import batch

PID = 7


def append(log: PartitionLog, sequence: int, count: int = 1, epoch: int = 0, pid: int = PID):
    values = [b"%d" % (sequence + n) for n in range(count)]
    return log.append(batch(*values, pid=pid, epoch=epoch, sequence=sequence), now_ms=0)


def test_sequences_wrap():
    assert next_sequence(2**31 - 1) == 0
    assert next_sequence(2**31 - 2, 5) == 3


def test_in_order():
    log = PartitionLog()
    assert append(log, 0, 3).base_offset == 0
    assert append(log, 3, 2).base_offset == 3
    assert append(log, 5).base_offset == 5
    assert [r.value for r in log.records()] == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_gap_is_out_of_order():
    log = PartitionLog()
    append(log, 0)
    result = append(log, 2)
    assert result.error == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert "sequence 2" in str(result.message)
    assert log.end_offset == 1


def test_duplicates_of_the_last_five_batches():
    log = PartitionLog()
    for sequence in range(0, 14, 2):
        append(log, sequence, 2)
    for sequence in range(4, 14, 2):
        result = append(log, sequence, 2)
        assert (result.error, result.base_offset, result.duplicate) == (0, sequence, True)
    assert append(log, 2, 2).error == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert log.end_offset == 14
    assert log.duplicates == 5


def test_duplicates_as_error():
    log = PartitionLog(LogOptions(duplicates_as_error=True))
    append(log, 0)
    assert append(log, 0).error == ErrorCode.DUPLICATE_SEQUENCE_NUMBER


def test_unknown_producer():
    log = PartitionLog()
    assert append(log, 5).error == ErrorCode.UNKNOWN_PRODUCER_ID
    lenient = PartitionLog(LogOptions(accept_unknown_producers=True))
    assert append(lenient, 5).error == 0
    log = PartitionLog()
    append(log, 0)
    log.forget_producers()
    assert append(log, 1).error == ErrorCode.UNKNOWN_PRODUCER_ID


def test_epochs():
    log = PartitionLog()
    append(log, 0, 2, epoch=1)
    assert append(log, 2, epoch=0).error == ErrorCode.INVALID_PRODUCER_EPOCH
    assert append(log, 2, epoch=2).error == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert append(log, 0, epoch=2).error == 0
    # Batches of the old epoch are no duplicates any more.
    assert append(log, 0, 2, epoch=1).error == ErrorCode.INVALID_PRODUCER_EPOCH
    assert append(log, 1, epoch=2).error == 0


def test_producers_do_not_disturb_each_other():
    log = PartitionLog()
    assert append(log, 0, pid=1).error == 0
    assert append(log, 0, pid=2).error == 0
    assert append(log, 1, pid=1).error == 0
    assert log.append(batch(b"plain"), now_ms=0).error == 0


def test_sequence_wraps_in_the_log():
    log = PartitionLog(LogOptions(accept_unknown_producers=True))
    assert append(log, 2**31 - 2, 3).error == 0
    assert append(log, 1).error == 0


@pytest.mark.parametrize(
    ("state", "epoch", "first", "expected"),
    [
        (None, 0, 0, ErrorCode.NONE),
        (None, 0, 1, ErrorCode.UNKNOWN_PRODUCER_ID),
        (ProducerState(3), 3, 0, ErrorCode.NONE),
        (ProducerState(3), 3, 1, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (ProducerState(3), 2, 0, ErrorCode.INVALID_PRODUCER_EPOCH),
        (ProducerState(3), 4, 0, ErrorCode.NONE),
        (ProducerState(3), 4, 9, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    ],
)
def test_check_sequence(state, epoch, first, expected):
    assert check_sequence(state, epoch, first) is expected


def test_times():
    log = PartitionLog()
    assert log.max_timestamp() is None
    log.append(batch(b"a", b"b", timestamp=100), now_ms=0)
    log.append(batch(b"c", timestamp=50), now_ms=0)
    assert log.offset_for_time(101) == (1, 101)
    assert log.offset_for_time(1000) is None
    assert log.max_timestamp() == (1, 101)


def test_old_magic_is_refused():
    data = bytearray(batch(b"x"))
    data[16] = 1
    result = PartitionLog().append(bytes(data), now_ms=0)
    assert result.error == ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT


def test_log_append_time_keeps_the_codec_and_the_crc():
    log = PartitionLog(LogOptions(log_append_time=True))
    assert log.append(batch(b"x" * 100, b"y", compression=1), now_ms=777).timestamp == 777
    read = DefaultRecordBatch(log.batches[0].data)
    assert read.validate_crc()
    assert read.compression_type == 1
    assert [record.timestamp for record in read] == [777, 777]

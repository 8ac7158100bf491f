"""What a Fetch finds in one partition: records, or why there are none.

Looks at whole batches only, never into records: simulations fetch thousands of times.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..building import down_converted
from ..codes import ErrorCode
from ..faults import Level
from ..fetch_sessions import Wanted
from ..log import PartitionLog, StoredBatch
from ..stored import CODEC_ZSTD
from ..topics import Partition, Topic
from .leadership import epoch_error, leader_hint

if TYPE_CHECKING:
    from ..received import ReceivedRequest

_FIRST_VERSION_WITH_MAX_BYTES = 3
_FIRST_VERSION_WITH_ZSTD = 10
_FIRST_VERSION_WITH_REPLICAS = 11
_FIRST_VERSION_WITH_HINTS = 16
_READ_COMMITTED = 1
_NO_LIMIT = 1 << 31
_HINTED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


@dataclass(slots=True)
class PartitionRead:
    """What was found in a partition.

    Attributes:
        log: whose changes may have more to find.
        size: bytes of records.
        magic: the newest message format that the client knows.
        may_cut: at ``size``, even in the middle of a batch.
        endpoints: rows of brokers that the answer refers to, by node id.
    """

    wanted: Wanted
    log: PartitionLog | None
    error: int = ErrorCode.NONE
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    batches: list[StoredBatch] = field(default_factory=list)
    size: int = 0
    magic: int = 2
    may_cut: bool = True
    aborted: list[dict[str, int]] | None = None
    preferred: int = -1
    diverging: tuple[int, int] | None = None
    leader: dict[str, int] | None = None
    endpoints: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def urgent(self) -> bool:
        """Whether the answer cannot wait for more records."""
        return bool(self.error) or self.preferred >= 0 or self.diverging is not None

    def row(self) -> dict[str, Any]:
        """Its row in the answer."""
        row: dict[str, Any] = {
            "partition": self.wanted.partition,
            "error_code": self.error,
            "highwater_offset": self.high_watermark,
            "last_stable_offset": self.last_stable_offset,
            "log_start_offset": self.log_start_offset,
            "aborted_transactions": self.aborted,
            "preferred_read_replica": self.preferred,
            "message_set": self._data(),
        }
        if self.diverging is not None:
            epoch, end_offset = self.diverging
            row["diverging_epoch"] = {"epoch": epoch, "end_offset": end_offset}
        if self.leader is not None:
            row["current_leader"] = self.leader
        return row

    def _data(self) -> bytes:
        if self.magic < 2:
            data = b"".join(down_converted(batch, self.magic) for batch in self.batches)
        else:
            data = b"".join([batch.data for batch in self.batches])
        # As from a real broker: the last batch may be cut in the middle.
        return data[: self.size] if self.may_cut and len(data) > self.size else data


class Reader:
    """Reads partitions for one Fetch request.

    Args:
        received: the request.
        error: an error for every partition.
    """

    def __init__(self, received: ReceivedRequest, error: int = ErrorCode.NONE) -> None:
        values = received.values
        self._received = received
        self._error = error
        self._max_bytes = values.get("max_bytes", _NO_LIMIT)
        self._committed = values.get("isolation_level", 0) == _READ_COMMITTED
        self._rack = values.get("rack_id", "")
        self._left = self._max_bytes
        self._at_least_one = received.version >= _FIRST_VERSION_WITH_MAX_BYTES

    def read_all(self, wanted: list[Wanted]) -> list[PartitionRead]:
        """Read partitions one after the other, until there is enough."""
        self._left = self._max_bytes
        self._at_least_one = self._received.version >= _FIRST_VERSION_WITH_MAX_BYTES
        return [self.read(item) for item in wanted]

    def read(self, wanted: Wanted) -> PartitionRead:
        """Read one partition."""
        topic, unknown = self._find(wanted.topic)
        partition = None
        if topic is not None and 0 <= wanted.partition < len(topic.partitions):
            partition = topic.partitions[wanted.partition]
        read = PartitionRead(wanted, None if partition is None else partition.log)
        name = None if topic is None else topic.name
        read.error = self._error or self._received.error(Level.PARTITION, name, wanted.partition)
        if not read.error:
            read.error = self._refusal(wanted, topic, partition, unknown)
        if partition is None:
            read.aborted = []
            return read
        if not read.error:
            self._fill(read, partition)
        if read.error in _HINTED and self._received.version >= _FIRST_VERSION_WITH_HINTS:
            read.leader, read.endpoints = leader_hint(self._received.cluster, partition)
        return read

    def _find(self, topic: str | uuid.UUID) -> tuple[Topic | None, ErrorCode]:
        topics = self._received.cluster.topics
        if isinstance(topic, uuid.UUID):
            return topics.by_id(topic), ErrorCode.UNKNOWN_TOPIC_ID
        return topics.get(topic), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    def _refusal(
        self, wanted: Wanted, topic: Topic | None, partition: Partition | None, unknown: ErrorCode
    ) -> ErrorCode:
        received = self._received
        denied = received.cluster.denied_topics
        if (wanted.topic if topic is None else topic.name) in denied:
            return ErrorCode.TOPIC_AUTHORIZATION_FAILED
        if topic is None:
            return unknown
        if partition is None:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if received.node_id not in partition.replicas:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        stale = epoch_error(partition, wanted.current_leader_epoch)
        if stale:
            return stale
        follower = partition.leader != received.node_id
        if follower and received.version < _FIRST_VERSION_WITH_REPLICAS:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        return ErrorCode.NONE

    def _fill(self, read: PartitionRead, partition: Partition) -> None:
        log, wanted, node = partition.log, read.wanted, self._received.node_id
        read.preferred = self._preferred_replica(partition, wanted.offset)
        read.high_watermark = partition.high_watermark(node)
        read.last_stable_offset = log.last_stable_offset(read.high_watermark)
        read.log_start_offset = log.start_offset
        if read.preferred >= 0:
            return
        if wanted.last_fetched_epoch >= 0:
            known = log.epochs.end_of(wanted.last_fetched_epoch, log.end_offset)
            if known[0] < 0:
                self._out_of_range(read)
                return
            if known[0] < wanted.last_fetched_epoch or known[1] < wanted.offset:
                read.diverging = known
                return
        # A follower's log ends where its high watermark is, for all that it tells.
        end = log.end_offset if node == partition.leader else read.high_watermark
        if not log.start_offset <= wanted.offset <= end:
            self._out_of_range(read)
            return
        self._read_records(read, log)

    @staticmethod
    def _out_of_range(read: PartitionRead) -> None:
        read.error = ErrorCode.OFFSET_OUT_OF_RANGE
        read.high_watermark = read.last_stable_offset = read.log_start_offset = -1

    def _read_records(self, read: PartitionRead, log: PartitionLog) -> None:
        wanted, version = read.wanted, self._received.version
        limit = read.last_stable_offset if self._committed else read.high_watermark
        most = min(wanted.max_bytes, self._left)
        found = log.read(wanted.offset, limit, most, at_least_one=self._at_least_one)
        if self._committed:
            read.aborted = []
        if not found.batches:
            return
        if version < _FIRST_VERSION_WITH_ZSTD and any(
            batch.codec == CODEC_ZSTD for batch in found.batches
        ):
            read.error = ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
            return
        if version >= _FIRST_VERSION_WITH_MAX_BYTES and found.size < len(found.batches[0].data):
            # Not even one batch fits: the next request begins with this partition, or later.
            return
        read.batches, read.size = list(found.batches), found.size
        read.magic = 0 if version < 2 else 1 if version < 4 else 2
        read.may_cut = version != _FIRST_VERSION_WITH_MAX_BYTES
        self._left = max(0, self._left - found.size)
        self._at_least_one = False
        if self._committed:
            end = found.batches[-1].last_offset + 1
            read.aborted = [
                {"producer_id": known.producer_id, "first_offset": known.first_offset}
                for known in log.transactions.aborted_between(wanted.offset, end)
            ]

    def _preferred_replica(self, partition: Partition, offset: int) -> int:
        """The replica that the leader sends the consumer to, -1 for itself (KIP-392)."""
        node = self._received.node_id
        if not self._rack or node != partition.leader:
            return -1
        brokers = self._received.cluster.brokers
        near = [
            replica
            for replica in partition.isr
            if brokers[replica].rack == self._rack
            and not brokers[replica].fenced
            and partition.high_watermark(replica) >= offset >= partition.log.start_offset
        ]
        if not near or node in near:
            return -1
        return max(near, key=partition.high_watermark)

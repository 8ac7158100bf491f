"""What tests write into the logs of a fake cluster, break in them and read from them.

Owns :class:`ClusterLogs`, the part of :class:`~aiokafka.testing.cluster.FakeCluster` that deals
with records.  Everything takes effect at once, without a request.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection

from .building import BatchOptions, RecordLike, build, build_marker, codec_number
from .producer_state import next_sequence
from .stored import StoredRecord
from .topics import Partition, TopicRegistry

__all__ = ["ClusterLogs"]


class ClusterLogs:
    """Records of a cluster."""

    topics: TopicRegistry

    @abstractmethod
    def wall_time_ms(self) -> int:
        """The brokers' clock, in milliseconds since 1970."""

    @abstractmethod
    def changed(self) -> None:
        """Ask the predicates of ``wait_until`` again."""

    # -- reading -------------------------------------------------------------------------------

    def partition(self, topic: str, partition: int = 0) -> Partition:
        """A partition; `KeyError` if there is none."""
        found = self.topics.partition(topic, partition)
        if found is None:
            raise KeyError(f"{topic}-{partition}")
        return found

    def records(self, topic: str, partition: int = 0) -> list[StoredRecord]:
        """The records of a partition: (offset, key, value, headers, timestamp in ms)."""
        found = self.topics.partition(topic, partition)
        return [] if found is None else list(found.log.records())

    def values(self, topic: str) -> list[bytes | None]:
        """The values of a topic's records, partition by partition, in order."""
        found = self.topics.get(topic)
        if found is None:
            return []
        return [record.value for part in found.partitions for record in part.log.records()]

    # -- writing -------------------------------------------------------------------------------

    def append(
        self,
        topic: str,
        partition: int,
        *records: RecordLike,
        codec: str | int | None = None,
        magic: int = 2,
        timestamp: int | None = None,
        producer_id: int = -1,
        producer_epoch: int = 0,
        transactional: bool = False,
        skip: int = 0,
    ) -> int:
        """Append records as one batch, as the partition's leader would; returns the first offset.

        Args:
            topic, partition: where to; `KeyError` if it does not exist.
            records: each a value, a pair ``(key, value)`` or a
                :class:`~aiokafka.testing.building.NewRecord`.
            codec: ``"gzip"``, ``"snappy"``, ``"lz4"``, ``"zstd"``, or a number; those from 5 to 7
                make a batch that nobody can decode.
            magic: 0 and 1 are the formats before Kafka 0.11, without headers; each record is a
                message of its own then, unless there is a codec.
            timestamp: in milliseconds, for records without their own (default: the brokers'
                clock).
            producer_id: of an idempotent or transactional producer; its sequence goes on where
                the last batch of the producer ended.
            producer_epoch: of that producer.
            transactional: the batch belongs to the producer's transaction, which is open until
                :meth:`end_transaction`.
            skip: leave so many offsets out before the batch, as compaction does.

        Raises:
            ValueError: no records, or headers with an old magic.
            UnsupportedCodecError: the codec is not installed.
        """
        found = self.partition(topic, partition)
        log = found.log
        sequence = -1
        if producer_id >= 0:
            state = log.producers.get(producer_id)
            known = state is not None and state.epoch == producer_epoch
            sequence = next_sequence(state.last_sequence) if known and state is not None else 0
        now = self.wall_time_ms()
        options = BatchOptions(
            base_offset=log.end_offset + skip,
            leader_epoch=found.leader_epoch,
            timestamp=now if timestamp is None else timestamp,
            magic=magic,
            codec=codec_number(codec),
            producer_id=producer_id,
            producer_epoch=producer_epoch if producer_id >= 0 else -1,
            sequence=sequence,
            transactional=transactional,
            append_time=now if log.options.log_append_time and magic == 2 else None,
        )
        for batch in build(records, options):
            log.add(batch)
        self.changed()
        return options.base_offset

    def end_transaction(
        self,
        topic: str,
        partition: int,
        producer_id: int,
        *,
        commit: bool,
        producer_epoch: int = 0,
    ) -> int:
        """Write the marker that commits or aborts a producer's transaction; returns its offset."""
        found = self.partition(topic, partition)
        offset = found.log.end_offset
        options = BatchOptions(
            base_offset=offset,
            leader_epoch=found.leader_epoch,
            timestamp=self.wall_time_ms(),
            producer_id=producer_id,
            producer_epoch=producer_epoch,
        )
        found.log.add(build_marker(commit, options))
        self.changed()
        return offset

    # -- losing and breaking -------------------------------------------------------------------

    def truncate(self, topic: str, partition: int, offset: int, *, to: int | None = None) -> int:
        """Lose the end of a log, as after an unclean election; returns the new end offset.

        A new leader epoch begins there.  Whole batches are lost, so the end may be before
        ``offset``.

        Args:
            topic, partition: whose log.
            offset: the first offset that is lost.
            to: node id of the new leader (default: the old one leads on, in the new epoch).
        """
        found = self.partition(topic, partition)
        end = found.log.truncate(offset)
        found.begin_epoch(found.leader if to is None else to)
        self.changed()
        return end

    def delete_records(self, topic: str, partition: int, offset: int) -> None:
        """Let a log start at ``offset``, as retention or DeleteRecords does.

        Raises:
            ValueError: the log does not reach so far.
        """
        self.partition(topic, partition).log.advance_start(offset)
        self.changed()

    def compact(
        self, topic: str, partition: int, offsets: Collection[int], *, keep_empty: bool = False
    ) -> None:
        """Take records out of the middle of a log; the others keep their offsets.

        Args:
            topic, partition: whose log.
            offsets: of the records to take out.
            keep_empty: keep the headers of batches that lost all their records, as brokers do
                for the last batch of a producer.
        """
        self.partition(topic, partition).log.compact(offsets, keep_empty=keep_empty)
        self.changed()

    def corrupt(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        at: int = -1,
        data: bytes | None = None,
    ) -> Callable[[], None]:
        """Flip the bits of a byte in the batch that holds ``offset``; returns what repairs it.

        Args:
            topic, partition: whose log.
            offset: an offset in the batch; `KeyError` if no batch holds it.
            at: which byte of the batch, negative numbers count from its end.  Bytes from 21 on
                are under its checksum; 16 is its magic, 8 to 11 are its length.
            data: what to have in the batch's place instead.
        """
        log = self.partition(topic, partition).log
        healthy = log.batch_at(offset).data
        if data is None:
            changed = bytearray(healthy)
            changed[at] ^= 0xFF
            data = bytes(changed)
        log.replace_data(offset, data)
        self.changed()

        def repair() -> None:
            log.replace_data(offset, healthy)
            self.changed()

        return repair

    def set_lag(self, topic: str, partition: int, node_id: int, records: int) -> None:
        """Let a replica be so many records behind; for the leader: let its last so many records
        be uncommitted, beyond the high watermark."""
        found = self.partition(topic, partition)
        found.lags[node_id] = records
        found.log.notify()
        self.changed()

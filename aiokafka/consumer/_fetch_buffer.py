"""What was fetched and not taken yet, block by block.

The first block of each partition, its head, is in :attr:`FetchBuffer.heads`, in the order in
which partitions get their turn; further ones queue up behind it.  A partition whose block is used
up, or that has had its share, goes to the end of the order.

Pure: no I/O, no clock, no task.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from aiokafka.consumer._assignment import TopicPartitionState
from aiokafka.consumer._results import FetchError, FetchResult
from aiokafka.structs import TopicPartition

Entry: TypeAlias = FetchResult | FetchError


class Block:
    """An entry of the buffer with what the fetcher has to know of it."""

    __slots__ = ("entry", "leader_epoch", "next_offset", "size", "skip_to", "state", "version")

    def __init__(
        self,
        entry: Entry,
        size: int = 0,
        next_offset: int = -1,
        leader_epoch: int = -1,
        skip_to: int = -1,
        state: TopicPartitionState | None = None,
        version: int = -1,
    ) -> None:
        self.entry = entry
        #: Bytes of memory it is counted with.
        self.size = size
        #: Where to go on fetching after it; -1: not before it was taken.
        self.next_offset = next_offset
        #: Leader epoch of its last batch, -1 when unknown.
        self.leader_epoch = leader_epoch
        #: For an error about a record that cannot be read by any means: the offset behind it.
        self.skip_to = skip_to
        #: What it is about, and the version of the position it was made for.
        self.state = state
        self.version = version

    @property
    def outdated(self) -> bool:
        """Has the position been given up or set anew since?"""
        return self.state is not None and self.state.version != self.version


class FetchBuffer:
    """Blocks by partition.

    Attributes:
        heads: what is to be taken next from each partition, in the order of their turns.
        bytes: memory that all blocks are counted with.
    """

    def __init__(self) -> None:
        self.heads: dict[TopicPartition, Entry] = {}
        self.bytes = 0
        self._queues: dict[TopicPartition, deque[Block]] = {}

    def __repr__(self) -> str:
        return f"<FetchBuffer {len(self.heads)} partitions, {self.bytes} bytes>"

    def put(self, tp: TopicPartition, block: Block) -> None:
        """Add a block behind those of *tp*."""
        queue = self._queue(tp)
        if queue is None:
            queue = self._queues[tp] = deque()
        if tp not in self.heads:
            self.heads[tp] = block.entry
        queue.append(block)
        self.bytes += block.size

    def _queue(self, tp: TopicPartition) -> deque[Block] | None:
        """The blocks of *tp*, if they are about what is in :attr:`heads`, which is open to
        others."""
        queue = self._queues.get(tp)
        if queue is not None and self.heads.get(tp) is not queue[0].entry:
            self._forget(tp)
            return None
        return queue

    def _forget(self, tp: TopicPartition) -> None:
        for block in self._queues.pop(tp, ()):
            self.bytes -= block.size

    def head(self, tp: TopicPartition) -> Block | None:
        """The first block of *tp*; None when somebody else has put what is there."""
        queue = self._queue(tp)
        return None if queue is None else queue[0]

    def last(self, tp: TopicPartition) -> Block | None:
        """The last block of *tp*, None without one."""
        queue = self._queue(tp)
        return None if queue is None else queue[-1]

    def blocks_of(self, tp: TopicPartition) -> int:
        """How many blocks of *tp* there are."""
        queue = self._queue(tp)
        return int(tp in self.heads) if queue is None else len(queue)

    def bytes_of(self, tp: TopicPartition) -> int:
        """Memory that the blocks of *tp* are counted with."""
        queue = self._queue(tp)
        return 0 if queue is None else sum(block.size for block in queue)

    def next_turn(self, tp: TopicPartition) -> None:
        """*tp* has had its share: let the others have theirs."""
        head = self.heads.pop(tp, None)
        if head is not None:
            self.heads[tp] = head

    def used_up(self, tp: TopicPartition) -> None:
        """Remove the head of *tp*; the block behind it becomes the head, at the end of the
        order."""
        queue = self._queue(tp)
        self.heads.pop(tp, None)
        if queue is None:
            return
        self.bytes -= queue.popleft().size
        if queue:
            self.heads[tp] = queue[0].entry
        else:
            del self._queues[tp]

    def drop(self, tp: TopicPartition) -> bool:
        """Remove everything of *tp*; False when there was nothing."""
        self._forget(tp)
        return self.heads.pop(tp, None) is not None

    def clear(self) -> None:
        """Remove everything."""
        self.heads.clear()
        self._queues.clear()
        self.bytes = 0

    def partitions(self) -> list[TopicPartition]:
        """Partitions of which there is something."""
        return list(self.heads)

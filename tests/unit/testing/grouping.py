"""A member of a group, by hand: it says what a test has it say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka.protocol.commit import (
    OffsetCommitRequest,
    OffsetFetchRequest,
    commit_results,
    committed_offsets,
)
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    joined_members,
    leave_error_code,
)
from aiokafka.testing.broker import FakeBroker
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode

from .lab import RawClient

JOIN, HEARTBEAT, LEAVE, SYNC, COMMIT, FETCH = 11, 12, 13, 14, 8, 9
NEWEST = {JOIN: 9, HEARTBEAT: 4, LEAVE: 5, SYNC: 5, COMMIT: 10, FETCH: 10}
OLD = {JOIN: 2, HEARTBEAT: 2, LEAVE: 2, SYNC: 2, COMMIT: 5, FETCH: 5}


class Partner:
    """A consumer's side of membership in the group "g"."""

    def __init__(
        self,
        client: RawClient,
        cluster: FakeCluster,
        *,
        instance_id: str | None = None,
        session: float = 10.0,
        rebalance: float = 60.0,
        protocols: Sequence[tuple[str, bytes]] = (("range", b"sub"),),
        versions: dict[int, int] | None = None,
    ) -> None:
        self.client = client
        self.cluster = cluster
        self.instance_id = instance_id
        self.session = session
        self.rebalance = rebalance
        self.protocols = list(protocols)
        self.versions = versions or NEWEST
        self.member_id = ""
        self.generation = -1
        self.leader = ""
        self.members: list[Any] = []
        self.protocol: str | None = None
        self.answer: Any = None

    @classmethod
    async def connect(cls, cluster: FakeCluster, **options: Any) -> Partner:
        broker: FakeBroker | None = cluster.coordinator_of("g")
        assert broker is not None
        return cls(await RawClient.connect(broker), cluster, **options)

    @property
    def leads(self) -> bool:
        return self.leader == self.member_id

    async def ask(self, request: Any, api: int) -> Any:
        return await self.client.ask(request, self.versions[api])

    async def join_once(self, reason: str | None = None) -> int:
        request = JoinGroupRequest(
            "g",
            int(self.session * 1000),
            int(self.rebalance * 1000),
            self.member_id,
            self.instance_id,
            "consumer",
            self.protocols,
            reason=reason,
        )
        self.answer = answer = await self.ask(request, JOIN)
        if answer.error_code in (0, ErrorCode.MEMBER_ID_REQUIRED):
            self.member_id = answer.member_id
        if not answer.error_code:
            self.generation = answer.generation_id
            self.leader = answer.leader_id
            self.protocol = answer.group_protocol
            self.members = joined_members(answer)
        return int(answer.error_code)

    async def join(self, reason: str | None = None) -> int:
        error = await self.join_once(reason)
        if error == ErrorCode.MEMBER_ID_REQUIRED:
            error = await self.join_once(reason)
        return error

    async def sync(self, **options: Any) -> tuple[int, bytes]:
        """The leader assigns everybody his own id."""
        rows = [(row.member_id, row.member_id.encode()) for row in self.members]
        names = {"protocol_type": "consumer", "protocol_name": self.protocol or "range", **options}
        if self.versions[SYNC] < 5:
            names = {}
        request = SyncGroupRequest(
            "g",
            self.generation,
            self.member_id,
            self.instance_id,
            rows if self.leads else [],
            **names,
        )
        answer = await self.ask(request, SYNC)
        return answer.error_code, bytes(answer.member_assignment)

    async def enter(self, reason: str | None = None) -> bytes:
        """Join and sync, as often as others ask for it; the assignment."""
        while True:
            error = await self.join(reason)
            if not error:
                error, assignment = await self.sync()
                if not error:
                    return assignment
            assert error == ErrorCode.REBALANCE_IN_PROGRESS, error

    async def heartbeat(self, generation: int | None = None) -> int:
        request = HeartbeatRequest(
            "g",
            self.generation if generation is None else generation,
            self.member_id,
            group_instance_id=self.instance_id,
        )
        return int((await self.ask(request, HEARTBEAT)).error_code)

    async def beat(self, until: int = 0, every: float = 1.0) -> int:
        """Heartbeats until one is answered otherwise."""
        while not (error := await self.heartbeat()):
            await asyncio.sleep(every)
        assert error == until or not until
        return error

    async def leave(self, reason: str | None = None) -> int:
        request = LeaveGroupRequest(
            "g", self.member_id, group_instance_id=self.instance_id, reason=reason
        )
        return leave_error_code(await self.ask(request, LEAVE))

    async def commit(self, rows: Any, version: int | None = None, **options: Any) -> list[int]:
        """The error codes of an OffsetCommit of ``{topic: [(partition, offset, ...)]}``."""
        topics = [
            (topic, [(*row, "")[:3] if len(row) < 3 else row for row in parts])
            for topic, parts in rows.items()
        ]
        request = OffsetCommitRequest(
            "g",
            options.get("generation", self.generation),
            options.get("member_id", self.member_id),
            -1,
            topics,
            group_instance_id=options.get("instance_id", self.instance_id),
            topic_ids=ids_of(self.cluster),
        )
        answer = await self.client.ask(request, version or self.versions[COMMIT])
        return [error for _, _, error in commit_results(answer)]

    async def committed(
        self, rows: Any, version: int | None = None, **options: Any
    ) -> tuple[int, dict[tuple[str, int], tuple[int, str | None, int, int]]]:
        """The group's error and (offset, metadata, epoch, error) by partition."""
        request = OffsetFetchRequest(
            "g",
            None if rows is None else list(rows.items()),
            topic_ids=ids_of(self.cluster),
            **options,
        )
        answer = await self.client.ask(request, version or self.versions[FETCH])
        names = {topic.topic_id: topic.name for topic in self.cluster.topics}
        error, found = committed_offsets(answer, names)
        return error, {
            (row.topic, row.partition): (
                row.offset,
                row.metadata,
                row.leader_epoch,
                row.error_code,
            )
            for row in found
        }


def ids_of(cluster: FakeCluster) -> dict[str, Any]:
    return {topic.name: topic.topic_id for topic in cluster.topics}


async def enter_all(*partners: Partner) -> list[bytes]:
    """Have them all join one generation."""
    return list(await asyncio.gather(*(partner.enter() for partner in partners)))

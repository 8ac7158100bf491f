"""What is asked of which node, from states made up."""

from __future__ import annotations

import random
import uuid
from types import SimpleNamespace

import pytest

from aiokafka._retry import Backoff
from aiokafka.consumer._assignment import Assignment
from aiokafka.consumer._fetch_buffer import Block, FetchBuffer
from aiokafka.consumer._fetch_plan import FetchInquiry, FetchSettings, Planner
from aiokafka.consumer._fetch_progress import Inquiry, Progress
from aiokafka.consumer._results import FetchError
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition
from tests.unit.consumer.fetch_lab import TP, TP1, TP2, virtual

SETTINGS = {
    "min_bytes": 1, "max_bytes": 5000, "max_wait": 0.5, "max_partition_bytes": 1000,
    "buffer_bytes": 10_000, "isolation_level": 0, "rack_id": "",
}  # fmt: skip


class Desk:
    """A planner, with three partitions at positions 10, 11, 12 that nodes 0, 1, 2 lead."""

    def __init__(self, *tps, **settings):
        self.now = 100.0
        self.leaders = {TP: 0, TP1: 1, TP2: 2}
        self.epochs: dict = {}
        self.errors: dict = {}
        self.cluster = SimpleNamespace(
            leader_for_partition=lambda tp: self.leaders.get(tp),
            leader_epoch=lambda tp: self.epochs.get(tp, -1),
            topic_error=lambda topic: self.errors.get(topic),
            topic_ids={"t": uuid.UUID(int=1)},
        )
        self.buffer = FetchBuffer()
        self.progress = Progress(self.buffer)
        self.replicas: dict = {}
        self.busy: set[int] = set()
        self.planner = Planner(
            lambda: self.cluster,
            FetchSettings(**{**SETTINGS, **settings}),
            buffer=self.buffer,
            progress=self.progress,
            select=lambda tp: self.replicas.get(tp, self.leaders.get(tp)),
            clock=lambda: self.now,
            backoff=Backoff(0.1, 1),
            rng=random.Random(1),
        )
        self.assignment = Assignment(tps or (TP, TP1, TP2))
        for number, (_, state) in enumerate(self.assignment.states):
            state.seek(10 + number)

    def state(self, tp=TP):
        return self.assignment.state_value(tp)

    def plan(self):
        return self.planner.plan(self.assignment, self.busy)

    def rows(self, plan=None):
        plan = plan or self.plan()
        return {
            node: [row for _, rows in request.topics for row in rows]
            for node, request in plan.fetches
        }

    def buffered(self, *sizes, tp=TP, epoch=-1):
        """Put blocks of one offset each."""
        state = self.state(tp)
        for size in sizes:
            offset = self.progress.fetch_position(tp, state)
            block = Block(SimpleNamespace(), size, offset + 1, epoch, 0, state, state.version)
            self.buffer.put(tp, block)


@virtual
async def test_each_leader_is_asked():
    desk = Desk()
    assert desk.rows() == {
        0: [(0, 10, 1000, -1)],
        1: [(1, 11, 1000, -1)],
        2: [(2, 12, 1000, -1)],
    }
    desk.busy = {1}
    assert set(desk.rows()) == {0, 2}
    desk.leaders[TP1] = 2
    assert [row[0] for row in desk.rows()[2]] == [1, 2]
    desk.replicas[TP] = 5
    assert set(desk.rows()) == {5, 2}
    desk.epochs[TP] = 7
    assert desk.rows()[5] == [(0, 10, 1000, 7)]


@virtual
async def test_planning_twice_is_planning_once():
    desk = Desk()
    assert desk.rows() == desk.rows()


@virtual
async def test_positions_that_are_not_known():
    desk = Desk()
    desk.state(TP).await_reset(-1)
    desk.state(TP1).forget_position()
    plan = desk.plan()
    assert plan.resets == {0: [TP]}
    assert plan.committed == [TP1]
    assert set(desk.rows(plan)) == {2}
    desk.progress.get(TP).lookup = Inquiry(0, 0)
    desk.progress.get(TP1).committed = object()
    plan = desk.plan()
    assert (plan.resets, plan.committed) == ({}, [])
    desk.leaders[TP] = 2
    plan = desk.plan()
    assert plan.resets == {2: [TP]}, "the leader is another one now"
    assert plan.fetches[0][1]._max_wait_time == 100, "it may be wanted any moment"


@virtual
async def test_paused_partitions():
    desk = Desk()
    desk.state().pause()
    plan = desk.plan()
    assert set(desk.rows(plan)) == {1, 2}
    assert plan.resume_futures == [desk.state().resume_fut]
    desk.state().await_reset(-1)
    assert desk.plan().resets == {0: [TP]}, "its position may be asked for"


@virtual
async def test_partitions_without_a_leader():
    desk = Desk()
    desk.leaders = {TP: -1, TP1: 1}
    plan = desk.plan()
    assert plan.leaderless == [TP, TP2]
    assert set(desk.rows(plan)) == {1}
    assert desk.planner.hopeless(TP) is None
    desk.errors["t"] = TopicAuthorizationFailedError
    assert isinstance(desk.planner.hopeless(TP), TopicAuthorizationFailedError)


@virtual
async def test_backing_off():
    desk = Desk(TP)
    desk.plan()
    progress = desk.progress.get(TP)
    delays = []
    for _ in range(8):
        desk.planner.failed(progress, KafkaError("x"))
        plan = desk.plan()
        assert plan.fetches == []
        delays.append(plan.look_again - desk.now)
        desk.now = plan.look_again
        assert desk.plan().fetches
    assert delays[0] == pytest.approx(0.1, rel=0.2)
    assert delays[-1] == pytest.approx(1.0, rel=0.2)
    progress.succeeded()
    desk.planner.failed(progress, KafkaError("x"))
    assert desk.plan().look_again - desk.now == pytest.approx(0.1, rel=0.2)
    assert progress.last_error is not None


@virtual
async def test_nothing_is_fetched_behind_an_error():
    desk = Desk()
    desk.plan()
    desk.buffer.put(TP, Block(FetchError(error=KafkaError(), backoff=0)))
    assert set(desk.rows()) == {1, 2}


@virtual
async def test_fetching_ahead():
    desk = Desk(TP)
    desk.plan()
    desk.buffered(5000)
    assert desk.rows() == {0: [(0, 11, 1000, -1)]}, "one block ahead, whatever its size"
    desk.buffered(1)
    assert desk.rows() == {}
    desk.buffer.used_up(TP)
    desk.buffered(400, 400)
    assert desk.rows() == {0: [(0, 14, 1000, -1)]}
    desk.buffered(400)
    assert desk.rows() == {}


@virtual
async def test_a_request_that_leaves_out_full_partitions_is_short():
    desk = Desk()
    desk.leaders = dict.fromkeys(desk.leaders, 0)
    assert desk.plan().fetches[0][1]._max_wait_time == 500
    desk.buffered(1000, 1000)
    [(_, request)] = desk.plan().fetches
    assert request._max_wait_time == 100
    assert [row[0] for row in request.topics[0][1]] == [1, 2]


@virtual
async def test_a_position_that_has_moved_drops_what_was_fetched():
    desk = Desk(TP)
    desk.plan()
    desk.buffered(10, 10)
    desk.progress.get(TP).fetch = Inquiry(0, 0)
    desk.state().seek(77)
    assert desk.rows() == {0: [(0, 77, 1000, -1)]}
    assert desk.buffer.bytes == 0
    assert desk.progress.get(TP).fetch is None


@virtual
async def test_partitions_that_are_gone_are_forgotten():
    desk = Desk()
    desk.plan()
    desk.buffered(10)
    desk.assignment.update(taken=[TP])
    desk.plan()
    assert desk.buffer.bytes == 0
    assert desk.progress.get(TP) is None
    other = Assignment([TP1])
    before = desk.progress.get(TP1)
    desk.planner.plan(other, ())
    assert desk.progress.get(TP1) is not before


# Validation


@virtual
async def test_validation_is_due_when_the_leader_changes():
    desk = Desk(TP)
    desk.epochs[TP] = 5
    desk.state().reset_to(10, 5)
    assert set(desk.rows()) == {0}
    desk.epochs[TP] = 6
    plan = desk.plan()
    assert plan.validations == {0: [TP]}
    assert plan.fetches == []
    desk.progress.get(TP).validation = Inquiry(0, 0)
    assert desk.plan().validations == {}
    desk.leaders[TP] = 3
    assert desk.plan().validations == {3: [TP]}
    desk.progress.get(TP).validated_epoch = 6
    assert set(desk.rows()) == {3}


@virtual
async def test_what_was_fetched_ahead_is_what_is_validated():
    desk = Desk(TP)
    desk.epochs[TP] = 6
    desk.state().reset_to(10, 5)
    desk.plan()
    desk.buffered(10, epoch=6)
    assert desk.plan().validations == {}
    desk.epochs[TP] = 7
    assert desk.plan().validations == {0: [TP]}


@virtual
async def test_nothing_to_validate():
    desk = Desk(TP)
    desk.epochs[TP] = 6
    assert set(desk.rows()) == {0}, "nothing is known of the position"
    desk.state().reset_to(10, 9)
    assert set(desk.rows()) == {0}, "what is known here is older"


# Memory


@virtual
async def test_requests_are_as_large_as_there_is_memory():
    desk = Desk(buffer_bytes=2500)
    sizes = {node: request._max_bytes for node, request in desk.plan().fetches}
    assert sizes == {0: 1000, 1: 1000}
    assert desk.planner.short_of_memory
    desk.leaders = dict.fromkeys(desk.leaders, 0)
    [(_, request)] = desk.plan().fetches
    assert request._max_bytes == 2500
    desk.planner.inquiries[inquiry(0, 1000)] = None
    assert desk.plan().fetches[0][1]._max_bytes == 1500
    desk.buffered(600)
    assert desk.plan().fetches == []


def inquiry(node_id, reserved, starved=False):
    return FetchInquiry(node_id, 0.0, None, reserved=reserved, starved=starved, wait=0.5)


@virtual
async def test_who_has_waited_longest_is_first():
    desk = Desk(buffer_bytes=1000)
    desk.plan()
    for tp, last in ((TP, 5.0), (TP1, 3.0), (TP2, 4.0)):
        desk.progress.get(tp).last_fetch = last
    assert set(desk.rows()) == {1}
    desk.progress.get(TP1).last_fetch = 6.0
    assert set(desk.rows()) == {2}


@virtual
async def test_the_hungry_get_something_all_the_same():
    desk = Desk(buffer_bytes=1000)
    desk.plan()
    desk.buffered(900)
    assert desk.rows() == {}
    desk.planner.hungry = (TP2,)
    [(node, request)] = desk.plan().fetches
    assert node == 2
    assert request._max_wait_time == 100
    assert request.inquiry.starved
    desk.planner.inquiries[request.inquiry] = None
    assert desk.rows() == {}, "one at a time"
    desk.planner.inquiries.clear()
    desk.planner.hungry = ()
    assert len(desk.plan().fetches) == 1
    desk.planner.hungry = (TP,)
    assert desk.rows() == {}, "something of it is there already"


# Health


@virtual
async def test_how_it_is_going():
    desk = Desk()
    desk.plan()

    def status(tp=TP):
        return desk.planner.describe(tp, desk.progress.of(tp, desk.state(tp)), desk.now)

    assert status().status == "idle"
    assert status().last_fetch_age is None
    desk.progress.get(TP).fetch = Inquiry(4, 0)
    desk.progress.get(TP).last_fetch = 98.5
    assert (status().status, status().node_id, status().last_fetch_age) == ("fetching", 4, 1.5)
    desk.progress.get(TP).fetch = None
    desk.buffered(1000, 1000)
    assert (status().status, status().buffered_bytes, status().buffered_blocks) == (
        "buffered",
        2000,
        2,
    )
    error = KafkaError("x")
    desk.planner.failed(desk.progress.get(TP), error)
    assert (status().status, status().last_error) == ("backing off", error)
    desk.state().pause()
    assert status().status == "paused"
    desk.state(TP1).await_reset(-1)
    assert status(TP1).status == "positioning"
    desk.progress.get(TP2).validation = Inquiry(2, 0)
    assert status(TP2).status == "validating"
    desk.buffer.put(TP2, Block(FetchError(error=error, backoff=0)))
    assert status(TP2).status == "failed"
    assert isinstance(TP2, TopicPartition)

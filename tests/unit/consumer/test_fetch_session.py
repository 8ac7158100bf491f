"""What a fetch session says and does not say again (KIP-227)."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka import errors as Errors
from aiokafka.consumer._fetch_session import FetchSession
from aiokafka.structs import TopicPartition

A, B, C = (TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0))
IDS = {"a": uuid.UUID(int=1), "b": uuid.UUID(int=2)}
INT32_MAX = 2**31 - 1


def row(tp, offset=0):
    return tp.partition, offset, 100, -1


def established(rows, ids=IDS):
    session = FetchSession()
    session.answered(session.next_request(rows, ids), 77)
    return session


def test_the_first_request_says_everything():
    session = FetchSession()
    rows = {A: row(A), C: row(C)}
    request = session.next_request(rows, IDS)
    assert (request.session_id, request.epoch, request.incremental) == (0, 0, False)
    assert request.changed == request.rows == rows
    assert request.forgotten == ()
    assert request.topic_ids == IDS


def test_then_only_what_has_changed():
    session = established({A: row(A), B: row(B), C: row(C)})
    request = session.next_request({A: row(A, 5), B: row(B)}, IDS)
    assert (request.session_id, request.epoch, request.incremental) == (77, 1, True)
    assert request.changed == {A: row(A, 5)}
    assert request.forgotten == (C,)
    assert request.topic_ids == IDS, "the id of what is forgotten is needed, too"
    session.answered(request, 77)
    again = session.next_request({A: row(A, 5), B: row(B)}, IDS)
    assert (again.epoch, again.changed, again.forgotten) == (2, {}, ())


def test_a_request_that_is_not_sent_changes_nothing():
    session = established({A: row(A)})
    first = session.next_request({A: row(A, 1)}, IDS)
    assert session.next_request({A: row(A, 1)}, IDS) == first


def test_a_broker_without_sessions():
    session = FetchSession()
    session.answered(session.next_request({A: row(A)}, IDS), 0)
    request = session.next_request({A: row(A)}, IDS)
    assert (request.session_id, request.epoch, request.changed) == (0, 0, {A: row(A)})


def test_a_session_the_broker_has_forgotten():
    session = established({A: row(A)})
    session.refused(Errors.FetchSessionIdNotFound)
    request = session.next_request({A: row(A)}, IDS)
    assert (request.session_id, request.epoch) == (0, 0)


@pytest.mark.parametrize(
    "error", [Errors.InvalidFetchSessionEpoch, Errors.FetchSessionTopicIdError]
)
def test_a_session_out_of_step_is_replaced(error):
    session = established({A: row(A)})
    session.refused(error)
    request = session.next_request({A: row(A)}, IDS)
    assert (request.session_id, request.epoch, request.changed) == (77, 0, {A: row(A)})


def test_a_lost_answer_begins_a_new_session():
    session = established({A: row(A)})
    session.lost()
    request = session.next_request({A: row(A)}, IDS)
    assert (request.session_id, request.epoch) == (77, 0)


def test_epochs_wrap():
    session = established({A: row(A)})
    session.epoch = INT32_MAX
    session.answered(session.next_request({A: row(A)}, IDS), 77)
    assert session.epoch == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (IDS, {**IDS, "a": uuid.UUID(int=9)}),  # the topic was made again
        (IDS, {}),  # its id is not known any more
        ({}, IDS),  # now it is
    ],
)
def test_a_change_of_topic_ids_begins_a_new_session(before, after):
    session = established({A: row(A)}, before)
    request = session.next_request({A: row(A)}, after)
    assert (request.session_id, request.epoch) == (77, 0)


def test_a_session_without_ids_stays_one():
    session = established({A: row(A)}, {})
    assert session.next_request({A: row(A), C: row(C)}, {"a": IDS["a"]}).incremental


def test_closing():
    session = established({A: row(A)})
    assert session.close() == 77
    assert session.close() == 0
    assert session.next_request({A: row(A)}, IDS).epoch == 0


TPS = st.sampled_from([A, B, C])
ROUNDS = st.lists(
    st.tuples(
        st.dictionaries(TPS, st.integers(0, 3), min_size=1),
        st.sampled_from(["answer", "answer", "answer", "lose", "forget", "out of step"]),
    ),
    max_size=20,
)


@given(ROUNDS)
def test_both_sides_agree_whatever_happens(rounds):
    """A broker that follows the protocol always knows exactly the rows wanted."""
    session = FetchSession()
    known: dict[int, dict] = {}
    ids = iter(range(1, 100))
    for offsets, fate in rounds:
        rows = {tp: row(tp, offset) for tp, offset in offsets.items()}
        request = session.next_request(rows, IDS)
        if request.epoch == 0:
            known.pop(request.session_id, None)
            session_id = next(ids)
            known[session_id] = dict(request.changed)
        else:
            session_id = request.session_id
            if session_id not in known:
                session.refused(Errors.FetchSessionIdNotFound)
                continue
            for tp in request.forgotten:
                del known[session_id][tp]
            known[session_id].update(request.changed)
        assert known[session_id] == rows
        if fate == "answer":
            session.answered(request, session_id)
        elif fate == "lose":
            session.lost()
        elif fate == "forget":
            session.answered(request, session_id)
            del known[session_id]
        else:
            session.refused(Errors.InvalidFetchSessionEpoch)

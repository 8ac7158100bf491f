"""Outcomes of items over several attempts, and the results that come of them."""

from __future__ import annotations

import pytest

from aiokafka.admin._outcomes import Outcomes, error_of
from aiokafka.admin.results import Results
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    NonEmptyGroup,
    NotCoordinatorForGroupError,
    UnknownError,
    UnknownTopicOrPartitionError,
)


def test_results() -> None:
    error = NonEmptyGroup("b")
    results: Results[str, int] = Results({"a": 1, "b": 2}, {"a": 1}, {"b": error})
    assert list(results) == ["a", "b"]
    assert len(results) == 2
    assert "b" in results
    assert "c" not in results
    assert results["a"] == 1
    with pytest.raises(NonEmptyGroup):
        results["b"]
    with pytest.raises(KeyError):
        results["c"]
    with pytest.raises(NonEmptyGroup):
        results.check()
    assert "NonEmptyGroup" in repr(results)
    assert Results({"a": 1}, {"a": 1}, {}).check() == {"a": 1}


def test_items_keep_their_order_and_their_first_outcome() -> None:
    outcomes: Outcomes[str, int] = Outcomes("cab")
    assert not outcomes.answered
    outcomes.succeed("b", 1)
    outcomes.succeed("b", 2)
    outcomes.fail("b", KafkaError())
    outcomes.succeed("unasked", 3)
    outcomes.fail("a", NonEmptyGroup("a"))
    assert outcomes.answered
    assert list(outcomes.pending) == ["c"]
    outcomes.succeed("c", 4)
    results = outcomes.results()
    assert list(results) == ["c", "a", "b"]
    assert results.succeeded == {"c": 4, "b": 1}


def test_what_passes_is_left_for_the_next_attempt() -> None:
    outcomes: Outcomes[str, int] = Outcomes(["a"])
    outcomes.take("a", NotCoordinatorForGroupError.errno, None, 0)
    outcomes.fail("a", ConnectionResetError())
    outcomes.fail("a", KafkaTimeoutError())
    assert isinstance(outcomes.reason(), KafkaTimeoutError)
    assert "a" in outcomes.pending


def test_an_unknown_topic_is_believed_the_third_time() -> None:
    outcomes: Outcomes[str, int] = Outcomes(["t"])
    for _ in range(2):
        outcomes.fail("t", UnknownTopicOrPartitionError("t"))
        assert "t" in outcomes.pending
    outcomes.fail("t", UnknownTopicOrPartitionError("t"))
    assert isinstance(outcomes.results().errors["t"], UnknownTopicOrPartitionError)


def test_what_a_broker_does_not_mention() -> None:
    outcomes: Outcomes[str, int] = Outcomes(["a", "b"])
    outcomes.fail("a", NotCoordinatorForGroupError("a"))
    outcomes.unanswered(["a", "b"], "not mentioned")
    assert list(outcomes.pending) == ["a"]
    assert str(outcomes._errors["b"]) == "KafkaError: not mentioned"
    # Nothing is known of it: no reason to try again.
    assert type(Outcomes(["a"]).reason()) is KafkaError


def test_giving_up_names_the_item_and_its_own_reason() -> None:
    outcomes: Outcomes[str, int] = Outcomes(["a", "b"])
    outcomes.fail("a", NotCoordinatorForGroupError("moved"))
    outcomes.give_up(KafkaTimeoutError("over"))
    errors = outcomes.results().errors
    assert str(errors["a"]).startswith("KafkaTimeoutError: a: ")
    assert isinstance(errors["a"].__cause__, NotCoordinatorForGroupError)
    assert isinstance(errors["b"].__cause__, KafkaTimeoutError)


def test_errors_that_are_not_ours_are_wrapped() -> None:
    outcomes: Outcomes[str, int] = Outcomes(["a"])
    outcomes.fail("a", KeyError("field"))
    error = outcomes.results().errors["a"]
    assert isinstance(error, KafkaError)
    assert isinstance(error.__cause__, KeyError)


def test_errors_of_answers() -> None:
    assert error_of(68, "from the broker", "g").args == ("from the broker",)
    assert error_of(68, None, "g").args == ("g",)
    assert error_of(68, None).args == ()
    assert type(error_of(30000, None)) is UnknownError

"""Runs cases in rounds, the contenders of each round one after the other.

One child at a time, so that the contenders never compete; a round is A B C D, and the next
begins one further (B C D A), so that none always follows the same neighbour.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from benchmark import children
from benchmark.broker import Topics
from benchmark.cases import PARTITIONS, Case
from benchmark.contenders import (
    BASELINE,
    BASELINE_MANY,
    CONFLUENT,
    CONFLUENT_MANY,
    Contender,
    by_name,
)
from benchmark.environments import ROOT
from benchmark.filling import FilledTopics
from benchmark.results import Results, Sample
from benchmark.worker.job import Job, Measured

#: A topic with more partitions than this is made once a case, not once a round.
_COSTLY_TOPIC = 1_000
_OTHER_PARTITIONS = 1
_CONSUMING = frozenset({"one", "many"})


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Parameters:
        cases, contenders: what and who.
        rounds: of the main cases.
        seconds: wall time of each measured phase.
        peers: interpreter of the peers' environment.
    """

    cases: list[Case]
    contenders: list[Contender]
    rounds: int
    seconds: float
    peers: Path

    def entrants(self, case: Case) -> list[Contender]:
        """Who takes part in ``case``."""
        return [
            contender
            for contender in self.contenders
            if case.task in contender.tasks
            and (not case.contenders or contender.name in case.contenders)
        ]

    @property
    def measurements(self) -> int:
        """Number of children that will run."""
        return sum(case.rounds(self.rounds) * len(self.entrants(case)) for case in self.cases)


class Runner:
    """Carries out a plan against one broker."""

    def __init__(
        self,
        plan: Plan,
        bootstrap: str,
        results: Results,
        on_step: Callable[[Case, int, Contender], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._bootstrap = bootstrap
        self._results = results
        self._topics = Topics(bootstrap)
        self._on_step = on_step
        self._on_failure = on_failure
        # Distinct from one run to the next, for a broker that outlives them.
        self._prefix = f"bench-{time.time_ns() // 1_000_000}"
        self._serial = 0
        self._filled = FilledTopics(self._topics, bootstrap, self._prefix)

    def warm_up(self, seconds: float) -> None:
        """Let the broker's compiler do its work before anything is measured."""
        until = time.monotonic() + seconds
        reading = [case for case in self._plan.cases if case.task in _CONSUMING]
        if not reading:
            self._warm_up_producing(seconds)
            return
        while time.monotonic() < until:
            for name in (CONFLUENT_MANY, BASELINE_MANY):
                contender = by_name(name)
                job = Job("many", contender.client, self._bootstrap, "", call=contender.call)
                job = self._reading(job, reading[0], contender)
                children.run_job(self._plan.peers, job, "warm-up")

    def _warm_up_producing(self, seconds: float) -> None:
        topic = f"{self._prefix}-0"
        self._topics.create([topic], PARTITIONS)
        try:
            for name in (CONFLUENT, BASELINE):
                job = Job("produce", by_name(name).client, self._bootstrap, topic)
                job = dataclasses.replace(job, seconds=seconds / 2, max_messages=100_000_000)
                children.run_job(self._plan.peers, job, "warm-up")
        finally:
            self._topics.delete([topic])

    def run(self) -> None:
        """All cases; failures of a child are recorded and the others go on."""
        try:
            for case in self._plan.cases:
                self._run_case(case)
        finally:
            self._filled.delete_all()

    def _run_case(self, case: Case) -> None:
        rounds = range(case.rounds(self._plan.rounds))
        if case.task == "import" or case.task in _CONSUMING:
            self._rounds(case, rounds, "", ())
        elif case.partitions > _COSTLY_TOPIC or case.known_topics > 1:
            self._with_topics(case, rounds)
        else:
            for number in rounds:
                self._with_topics(case, range(number, number + 1))

    def _with_topics(self, case: Case, rounds: range) -> None:
        self._serial += 1
        topic = f"{self._prefix}-{self._serial}"
        others = tuple(f"{topic}-{n}" for n in range(1, case.known_topics))
        self._topics.create([topic], case.partitions)
        if others:
            self._topics.create(list(others), _OTHER_PARTITIONS)
        try:
            self._rounds(case, rounds, topic, others)
        finally:
            self._topics.delete([topic, *others])

    def _rounds(self, case: Case, rounds: range, topic: str, others: tuple[str, ...]) -> None:
        entrants = self._plan.entrants(case)
        for number in rounds if entrants else ():
            turn = number % len(entrants)
            for contender in entrants[turn:] + entrants[:turn]:
                self._on_step(case, number, contender)
                try:
                    measured = self._measure(case, contender, topic, others)
                except children.ChildFailed as failed:
                    self._results.failures.append(f"{case.id}: {failed}")
                    self._on_failure(f"{case.id}: {failed}")
                else:
                    self._results.samples.append(Sample(case.id, contender.name, number, measured))

    def _measure(
        self, case: Case, contender: Contender, topic: str, others: tuple[str, ...]
    ) -> Measured:
        python = children.this_python() if contender.checkout else self._plan.peers
        if case.task == "import":
            return children.run_import(
                python, contender, ROOT, everything=case.name == "everything"
            )
        job = Job(
            task=case.task,
            client=contender.client,
            bootstrap=self._bootstrap,
            topic=topic,
            loop=contender.loop,
            call=contender.call,
            partitions=case.partitions,
            checkout=contender.checkout,
            seconds=self._plan.seconds,
            value_size=case.value_size,
            keyed=case.keyed,
            codec=case.codec,
            linger_ms=case.linger_ms,
            partition=case.partition,
            other_topics=others,
            extra=dict(contender.extra),
        )
        if case.task in _CONSUMING:
            job = self._reading(job, case, contender)
        return children.run_job(python, job, f"{contender.name} on {case.id}")

    def _reading(self, job: Job, case: Case, contender: Contender) -> Job:
        """The job of a consumer: which topics to read."""
        filled = self._filled.short(case) if contender.short else self._filled.long(case)
        warmup = self._filled.warmup(case)
        return dataclasses.replace(
            job,
            topic=filled.topic,
            records=filled.records,
            warmup_topic=warmup.topic,
            warmup_records=warmup.records,
        )

"""The refresher by itself: versions, joining, backoff, crash, close; in virtual time."""

import asyncio
import itertools
import logging
import math

import pytest

from aiokafka import errors as Errors
from aiokafka._client.metadata import MetadataRefresher
from aiokafka._client.metadata_round import RoundResult
from aiokafka._deadline import Deadline
from aiokafka._retry import Backoff
from aiokafka._tasks import Supervisor
from aiokafka.testing.virtual_time import VirtualTimeLoop, run_virtual
from tests.unit.client.scripted import captured_logs

BASE, CAP = 0.1, 1.0


class Harness:
    """A refresher whose rounds are answered by ``script``, one entry a round (the last for
    ever): True, False, an exception to crash with, or a ``(seconds, result)`` pair."""

    def __init__(self, *script, max_age=300.0):
        loop: VirtualTimeLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        self.loop = loop
        self.script = list(script) or [True]
        self.rounds = []  # (time, topics)
        self.topics: set[str] = set()
        self.result = RoundResult()
        self.error = Errors.KafkaConnectionError("refused")
        self.supervisor = Supervisor("test", logging.getLogger("aiokafka"))
        self.refresher = MetadataRefresher(
            run_round=self.run_round,
            interest=lambda: frozenset(self.topics),
            last_result=lambda: self.result,
            backoff=Backoff(BASE, CAP),
            max_age=max_age,
            rng=loop.aiokafka_rng,
            supervisor=self.supervisor,
            loop=loop,
        )
        self.refresher.start()

    async def run_round(self, topics):
        self.rounds.append((self.loop.time(), topics))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, tuple):
            await asyncio.sleep(step[0])
            step = step[1]
        if isinstance(step, BaseException):
            raise step
        self.result = RoundResult(step, 1, [] if step else [self.error])
        return step

    async def close(self):
        self.refresher.close()
        await self.supervisor.cancel_all(Deadline.after(1))


def scenario(*script, **kwargs):
    """Run the decorated coroutine function with a harness, in virtual time."""

    def decorate(test):
        def run():
            async def main():
                harness = Harness(*script, **kwargs)
                try:
                    await test(harness)
                finally:
                    await harness.close()

            run_virtual(main)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


@scenario(True)
async def test_request_then_wait(h):
    version = h.refresher.request("test")
    assert await h.refresher.wait(version, Deadline.after(1)) == version + 1
    assert len(h.rounds) == 1


@scenario(True)
async def test_update_between_request_and_wait_is_not_missed(h):
    version = h.refresher.request("test")
    await asyncio.sleep(1)
    started = h.loop.time()
    await h.refresher.wait(version, Deadline.after(10))
    assert h.loop.time() == started


@scenario((0.5, True))
async def test_a_refresh_in_flight_is_joined(h):
    first = h.refresher.request("one")
    await asyncio.sleep(0.1)
    second = h.refresher.request("two")
    assert first == second
    await h.refresher.wait(second, Deadline.after(1))
    await asyncio.sleep(1)
    assert len(h.rounds) == 1


@scenario((0.5, True))
async def test_a_refresh_that_does_not_cover_the_topic_is_followed_by_another(h):
    h.refresher.request("one")
    await asyncio.sleep(0.1)
    h.topics.add("new")
    version = h.refresher.request("new topic", ["new"])
    await h.refresher.wait(version, Deadline.after(2))
    assert [topics for _, topics in h.rounds] == [frozenset(), frozenset({"new"})]
    # The second begins when the first ends, without a backoff.
    assert h.rounds[1][0] == pytest.approx(h.rounds[0][0] + 0.5)


@scenario(False, False, False, False, False, False, False, False, False, True)
async def test_failed_rounds_follow_the_backoff_formula(h):
    version = h.refresher.request("test")
    await h.refresher.wait(version, Deadline.after(60))
    times = [at for at, _ in h.rounds]
    for n, (a, b) in enumerate(itertools.pairwise(times)):
        nominal = BASE * 2 ** min(n, math.log2(CAP / BASE))
        assert min(CAP, nominal * 0.8) - 1e-9 <= b - a <= min(CAP, nominal * 1.2) + 1e-9
    assert len(times) == 10


@scenario(True)
async def test_age_alone_refreshes(h):
    await asyncio.sleep(299)
    assert not h.rounds
    await asyncio.sleep(2)
    assert len(h.rounds) == 1
    await asyncio.sleep(300)
    assert len(h.rounds) == 2


@scenario(False)
async def test_ten_minute_outage_logs_one_warning_line(h):
    with captured_logs() as logs:
        h.refresher.request("test")
        await asyncio.sleep(600)
        assert 550 < len(h.rounds) < 900
        h.script[:] = [True]
        await asyncio.sleep(2)
    loud = logs.records
    assert [r.levelno for r in loud] == [logging.WARNING, logging.INFO]
    assert "again after" in loud[1].getMessage()


@scenario(False)
async def test_wait_is_bounded(h):
    version = h.refresher.request("test")
    started = h.loop.time()
    with pytest.raises(Errors.KafkaTimeoutError):
        await h.refresher.wait(version, Deadline.after(2))
    assert h.loop.time() - started == pytest.approx(2)


@scenario(False)
async def test_hopeless_errors_reach_every_waiter_at_once(h):
    h.error = Errors.SaslAuthenticationFailed("wrong password")
    started = h.loop.time()
    version = h.refresher.request("test")
    waits = [h.refresher.wait(version, Deadline.after(60)) for _ in range(10)]
    for error in await asyncio.gather(*waits, return_exceptions=True):
        assert isinstance(error, Errors.SaslAuthenticationFailed)
    assert h.loop.time() - started < 0.01
    # ... and those who come while the refresher backs off.
    with pytest.raises(Errors.SaslAuthenticationFailed):
        await h.refresher.wait(h.refresher.request("again"), Deadline.after(60))
    # Credentials can be mended on the brokers: it goes on trying.
    h.script[:] = [True]
    await asyncio.sleep(1)
    await h.refresher.wait(h.refresher.request("later"), Deadline.after(1))


@scenario(ZeroDivisionError("a defect"), True)
async def test_crash_fails_the_waiters_and_is_survived(h):
    version = h.refresher.request("test")
    joined = h.refresher.round_done()
    with pytest.raises(Errors.KafkaError, match="crashed") as caught:
        await h.refresher.wait(version, Deadline.after(60))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert await joined is False
    await h.refresher.wait(h.refresher.request("after the crash"), Deadline.after(5))


@scenario((10, True))
async def test_close_in_mid_refresh_resolves_everything(h):
    version = h.refresher.request("test")
    joined = h.refresher.round_done()
    waiter = asyncio.create_task(h.refresher.wait(version, Deadline.after(60)))
    await asyncio.sleep(1)
    late = h.refresher.round_done(["not covered"])
    h.refresher.close()
    started = h.loop.time()
    with pytest.raises(Errors.IllegalStateError, match="closed"):
        await waiter
    assert (await joined, await late, await h.refresher.round_done()) == (False,) * 3
    with pytest.raises(Errors.IllegalStateError):
        await h.refresher.wait(version, Deadline.after(60))
    assert h.loop.time() == started


@scenario(True)
async def test_a_topic_that_never_comes_has_its_own_backoff(h):
    h.topics.add("absent")
    started = h.loop.time()
    with h.refresher.interest_in("absent"):
        version = h.refresher.request("absent", ["absent"])
        for _ in range(10):
            version = await h.refresher.wait(version, Deadline.after(60))
        # Somebody else's topic does not wait for that backoff.
        await asyncio.sleep(0.01)
        before = h.loop.time()
        h.topics.add("other")
        with h.refresher.interest_in("other"):
            await h.refresher.wait(h.refresher.request("other", ["other"]), Deadline.after(1))
        assert h.loop.time() == before
    assert h.loop.time() - started > 5
    rounds = len(h.rounds)
    await asyncio.sleep(30)
    assert len(h.rounds) == rounds  # nobody waits any more


@scenario((0.2, True))
async def test_round_done_is_shared_and_counts_one_round(h):
    results = await asyncio.gather(*[h.refresher.round_done() for _ in range(20)])
    assert results == [True] * 20
    assert len(h.rounds) == 1


@scenario(True)
async def test_cancelled_waiter_leaves_nothing(h):
    h.script[:] = [(5, True)]
    version = h.refresher.request("test")
    waiter = asyncio.create_task(h.refresher.wait(version, Deadline.after(60)))
    await asyncio.sleep(1)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await h.refresher.wait(version, Deadline.after(60))

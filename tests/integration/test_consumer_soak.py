"""A consumer at full speed does not grow: the short version of ``make soak-consumer``."""

from __future__ import annotations

import random

import pytest

from benchmark.soak import judge, soak
from benchmark.worker.soak import Sample
from tests.kafka import KafkaCluster

SECONDS = 22.0


@pytest.mark.timeout(150)
def test_memory_is_steady(kafka: KafkaCluster) -> None:
    samples = soak(kafka.bootstrap, SECONDS)
    verdict = judge(samples)
    assert verdict.passes >= 3, verdict  # each way of reading at least once
    assert verdict.steady, f"{verdict}; {[round(sample.rss_mb) for sample in samples]}"


def series(slope: float, noise: float, peaks: float = 0.0) -> list[Sample]:
    """A run of 20 s: settling, then a line with noise and some high peaks."""
    chance = random.Random(7)
    samples = []
    for n in range(40):
        settling = 60 * (1 - 0.5**n)
        rss = 40 + settling + slope * n / 2 + chance.uniform(-noise, noise)
        if n % 7 == 3 and peaks:
            rss += peaks
        samples.append(Sample(n / 2, rss, n * 100_000, n // 4))
    return samples


def test_the_verdict_is_not_moved_by_settling_noise_and_peaks() -> None:
    assert judge(series(slope=0.0, noise=5.0)).steady
    assert judge(series(slope=0.0, noise=2.0, peaks=60)).steady


def test_the_verdict_sees_a_leak() -> None:
    # 1 MB a second: two bytes a message at half a million messages a second.
    verdict = judge(series(slope=1.0, noise=5.0, peaks=30))
    assert not verdict.steady
    assert 12 < verdict.growth_mb < 18


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge(series(slope=0.0, noise=0.0)[:30])

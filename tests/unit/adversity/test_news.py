"""Which events are worth a line at warning."""

from __future__ import annotations

from aiokafka._news import SPACING, News


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_once_for_each_kind_in_an_outage():
    clock = Clock()
    news = News(clock)
    reported = []
    for _ in range(1_000):
        for kind in (OSError, TimeoutError):
            if news.is_news(kind):
                reported.append(kind)
            clock.now += 1
    assert reported == [OSError, TimeoutError]


def test_the_next_outage_is_news():
    clock = Clock()
    news = News(clock)
    assert news.is_news("down")
    clock.now += SPACING
    news.all_is_well()
    assert news.is_news("down")
    assert not news.is_news("down")


def test_what_comes_and_goes_is_reported_now_and_then():
    clock = Clock()
    news = News(clock)
    reported = 0
    for _ in range(int(SPACING) * 10):
        reported += news.is_news("down")
        news.all_is_well()
        clock.now += 1
    assert reported == 10

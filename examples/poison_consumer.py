"""Records that cannot be read: put them aside and go on, without losing any other."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


class NotAnEvent(ValueError):
    """A value is no JSON object.  The consumer adds where the record is."""

    topic: str
    partition: int
    offset: int


def load(value: bytes | None) -> dict[str, Any]:
    """The deserializer; what it raises comes out of the call for the record, as it is."""
    try:
        event = json.loads(value or b"")
    except ValueError as error:
        raise NotAnEvent(str(error)) from error
    if not isinstance(event, dict):
        raise NotAnEvent(f"{event!r} is no object")
    return event


async def main(bootstrap_servers: str, topic: str, group: str, count: int | None) -> None:
    seen = 0
    consumer: AIOKafkaConsumer[bytes, dict[str, Any]] = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        value_deserializer=load,
        auto_offset_reset="earliest",
    )
    async with consumer:
        while count is None or seen < count:
            try:
                record = await consumer.getone()
            except NotAnEvent as error:
                # Its place in the log is enough to look at it later.
                print(f"put aside {error.topic}-{error.partition}@{error.offset}: {error}")
                # Until we decide, the position stays there.
                consumer.seek(TopicPartition(error.topic, error.partition), error.offset + 1)
            else:
                print("event:", record.value)
            seen += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument("--group", default="example-poison")
    parser.add_argument("--count", type=int, help="end after so many records")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.group, options.count))

"""Make a topic as it should be, whether it exists or not, and say how it is.

Everything here may be run again: what is there already is no error.
"""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.admin.configs import ConfigChange, ConfigTarget
from aiokafka.admin.offsets import OffsetSpec
from aiokafka.errors import TopicAlreadyExistsError, for_code


async def ensure_topic(admin: AIOKafkaAdminClient, name: str, partitions: int) -> None:
    """Create the topic, or add the partitions that it lacks."""
    response = await admin.create_topics([NewTopic(name, partitions, replication_factor=1)])
    # As in 0.14, the errors of topics are in the response.
    for topic, code, message in response.topic_errors:
        if code == 0:
            print(f"created {topic} with {partitions} partitions")
        elif code != TopicAlreadyExistsError.errno:
            raise for_code(code)(message)
    description = (await admin.describe_topic_partitions([name]))[name]
    if len(description.partitions) < partitions:
        await admin.create_partitions({name: NewPartitions(partitions)})
        print(f"{name} has {partitions} partitions now")


async def main(bootstrap_servers: str, topic: str, partitions: int, retention_ms: int) -> None:
    async with AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000
    ) as admin:
        await ensure_topic(admin, topic, partitions)

        # Newer calls give results by item: an item that failed raises when it is looked at.
        target = ConfigTarget(ConfigResourceType.TOPIC, topic)
        changed = await admin.incremental_alter_configs(
            {target: [ConfigChange("retention.ms", str(retention_ms))]}
        )
        changed.check()

        description = (await admin.describe_topic_partitions([topic]))[topic]
        ends = await admin.list_offsets(
            {
                TopicPartition(topic, part.partition): OffsetSpec.LATEST
                for part in description.partitions
            }
        )
        for tp, end in ends.succeeded.items():
            print(f"{tp.topic}-{tp.partition} ends at offset {end.offset}")
        for tp, error in ends.errors.items():
            print(f"{tp.topic}-{tp.partition}: {error}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-admin")
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--retention-ms", type=int, default=3_600_000)
    options = parser.parse_args()
    asyncio.run(
        main(options.bootstrap_servers, options.topic, options.partitions, options.retention_ms)
    )

"""The producer of records."""

from __future__ import annotations

from aiokafka.producer.producer import AIOKafkaProducer

__all__ = ["AIOKafkaProducer"]

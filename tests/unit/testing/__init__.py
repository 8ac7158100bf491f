"""Tests of the tools that ``aiokafka.testing`` offers."""

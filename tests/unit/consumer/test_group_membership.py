"""Joining, leaving and rebalancing of one to five members, eager and cooperative."""

from __future__ import annotations

import asyncio

from tests.unit.consumer.group_lab import group, settled, tps, until, virtual


@virtual
async def test_one_member_gets_everything():
    async with group() as (kafka, make):
        member = await make().start("t")
        await member.joined()
        assert member.partitions == tps("t", 0, 1, 2, 3)
        assert member.calls == [("revoked", set()), ("assigned", tps("t", 0, 1, 2, 3))]
        assert member.coordinator.generation == 1
        assert member.coordinator.member_id in kafka.group("g").members
        await asyncio.sleep(30)
        assert member.coordinator.generation == 1


@virtual
async def test_two_members_share():
    async with group() as (_, make):
        one = await make().start("t")
        await one.joined()
        two = await make().start("t")
        await settled(one, two)
        assert one.partitions | two.partitions == tps("t", 0, 1, 2, 3)
        assert not one.partitions & two.partitions
        assert one.calls[2] == ("revoked", tps("t", 0, 1, 2, 3))
        await two.close()
        await until(lambda: one.partitions == tps("t", 0, 1, 2, 3))

"""The newest version of each API that this client sends, in one table.

A version is chosen per connection: the highest that the broker offers, the table allows and the
values of the request can be expressed in.  The table stops below versions that are unstable,
need a negotiated feature, or change the shape of a response that users see.
"""

from __future__ import annotations

from typing import Final

#: API key to the highest version sent.
CEILINGS: Final[dict[int, int]] = {
    0: 13,  # Produce: topic ids (KIP-516); 11 within transactions of version 1 (KIP-890)
    1: 18,  # Fetch
    2: 11,  # ListOffsets
    3: 13,  # Metadata: top-level error code (KIP-1102)
    8: 10,  # OffsetCommit
    9: 10,  # OffsetFetch
    10: 6,  # FindCoordinator
    11: 9,  # JoinGroup
    12: 4,  # Heartbeat
    13: 5,  # LeaveGroup
    14: 5,  # SyncGroup
    15: 6,  # DescribeGroups: see the builder
    16: 5,  # ListGroups: see the builder
    17: 1,  # SaslHandshake
    18: 4,  # ApiVersions
    19: 4,  # CreateTopics: 5 changes the rows of topics
    20: 4,  # DeleteTopics: 5 changes the rows of topics
    21: 2,  # DeleteRecords
    22: 5,  # InitProducerId: 6 is unstable (KIP-939)
    23: 4,  # OffsetForLeaderEpoch
    24: 3,  # AddPartitionsToTxn: 4 and 5 are for brokers
    25: 4,  # AddOffsetsToTxn
    26: 5,  # EndTxn: 5 only in transactions of version 2 (KIP-890)
    28: 5,  # TxnOffsetCommit: 5 only in transactions of version 2 (KIP-890)
    29: 3,  # DescribeAcls
    30: 3,  # CreateAcls
    31: 3,  # DeleteAcls
    32: 4,  # DescribeConfigs: see the builder
    33: 2,  # AlterConfigs
    35: 5,  # DescribeLogDirs
    36: 2,  # SaslAuthenticate
    37: 3,  # CreatePartitions
    38: 3,  # CreateDelegationToken
    39: 2,  # RenewDelegationToken
    40: 2,  # ExpireDelegationToken
    41: 3,  # DescribeDelegationToken
    42: 2,  # DeleteGroups
    43: 2,  # ElectLeaders
    44: 1,  # IncrementalAlterConfigs
    45: 0,  # AlterPartitionReassignments
    46: 0,  # ListPartitionReassignments
    47: 0,  # OffsetDelete
    48: 1,  # DescribeClientQuotas
    49: 1,  # AlterClientQuotas
    50: 0,  # DescribeUserScramCredentials
    51: 0,  # AlterUserScramCredentials
    55: 1,  # DescribeQuorum: 2 is about changes of voters (KIP-853)
    57: 2,  # UpdateFeatures
    61: 0,  # DescribeProducers
    65: 0,  # DescribeTransactions
    66: 2,  # ListTransactions
    68: 1,  # ConsumerGroupHeartbeat
    69: 1,  # ConsumerGroupDescribe
    75: 0,  # DescribeTopicPartitions
}

# Brokers from 4.0 on list Produce 0-2 for the sake of old librdkafka and then refuse them
# (KAFKA-18659). Brokers that really speak nothing newer have no 3 in their range.
FLOORS: Final[dict[int, int]] = {0: 3}


def usable(api_key: int, lowest: int, highest: int) -> tuple[int, int]:
    """The part of a broker's version range that may be used; empty when lowest > highest."""
    floor = FLOORS.get(api_key)
    if floor is not None and lowest < floor <= highest:
        lowest = floor
    return lowest, min(highest, CEILINGS.get(api_key, highest))

"""Errors a broker answers with: the codes that 0.14 did not know (73 to 78, and from 80 on).

No state, no tasks. Import the classes from :mod:`aiokafka.errors`. The list of codes is on
https://kafka.apache.org/protocol.html#protocol_error_codes, here as of Kafka 4.3.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from aiokafka._errors.base import BrokerResponseError
from aiokafka._errors.client import ProducerFenced


class TopicDeletionDisabledError(BrokerResponseError):
    errno = 73
    message = "TOPIC_DELETION_DISABLED"
    description = "Topics may not be deleted on this cluster"


class FencedLeaderEpochError(BrokerResponseError):
    errno = 74
    message = "FENCED_LEADER_EPOCH"
    description = (
        "The leader epoch of the request is older than the broker's: the client's "
        "metadata is stale"
    )
    retriable = True
    invalid_metadata = True


class UnknownLeaderEpochError(BrokerResponseError):
    errno = 75
    message = "UNKNOWN_LEADER_EPOCH"
    description = (
        "The leader epoch of the request is newer than the broker's: the broker has yet "
        "to catch up"
    )
    retriable = True


class UnsupportedCompressionTypeError(BrokerResponseError):
    errno = 76
    message = "UNSUPPORTED_COMPRESSION_TYPE"
    description = "The version of the request does not allow the batch's compression codec"


class StaleBrokerEpochError(BrokerResponseError):
    errno = 77
    message = "STALE_BROKER_EPOCH"
    description = "The broker has been restarted since: its epoch changed"


class OffsetNotAvailableError(BrokerResponseError):
    errno = 78
    message = "OFFSET_NOT_AVAILABLE"
    description = "A new leader does not know its high watermark yet"
    retriable = True


class PreferredLeaderNotAvailableError(BrokerResponseError):
    errno = 80
    message = "PREFERRED_LEADER_NOT_AVAILABLE"
    description = "The preferred leader is not available"
    retriable = True
    invalid_metadata = True


class GroupMaxSizeReachedError(BrokerResponseError):
    errno = 81
    message = "GROUP_MAX_SIZE_REACHED"
    description = "The group has as many members as the broker allows"
    fatal = True


class FencedInstanceIdError(BrokerResponseError):
    errno = 82
    message = "FENCED_INSTANCE_ID"
    description = "Another member joined with the same group.instance.id"
    fatal = True


class EligibleLeadersNotAvailableError(BrokerResponseError):
    errno = 83
    message = "ELIGIBLE_LEADERS_NOT_AVAILABLE"
    description = "No replica that may become leader is available"
    retriable = True
    invalid_metadata = True


class ElectionNotNeededError(BrokerResponseError):
    errno = 84
    message = "ELECTION_NOT_NEEDED"
    description = "The partition needs no election"
    retriable = True
    invalid_metadata = True


class NoReassignmentInProgressError(BrokerResponseError):
    errno = 85
    message = "NO_REASSIGNMENT_IN_PROGRESS"
    description = "No reassignment of the partition is going on"


class GroupSubscribedToTopicError(BrokerResponseError):
    errno = 86
    message = "GROUP_SUBSCRIBED_TO_TOPIC"
    description = "The offsets cannot be deleted while the group is subscribed to the topic"


class InvalidRecordError(BrokerResponseError):
    errno = 87
    message = "INVALID_RECORD"
    description = "The broker rejected a record of the batch as invalid"


class UnstableOffsetCommitError(BrokerResponseError):
    errno = 88
    message = "UNSTABLE_OFFSET_COMMIT"
    description = "A transaction that commits these offsets is still open"
    retriable = True


class ThrottlingQuotaExceededError(BrokerResponseError):
    errno = 89
    message = "THROTTLING_QUOTA_EXCEEDED"
    description = "The client is over its quota for this kind of request"
    retriable = True


class ProducerFencedError(BrokerResponseError, ProducerFenced):
    errno = 90
    message = "PRODUCER_FENCED"
    description = "A newer producer uses the same transactional id and fenced this one off"
    fatal = True


class ResourceNotFoundError(BrokerResponseError):
    errno = 91
    message = "RESOURCE_NOT_FOUND"
    description = "The request names something that does not exist"


class DuplicateResourceError(BrokerResponseError):
    errno = 92
    message = "DUPLICATE_RESOURCE"
    description = "The request names the same thing twice"


class UnacceptableCredentialError(BrokerResponseError):
    errno = 93
    message = "UNACCEPTABLE_CREDENTIAL"
    description = "The credential does not meet the broker's rules"


class InconsistentVoterSetError(BrokerResponseError):
    errno = 94
    message = "INCONSISTENT_VOTER_SET"
    description = "The sender or the receiver of a quorum request is not one of the voters"


class InvalidUpdateVersionError(BrokerResponseError):
    errno = 95
    message = "INVALID_UPDATE_VERSION"
    description = "The version to update to is not valid"


class FeatureUpdateFailedError(BrokerResponseError):
    errno = 96
    message = "FEATURE_UPDATE_FAILED"
    description = "The cluster could not update its finalized features"


class PrincipalDeserializationError(BrokerResponseError):
    errno = 97
    message = "PRINCIPAL_DESERIALIZATION_FAILURE"
    description = (
        "A forwarded request's principal could not be read: the brokers' security setup "
        "is at fault"
    )


class SnapshotNotFoundError(BrokerResponseError):
    errno = 98
    message = "SNAPSHOT_NOT_FOUND"
    description = "There is no such metadata snapshot"


class PositionOutOfRangeError(BrokerResponseError):
    errno = 99
    message = "POSITION_OUT_OF_RANGE"
    description = "The position lies outside of the snapshot"


class UnknownTopicIdError(BrokerResponseError):
    errno = 100
    message = "UNKNOWN_TOPIC_ID"
    description = "The broker does not host a topic of this id"
    retriable = True
    invalid_metadata = True


class DuplicateBrokerRegistrationError(BrokerResponseError):
    errno = 101
    message = "DUPLICATE_BROKER_REGISTRATION"
    description = "Another broker has this id"


class BrokerIdNotRegisteredError(BrokerResponseError):
    errno = 102
    message = "BROKER_ID_NOT_REGISTERED"
    description = "No broker of this id is registered"


class InconsistentTopicIdError(BrokerResponseError):
    errno = 103
    message = "INCONSISTENT_TOPIC_ID"
    description = "The log belongs to a topic of the same name with another id"
    retriable = True
    invalid_metadata = True


class InconsistentClusterIdError(BrokerResponseError):
    errno = 104
    message = "INCONSISTENT_CLUSTER_ID"
    description = "The request is meant for another cluster"


class TransactionalIdNotFoundError(BrokerResponseError):
    errno = 105
    message = "TRANSACTIONAL_ID_NOT_FOUND"
    description = "There is no such transactional id"


class FetchSessionTopicIdError(BrokerResponseError):
    errno = 106
    message = "FETCH_SESSION_TOPIC_ID_ERROR"
    description = "The fetch session mixes requests with and without topic ids"
    retriable = True


class IneligibleReplicaError(BrokerResponseError):
    errno = 107
    message = "INELIGIBLE_REPLICA"
    description = "A replica of the new ISR may not be in it"


class NewLeaderElectedError(BrokerResponseError):
    errno = 108
    message = "NEW_LEADER_ELECTED"
    description = "The partition was altered, and has another leader now"


class OffsetMovedToTieredStorageError(BrokerResponseError):
    errno = 109
    message = "OFFSET_MOVED_TO_TIERED_STORAGE"
    description = "The offset now lies in tiered storage"


class FencedMemberEpochError(BrokerResponseError):
    errno = 110
    message = "FENCED_MEMBER_EPOCH"
    description = (
        "The coordinator fenced the member: it has to give up its partitions and join "
        "again (KIP-848)"
    )


class UnreleasedInstanceIdError(BrokerResponseError):
    errno = 111
    message = "UNRELEASED_INSTANCE_ID"
    description = "Another member of the group still uses this instance id"
    fatal = True


class UnsupportedAssignorError(BrokerResponseError):
    errno = 112
    message = "UNSUPPORTED_ASSIGNOR"
    description = "The group does not support this assignor"
    fatal = True


class StaleMemberEpochError(BrokerResponseError):
    errno = 113
    message = "STALE_MEMBER_EPOCH"
    description = (
        "The member's epoch is old: try again with the one of the next heartbeat (KIP-848)"
    )


class MismatchedEndpointTypeError(BrokerResponseError):
    errno = 114
    message = "MISMATCHED_ENDPOINT_TYPE"
    description = "The request went to a controller instead of a broker, or the reverse"


class UnsupportedEndpointTypeError(BrokerResponseError):
    errno = 115
    message = "UNSUPPORTED_ENDPOINT_TYPE"
    description = "The type of endpoint is not supported"


class UnknownControllerIdError(BrokerResponseError):
    errno = 116
    message = "UNKNOWN_CONTROLLER_ID"
    description = "No controller has this id"


class UnknownSubscriptionIdError(BrokerResponseError):
    errno = 117
    message = "UNKNOWN_SUBSCRIPTION_ID"
    description = "The telemetry subscription is unknown or out of date"


class TelemetryTooLargeError(BrokerResponseError):
    errno = 118
    message = "TELEMETRY_TOO_LARGE"
    description = "The telemetry pushed is larger than the broker accepts"


class InvalidRegistrationError(BrokerResponseError):
    errno = 119
    message = "INVALID_REGISTRATION"
    description = "The controller rejected the broker's registration"


class TransactionAbortableError(BrokerResponseError):
    errno = 120
    message = "TRANSACTION_ABORTABLE"
    description = (
        "The transaction failed and has to be aborted; the producer can go on afterwards (KIP-890)"
    )
    abortable = True


class InvalidRecordStateError(BrokerResponseError):
    errno = 121
    message = "INVALID_RECORD_STATE"
    description = "The record is not in a state in which it can be acknowledged"


class ShareSessionNotFoundError(BrokerResponseError):
    errno = 122
    message = "SHARE_SESSION_NOT_FOUND"
    description = "The broker does not know the share session"
    retriable = True


class InvalidShareSessionEpochError(BrokerResponseError):
    errno = 123
    message = "INVALID_SHARE_SESSION_EPOCH"
    description = "The share session is at another epoch"
    retriable = True


class FencedStateEpochError(BrokerResponseError):
    errno = 124
    message = "FENCED_STATE_EPOCH"
    description = "The share group's state is at another epoch"


class InvalidVoterKeyError(BrokerResponseError):
    errno = 125
    message = "INVALID_VOTER_KEY"
    description = "The voter key is not that of the receiving replica"


class DuplicateVoterError(BrokerResponseError):
    errno = 126
    message = "DUPLICATE_VOTER"
    description = "The voter is already one of the voters"


class VoterNotFoundError(BrokerResponseError):
    errno = 127
    message = "VOTER_NOT_FOUND"
    description = "The voter is not one of the voters"


class InvalidRegularExpressionError(BrokerResponseError):
    errno = 128
    message = "INVALID_REGULAR_EXPRESSION"
    description = "The subscription's regular expression is not valid"
    fatal = True


class RebootstrapRequiredError(BrokerResponseError):
    errno = 129
    message = "REBOOTSTRAP_REQUIRED"
    description = "The client's metadata is too old to go on from: bootstrap again (KIP-1102)"


class StreamsInvalidTopologyError(BrokerResponseError):
    errno = 130
    message = "STREAMS_INVALID_TOPOLOGY"
    description = "The topology of the Streams application is not valid"


class StreamsInvalidTopologyEpochError(BrokerResponseError):
    errno = 131
    message = "STREAMS_INVALID_TOPOLOGY_EPOCH"
    description = "The epoch of the Streams topology is not valid"


class StreamsTopologyFencedError(BrokerResponseError):
    errno = 132
    message = "STREAMS_TOPOLOGY_FENCED"
    description = "The epoch of the Streams topology is old"


class ShareSessionLimitReachedError(BrokerResponseError):
    errno = 133
    message = "SHARE_SESSION_LIMIT_REACHED"
    description = "The broker has as many share sessions as it allows"
    retriable = True
